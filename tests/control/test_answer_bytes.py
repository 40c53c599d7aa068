"""The answers of the control API are the same bytes as ever, field for field: other people's scripts read them.

`answers.txt` has the answer to each request below, with what differs from run to run replaced: times, digests, ids,
sizes of a disk, folders. `LOCKGATE_RECORD_ANSWERS=1` writes it anew; a change in it is a change of the API.
"""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from appliance import clock
from appliance.handles.giving import document_of
from appliance.mounts import Mounted
from appliance.permissions import Caller
from appliance.store.writes.custody import HandOver
from appliance.store.writes.duties import FirstOfficer
from bundles.signing.keys import PrivateKey
from tests.control.test_openapi import Anybody, serving
from tests.deltas.conftest import Road
from tests.intake.inside import Inside
from tests.outgoing.outside import Outside

ANSWERS: Final = Path(__file__).with_name("answers.txt")
NAME: Final = "alpha.bravo-000001"
SECOND: Final = "alpha.bravo-000002"
PASSWORD: Final = "a long enough word here"
DIGEST: Final = f"sha256:{'5' * 64}"
VARYING: Final = (
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r'"secret": "[^"]*"', '"secret": "SECRET"'),
    (r"(?<=[\"/])[0-9a-f]{8}(?=[\":/])", "CHANGE"),
    (r'"(micros|pid|lane|seq|covered|uncovered|lanes|checkpoints)": ?\d+', r'"\1": NUMBER'),
    (r"\b[0-9a-f]{16}\b", "KEYID"),
    (r'"tool": "lockgate [^"]*"', '"tool": "lockgate VERSION"'),
    (r'("allowed": (?:true|false), "why": )"[^"]*"', r'\1"WHY"'),
    (r'"(summary|text)":( ?)"[^"]*"', r'"\1":\2"TEXT"'),
    (r'("code": "[^"]*", )"what": .*, ("exit_status")', r"\1\2"),
    (r'"payload": "[^"]*"', '"payload": "BASE64"'),
    (r'"(free|fd)": ?\d+', r'"\1": NUMBER'),
)
"""What no two runs have in common."""


class Asking:
    """Requests one after the other, and what was answered, as lines; `root` is the folder that all of it lies in."""

    def __init__(self, root: Path) -> None:
        self.lines: list[str] = []
        self.base = ""
        self._root = str(root)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self.base + path, json=body, timeout=60)
        text, shown = answer.content.decode().replace(self._root, "FOLDER"), path
        for pattern, word in VARYING:
            text, shown = re.sub(pattern, word, text), re.sub(pattern, word, shown)
        self.lines.append(f"{method} {shown}\n{answer.status_code} {text}")
        return answer.json()


