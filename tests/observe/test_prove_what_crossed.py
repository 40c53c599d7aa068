"""From exported files and stock tools alone somebody proves what crossed, who signed and who released: the page that
says how is run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance import clock
from appliance.intake.custody import signed_documents
from appliance.intake.ledger import find_entry
from appliance.observe import audit_export
from appliance.observe.audit import AuditEvent, FileAudit
from bundles.audit_found import REFUSED
from bundles.audit_log import line_of
from bundles.signing.keys import load_public
from tests.intake.inside import Inside, name_of, small_bundle
from tests.observe.station import act, make

PAGE = Path(__file__).parents[2] / "docs/howto/prove-what-crossed.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, Path, str]:
    """An export of a station that released a bundle, its audit key, and the bundle's digest."""
    with Inside(tmp_path / "bravo", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        audit = station.station.audit
        for owner in ("Anna Berg", "Boris"):
            key = station.officer(owner)
            station.decide(name_of(), key)
            detail = {"digest": find_entry(station.station.reader, name_of()).digest, "keyid": key.public.keyid,
                      "owner": owner}  # fmt: skip
            audit.record(AuditEvent("intake.approve", "anna(1)", name_of(), "done", detail))
        station.release(name_of())
        entry = find_entry(station.station.reader, name_of())
        paths = station.station.paths
        documents = signed_documents(station.station.reader, station.station.trust())
        audit_export.export(paths, tmp_path / "out", documents, site="bravo", at=clock.now())
        return tmp_path / "out", paths.keys / "audit.pub.pem", entry.digest


def run(block: str, export: Path, key: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    today = clock.now()[:10]
    names = {"EXPORT": str(export), "AUDIT_PEM": str(key), "FROM": today, "UNTIL": clock.after(86_400)[:10]}
    return subprocess.run(
        ["sh", "-euc", block], env=os.environ | names | changes, capture_output=True, text=True, check=False
    )


def test_the_page_proves_it(exported: tuple[Path, Path, str]) -> None:
    export, key, digest = exported
    ended = [run(block, export, key) for block in BLOCKS]
    assert [one.returncode for one in ended] == [0] * 5, [one.stderr for one in ended]
    crossed = ended[2].stdout.splitlines()
    assert [line.split()[1:] for line in crossed] == [
        ["intake.import", name_of(), "by", "tester(0)", digest],
        ["intake.release", name_of(), "by", "tester(0)", digest],
    ]
    assert f"{digest} signed by" in ended[3].stdout
    assert sorted(re.findall(r"approve by (.*) \(", ended[4].stdout)) == ["Anna Berg", "Boris"]


def test_the_page_stops_at_a_lane_that_the_station_did_not_write(tmp_path: Path) -> None:
    paths = make(tmp_path / "bravo")
    act(FileAudit(paths.audit), 1)
    lane = paths.audit / "lanes/01.000001.jsonl"
    forged = json.loads(lane.read_text()) | {"lane": 2, "thing": "alpha.bravo-000009"}
    (paths.audit / "lanes/02.000001.jsonl").write_bytes(line_of(forged))
    audit_export.export(paths, tmp_path / "out", {}, site="bravo", at=clock.now())
    key = paths.keys / "audit.pub.pem"
    assert run(BLOCKS[0], tmp_path / "out", key).returncode == 0
    assert run(BLOCKS[1], tmp_path / "out", key).returncode == 1
    found = audit_export.verify_export(tmp_path / "out", load_public(key), "bravo").findings
    assert {REFUSED} == {each.code for each in found}


def test_what_crossed_on_another_day_is_not_shown(exported: tuple[Path, Path, str]) -> None:
    export, key, _ = exported
    assert run(BLOCKS[2], export, key, FROM="2020-01-01", UNTIL="2020-02-01").stdout == ""


@pytest.mark.parametrize(
    ("block", "what"),
    [(0, "lanes/01.000001.jsonl"), (1, "lanes/01.000001.jsonl"), (3, "bundles/*/manifest.json"),
     (3, "bundles/*/SHA256SUMS"), (4, "bundles/*/decisions/001.json"), (4, "bundles/*/reports/*.json")],
)  # fmt: skip
def test_the_page_finds_what_was_changed(
    exported: tuple[Path, Path, str], tmp_path: Path, block: int, what: str
) -> None:
    export, key, _ = exported
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    (file,) = copy.glob(what)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"a", b"b", 1))
    assert run(BLOCKS[block], copy, key).returncode != 0
