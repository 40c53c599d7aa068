"""A command on a station's folder whose event cannot be written does nothing: a log that really cannot be written."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from bundles.errors import FailedError
from bundles.signing.keys import PrivateKey, PublicKey, create_private, save_private
from bundles.signing.trust import TrustFolder
from tests.cli import test_bundle_offline
from tests.cli.conftest import Run
from tui.station.station_folder import FolderDesk, Grant, Heard

original, folder, second = test_bundle_offline.original, test_bundle_offline.folder, test_bundle_offline.second

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from appliance.cli.main import main
sys.argv = ["lockgate", *sys.argv[2:]]
main()
"""


def files(root: Path) -> dict[str, bytes]:
    """Every file beside the audit log, by path; locks hold nothing."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and "audit" not in path.relative_to(root).parts[:1]
        and not path.name.endswith(("lock", "lease"))
    }


def lanes_are_a_file(station: Path) -> None:
    shutil.rmtree(station / "audit/lanes")
    (station / "audit/lanes").touch()


@pytest.fixture
def pinned(run: Run, station: Path, tmp_path: Path) -> tuple[str, Path]:
    """A pinned key's id, and another key's file."""
    for name in ("officer", "other"):
        save_private(tmp_path / f"{name}.pem", create_private(), None)
    made = run("key", "trust", tmp_path / "officer.pub.pem", "--purpose", "release", "--owner", "O", "-C", station)
    assert made.status == 0, made.err
    (record,) = TrustFolder.load(station / "trust").records
    return record.keyid, tmp_path / "other.pub.pem"


COMMANDS: dict[str, Callable[[str, Path], list[str]]] = {
    "KEY_TRUST": lambda _, other: ["key", "trust", str(other), "--purpose", "release", "--owner", "Second"],
    "KEY_REVOKE": lambda keyid, _: ["key", "revoke", keyid, "--why", "lost"],
    "KEY_UNTRUST": lambda keyid, _: ["key", "untrust", keyid, "--why", "a wrong one"],
    "KEY_CHANGE": lambda keyid, _: ["key", "change", keyid, "--owner", "Another", "--why", "misspelt"],
    "KEY_CREATE": lambda *_: ["key", "create", "engineer", "--no-passphrase"],
    "KEY_IMPORT": lambda _, other: ["key", "import", "brought", str(other.parent / "other.pem"), "--no-passphrase"],
    "KEY_ROTATE": lambda *_: ["key", "rotate", "kept", "--no-passphrase"],
    "KEY_ESCROW": lambda _, other: ["key", "escrow", "kept", "--out", str(other.parent / "out")],
    "KEY_EXPORT": lambda _, other: ["key", "export", "kept", "--private", "pkcs8", "--out", str(other.parent / "out")],
    "TRUST_POLICY": lambda *_: ["key", "policy", "--purpose", "bundle", "--signers", "2"],
    "TRUST_EXPORT": lambda _, other: ["key", "export-trust", str(other.parent / "out")],
    "TLS_RENEW": lambda *_: ["tls", "renew"],
    "ACCOUNT_CODE": lambda *_: ["user", "code"],
    "AUDIT_EXPORT": lambda _, other: ["audit", "export", "--out", str(other.parent / "out")],
    "RESTORE": lambda *_: ["restore", "--why", "an older copy"],
}
"""By the act that is recorded first."""

ELSEWHERE = {
    "REBUILD": "tests/lifecycle/test_rebuild.py::test_nothing_is_rebuilt_unrecorded",
    "CLOSE": "tests/cli/test_close.py::test_nothing_is_closed_where_it_cannot_be_recorded",
    "ACCOUNT_CLAIM": "tests/control/test_recorded_first.py::test_a_stopped_station_is_not_changed_without_an_event",
    "KEY_CEREMONY": "tests/cli/test_recorded_first.py::test_the_consoles_acts_on_keys_do_nothing_unrecorded",
    "KEY_RECOVER": "tests/cli/test_recorded_first.py::test_no_key_comes_back_from_escrow_unrecorded",
}


def test_every_act_on_a_folder_is_walked() -> None:
    repository = Path(__file__).parents[2]
    found = set()
    for path in (*(repository / "appliance/cli").rglob("*.py"), repository / "appliance/trust_acts.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "recorded":
                found.add(getattr(node.args[1], "attr", "RESTORE"))  # `restore` names its act by a constant
    assert found == COMMANDS.keys() | ELSEWHERE.keys()
    for named in ELSEWHERE.values():
        file, _, name = named.partition("::")
        assert f"def {name}(" in (repository / file).read_text(), named


def test_no_key_comes_back_from_escrow_unrecorded(run: Run, station: Path, tmp_path: Path) -> None:
    save_private(station / "keys" / "kept.pem", create_private(), None)
    out = tmp_path / "out"
    assert run("key", "escrow", "kept", "--out", out, "-C", station).status == 0
    shares = [word for number in (1, 2) for word in ("--share", str(out / f"kept.share-{number}.txt"))]
    lanes_are_a_file(station)
    before = files(station)
    ended = run("key", "recover", "back", out / "kept.escrow.pem", *shares, "-C", station, passphrase="new")
    assert (ended.status, "audit log" in ended.err) == (1, True), ended.err
    assert files(station) == before


@pytest.mark.parametrize("act", ["pin", "first trust", "revoke", "rotate"])
def test_the_consoles_acts_on_keys_do_nothing_unrecorded(station: Path, pinned: tuple[str, Path], act: str) -> None:
    keyid, other = pinned
    save_private(station / "keys" / "kept.pem", create_private(), None)
    desk, grant = FolderDesk(station), Grant("release", "Second")
    heard = Heard(PublicKey.from_pem(other.read_bytes()).words, "Witness", str(other.parent / "record"))
    lanes_are_a_file(station)
    before = files(station)
    acts: dict[str, Callable[[], object]] = {
        "pin": lambda: desk.pin(str(other), grant),
        "first trust": lambda: desk.pin(str(other), grant, heard),
        "revoke": lambda: desk.revoke(keyid, "lost"),
        "rotate": lambda: desk.rotate("kept", "a passphrase"),
    }
    with pytest.raises(FailedError, match="audit log cannot be written"):
        acts[act]()
    assert files(station) == before
    assert not (other.parent / "record").exists()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_on_the_folder_changes_nothing_where_the_lanes_are_a_file(
    run: Run, station: Path, pinned: tuple[str, Path], tmp_path: Path, command: str
) -> None:
    secret = "a passphrase" if command == "KEY_EXPORT" else None
    save_private(station / "keys" / "kept.pem", create_private(), secret.encode() if secret else None)
    lanes_are_a_file(station)
    before = files(station)
    ended = run(*COMMANDS[command](*pinned), "-C", station, passphrase=secret)
    assert (ended.status, "audit log" in ended.err) == (1, True), ended.err
    assert files(station) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["KEY_REVOKE", "KEY_TRUST"])
def test_a_command_on_the_folder_changes_nothing_where_a_file_may_not_grow(
    station: Path, pinned: tuple[str, Path], command: str
) -> None:
    """Every other file that the command writes is far smaller than the log: the log alone cannot grow."""
    log = FileAudit(station / "audit")
    for number in range(100):
        log.record(AuditEvent(Act.AUDIT_VERIFY, "tester", f"filler {number} {'x' * 150}"))
    del log
    (lane,) = (station / "audit/lanes").glob("*.jsonl")
    words, before = [*COMMANDS[command](*pinned), "-C", str(station)], files(station)
    limited = [sys.executable, "-c", LIMITED, str(lane.stat().st_size), *words]
    ended = subprocess.run(limited, capture_output=True, text=True, env=os.environ, check=False)
    assert (ended.returncode, "audit log" in ended.stderr) == (1, True), ended.stderr
    assert files(station) == before
    limited[3] = str(lane.stat().st_size + 4096)
    assert subprocess.run(limited, capture_output=True, env=os.environ, check=False).returncode == 0
    assert files(station) != before


def test_nothing_is_co_signed_where_it_cannot_be_recorded(
    run: Run, station: Path, folder: Path, second: PrivateKey, tmp_path: Path
) -> None:
    save_private(station / "keys/second.pem", second, None)
    kept = shutil.copytree(station / "audit/lanes", tmp_path / "lanes")
    lanes_are_a_file(station)
    before = files(folder)
    ended = run("bundle", "sign", folder, "--key", "second", "-C", station)
    assert (ended.status, "audit log" in ended.err) == (1, True), ended.err
    assert files(folder) == before
    (station / "audit/lanes").unlink()
    shutil.move(kept, station / "audit/lanes")
    assert run("bundle", "sign", folder, "--key", "second", "-C", station).status == 0
    assert files(folder) != before


def test_a_station_is_not_made_where_it_cannot_be_recorded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lanes' folder becomes a file as soon as the log's folder is there."""
    make, root = Path.mkdir, tmp_path / "bravo"

    def mkdir(self: Path, *given: object, **named: object) -> None:
        make(self, *given, **named)  # type: ignore[arg-type]
        if self.name == "audit":
            (self / "lanes").touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    ended = run("init", root, "--site", "bravo", "--side", "inside")
    assert (ended.status, "audit log" in ended.err) == (1, True), ended.err
    assert list(root.iterdir()) == []
    monkeypatch.undo()
    assert run("init", root, "--site", "bravo", "--side", "inside").status == 0
