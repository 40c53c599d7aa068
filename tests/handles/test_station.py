"""A real station that runs as root, and a collector and courier who is not: what they reach through it."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access.live import PASSWORD, PATHS, Live, python_of_others
from tests.handles.people import NOBODY, needs_root

pytestmark = needs_root

ASK = """
import asyncio, json, sys
from pathlib import Path
from appliance.control.client import ControlClient
from bundles.errors import LockgateError

async def main():
    async with ControlClient(Path(sys.argv[1])) as client:
        try:
            print(json.dumps(await client.post(sys.argv[2], json.loads(sys.argv[3]))))
        except LockgateError as error:
            print(json.dumps({"refused": error.what, "exit": error.exit_status}))

asyncio.run(main())
"""
"""One request, as it is, by whoever runs this."""


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """A station of root's with an account for uid 65534 that collects, builds, imports and writes receipts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        station = Live(Path(folder) / "bravo", Path(folder) / "home")
        station.home.mkdir()
        station.make()
        station.configure(socket_group=f'"{grp.getgrnam("daemon").gr_name}"')
        station.start()
        station.call("user", "login", "ada", password=PASSWORD)
        station.call("user", "create", "carl", password=PASSWORD)
        for role in ("collector", "courier"):
            station.call("role", "grant", "carl", role)
        station.call("user", "bind", "carl", "--uid", NOBODY)
        yield station
        station.stop()


@pytest.fixture
def carl(live: Live) -> Iterator[Live]:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        yield Live(live.root, Path(folder), port=live.port)


def as_carl(carl: Live, *words: object, expect: int) -> str:
    return carl.call(*words, expect=expect, user=NOBODY, groups=[grp.getgrnam("daemon").gr_gid])


def ask(carl: Live, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A request of carl's own making."""
    command = [python_of_others(), "-c", ASK, str(carl.root), path, json.dumps(body)]
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[grp.getgrnam("daemon").gr_gid], cwd="/", check=True,
        env=os.environ | PATHS, capture_output=True, text=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


SECRETS = ("keys/audit.pem", "keys/receipt.pem", "tls/ca.key", "metadata.sqlite", "config.toml", "trust/site.json")


@pytest.mark.parametrize("name", [*SECRETS, "/etc/shadow"])
def test_a_collector_gets_nothing_by_its_path(carl: Live, name: str) -> None:
    path = str(carl.root / name)
    body = {"kind": "collect", "params": {"sources": [{"kind": "file", "path": path, "as": "team/x:1"}]}}
    assert ask(carl, "/v1/jobs", body) == {"refused": "a request names no path", "exit": 2}


@pytest.mark.parametrize("name", ["trust", "keys", "/etc/cron.d", "/root"])
def test_a_courier_writes_nowhere_by_a_path(carl: Live, name: str) -> None:
    path = str(carl.root / name / "planted")
    assert ask(carl, "/v1/jobs", {"kind": "receipt", "params": {"out": path}})["exit"] == 2
    body = {"to": "charlie", "references": ["team/x:1"], "media": [{"path": path}]}
    assert ask(carl, "/v1/plans", body)["exit"] in (2, 3)
    assert not Path(path).exists()


def test_an_importer_lists_no_folder_by_its_path(carl: Live) -> None:
    body = {"kind": "import", "params": {"paths": ["/root"]}}
    assert ask(carl, "/v1/jobs", body) == {"refused": "a request names no path", "exit": 2}


def test_a_receipt_is_not_read_by_its_path(carl: Live) -> None:
    assert ask(carl, "/v1/receipts", {"path": "/etc/shadow"})["exit"] in (2, 3)
    assert ask(carl, "/v1/receipts", {"statement": "/etc/shadow"})["exit"] in (2, 3)


def test_the_command_line_is_refused_by_the_system_itself(carl: Live) -> None:
    secret = carl.home / "secret"
    secret.write_bytes(b"root's")
    secret.chmod(0o600)
    link = carl.home / "link"
    link.symlink_to("/etc/shadow")
    for path in (secret, link):
        assert "Permission denied" in as_carl(carl, "collect", f"file:{path}", "--as", "team/x:1", expect=1)
    for path in (carl.root / "trust/receipt", Path("/etc/cron.d/receipt")):
        if path.parent.is_dir():
            as_carl(carl, "receipt", "export", "--out", path, expect=3 if "etc" in str(path) else 1)
            assert not path.exists()
    closed = carl.home / "closed"
    closed.mkdir(mode=0o700)
    assert "not readable" in as_carl(carl, "intake", "import", closed, expect=2)


def test_what_is_ones_own_is_collected_although_the_station_could_not_find_it(carl: Live) -> None:
    carl.home.chmod(0o700)
    file = carl.home / "file"
    file.write_bytes(b"carl's")
    os.chown(file, NOBODY, NOBODY)
    file.chmod(0o400)
    assert as_carl(carl, "collect", f"file:{file}", "--as", "team/own:1", expect=0).strip() == "team/own:1"


def test_a_layout_beneath_ones_own_folder_gives_no_other_s_files(carl: Live) -> None:
    layout = carl.home / "layout"
    layout.mkdir()
    os.chown(layout, NOBODY, NOBODY)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "oci-layout").chmod(0o644)
    for name in ("link", "closed"):
        index = layout / "index.json"
        index.unlink(missing_ok=True)
        if name == "link":
            index.symlink_to("/etc/shadow")
        else:
            index.write_text("{}")
            index.chmod(0o600)
        said = as_carl(carl, "collect", f"oci:{layout}:1", "--as", "team/x:1", expect=2 if name == "link" else 1)
        assert "root:" not in said


def test_a_receipt_goes_where_the_courier_may_write_and_is_theirs(carl: Live) -> None:
    out = carl.home / "receipt"
    as_carl(carl, "receipt", "export", "--out", out, expect=0)
    assert {path.stat().st_uid for path in carl.home.glob("receipt*")} == {NOBODY}
    assert len(list(carl.home.glob("receipt.*.sig"))) == 1
    assert "exists" in as_carl(carl, "receipt", "export", "--out", out, expect=2)


def test_a_handle_of_another_uid_is_of_no_use(carl: Live, tmp_path: Path) -> None:
    from appliance.handles.giving import hand_over
    from appliance.handles.path_params import JOB_PATHS

    given = hand_over(carl.root, {"paths": [str(tmp_path)]}, JOB_PATHS["import"])
    answer = ask(carl, "/v1/jobs", {"kind": "import", "params": given})
    assert (answer["refused"], answer["exit"]) == ("no such handle, or not this caller's", 3)


def test_every_refusal_is_in_the_audit_log(live: Live, carl: Live) -> None:
    ask(carl, "/v1/jobs", {"kind": "import", "params": {"paths": ["/root/secret-place"]}})
    log = "".join(path.read_text() for path in (live.root / "audit").rglob("*.jsonl"))
    assert "/root/secret-place" in log