@pytest.fixture
def each_second_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is a second later after each look, so that what is in order of time is in one order."""
    passed = [int(time.time())]

    def now() -> str:
        passed[0] += 1
        return clock.at(passed[0] - 1)

    monkeypatch.setattr(clock, "now", now)
    monkeypatch.setattr(clock, "micros", lambda: passed[0] * 1_000_000)
    monkeypatch.setattr(clock, "after", lambda seconds: clock.at(passed[0] + seconds))


@pytest.fixture
def stations(each_second_later: None, tmp_path: Path) -> tuple[Path, Path, Path, PrivateKey]:
    """Outside and inside, with one bundle that went all the way, one in quarantine, and a receipt for the outside."""
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        road = Road(tmp_path, outside, inside)
        folder = road.build(road.make("1", a=b"one"))
        for station, giver, taker in ((outside, "Builder", "Courier"), (inside, "Courier", "Operator")):
            fields = {"giver": giver, "taker": taker, "medium": "USB-7", "serial": "S1", "seal": "0042", "note": ""}
            if station is inside:
                road.release(folder)
            station.writer.submit(HandOver(bundle=NAME, actor="x", at=clock.now(), **fields))
        road.bring(road.build(road.make("2", b=b"two")))
        receipt = road.receipt()
    return tmp_path / "alpha", tmp_path / "bravo", receipt, road.officer


def ask_inside(asking: Asking, officer: PrivateKey) -> None:
    for path in (
        "/v1/intake", f"/v1/intake/{NAME}", "/v1/intake?limit=1", "/v1/approvals", "/v1/approvals/alpha.bravo-000002",
        "/v1/releases/check", "/v1/custody", f"/v1/bundles/{NAME}/custody", "/v1/streams", "/v1/ledger",
        "/v1/ledger?limit=1", "/v1/clock", "/v1/receipts", "/v1/kept", "/v1/wants", "/v1/find?q=tools",
        "/v1/find?q=alpha", "/v1/tls", "/v1/audit/head", "/v1/audit?act=intake.release", "/v1/media", "/v1/damage",
    ):  # fmt: skip
        asking.ask("GET", path)
    found = asking.ask("GET", "/v1/custody?limit=1")
    assert found["next"] == NAME
    repository = asking.ask("GET", "/v1/repositories")["items"][0]["name"]
    asking.ask("GET", f"/v1/recall?thing={repository}:1")
    handed = {"giver": "Ann", "taker": "Bob", "medium": "USB-8"}
    asking.ask("POST", f"/v1/bundles/{NAME}/custody", handed)
    asking.ask("POST", "/v1/blocks", {"thing": f"{repository}:1", "why": "bad"})
    asking.ask("POST", "/v1/blocks", {"thing": DIGEST, "why": "bad"})
    asking.ask("GET", "/v1/blocks")
    asking.ask("DELETE", f"/v1/blocks/{DIGEST}")
    asking.ask("GET", f"/v1/approvals/{SECOND}?keyid={officer.public.keyid}")
    draft = asking.ask("GET", f"/v1/intake/{SECOND}/approval?keyid={officer.public.keyid}")["payload"]
    signature = base64.b64encode(officer.sign(base64.b64decode(draft))).decode()
    signed = {"payload": draft, "keyid": officer.public.keyid, "signature": signature}
    asking.ask("POST", f"/v1/intake/{SECOND}/approval", signed)
    asking.ask("POST", f"/v1/intake/{SECOND}/release", {})
    asking.ask("POST", f"/v1/intake/{NAME}/withdraw", {"why": "recalled"})
    asking.ask("POST", "/v1/streams/alpha.bravo/reset", {"sequence": 9, "why": "lost"})
    asking.ask("GET", "/v1/audit/check")


def ask_accounts(asking: Asking) -> None:
    asking.ask("POST", "/v1/accounts", {"name": "ann", "full_name": "Ann Example", "password": PASSWORD, "uid": 1999})
    asking.ask("POST", "/v1/accounts", {"name": "robot-ci", "kind": "robot"})
    for role in ("administrator", "reader"):
        asking.ask("POST", "/v1/accounts/ann/grant", {"role": role})
    asking.ask("POST", "/v1/accounts/ann/withdraw", {"role": "reader"})
    asking.ask("POST", "/v1/accounts/ann/password", {"password": f"{PASSWORD} 2"})
    for path in ("/v1/accounts", "/v1/accounts/ann", "/v1/accounts/ann/explain?repository=a/b",
                 "/v1/accounts/robot-ci/tokens", "/v1/account-changes", "/v1/account-changes?state=all",
                 "/v1/access-review", "/v1/access-review/exposure", "/v1/session"):  # fmt: skip
        asking.ask("GET", path)


def ask_about_changes(asking: Asking) -> None:
    """On a station whose first officer has called, so that changes of roles wait."""
    asking.ask("POST", "/v1/accounts", {"name": "eve", "password": PASSWORD})
    waits = asking.ask("POST", "/v1/accounts/eve/grant", {"role": "security-officer", "pattern": "a/**"})["waits"]
    asking.ask("GET", "/v1/account-changes")
    asking.ask("POST", f"/v1/account-changes/{waits['id']}/confirm")
    asking.ask("POST", f"/v1/account-changes/{waits['id']}/cancel")


def ask_outside(asking: Asking, receipt: Path) -> None:
    asking.ask("POST", "/v1/receipts", {"statement": document_of(receipt)})
    for path in ("/v1/bundles", "/v1/deltas", "/v1/receipts", "/v1/kept", "/v1/wants", "/v1/sites", "/v1/streams",
                 "/v1/destination?to=bravo", f"/v1/bundles/{NAME}/custody", "/v1/jobs?limit=1"):  # fmt: skip
        asking.ask("GET", path)
    asking.ask("POST", "/v1/sites", {"site": "charlie"})
    asking.ask("POST", "/v1/sites", {"site": "charlie"})
    asking.ask("DELETE", "/v1/sites/charlie")
    repository = asking.ask("GET", "/v1/repositories")["items"][0]["name"]
    plan = {"to": "bravo", "references": [f"{repository}:1"], "volume": "1MiB", "media": [{"capacity": "25GB"}]}
    asking.ask("POST", "/v1/plans", plan)
    asking.ask("POST", "/v1/plans", plan | {"references": ["tools:*"], "changed": True})
    asking.ask("POST", "/v1/copies", {"source": f"{repository}:1", "target": "team/copy:1"})
    asking.ask("POST", "/v1/repositories/team/copy/delete", {"tags": "*", "dry_run": True})
    asking.ask("POST", "/v1/repositories/team/copy/delete", {"tags": "*"})
    asking.ask("POST", "/v1/bundles/alpha.bravo-000002/void", {"why": "lost", "with_later": True})
    job = asking.ask("GET", "/v1/jobs")["items"][0]["id"]
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/log", f"/v1/jobs/{job}/to-sign"):
        asking.ask("GET", path)


def test_each_answer_is_the_bytes_it_was(
    stations: tuple[Path, Path, Path, PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside, receipt, officer = stations
    mounted = Mounted(path="/media/usb", label="USB", filesystem="vfat", size=9, free=7, read_only=False,
                            bundles=[NAME])  # fmt: skip
    monkeypatch.setattr("appliance.control.routes.media.mounted_media", lambda **_: [mounted])
    monkeypatch.setattr(Anybody, "identify", lambda *_: Caller("tester", everything=True))
    asking = Asking(inside.parent)
    with serving(inside) as (asking.base, _):
        ask_inside(asking, officer)
        ask_accounts(asking)
    with Inside(inside) as station:
        station.writer.submit(FirstOfficer(officer="olga", at=clock.now()))
    with serving(inside) as (asking.base, _):
        ask_about_changes(asking)
    with serving(outside) as (asking.base, _):
        ask_outside(asking, receipt)
    text = "\n".join(asking.lines) + "\n"
    if os.environ.get("LOCKGATE_RECORD_ANSWERS"):
        ANSWERS.write_text(text)
    assert text.splitlines() == ANSWERS.read_text().splitlines()
