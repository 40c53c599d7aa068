"""The audit log of a running station, by the command line: heads that were written down, exports, floods."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.audit.checkpoints import verify_log
from appliance.paths import StationPaths
from bundles.errors import RefusedError
from tests.release.closed import Closed


def copied(closed: Closed, to: Path) -> Path:
    """The station's folder as somebody else has it, without its sockets."""
    shutil.copytree(closed.root, to, ignore=shutil.ignore_patterns("run", "store", "*.sock", "*.lock"))
    return to


def cut(folder: Path, lines: int, checkpoints: int) -> None:
    """The first so many lines of the longest lane, and of the checkpoints."""
    lane = max((folder / "audit/lanes").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    for path, count in ((lane, lines), (folder / "audit/checkpoints.jsonl", checkpoints)):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))


def test_a_cut_end_shows_against_the_head_on_a_receipt_a_form_and_the_console(closed: Closed, tmp_path: Path) -> None:
    name = closed.brought()
    early = copied(closed, tmp_path / "early")
    closed.approve("anna", name)
    exported = closed.cli("carl", "receipt", "export", "--out", tmp_path / "receipt.json", "--json").json
    on_form = closed.ask("vera", "GET", f"/v1/bundles/{name}/custody")["head"]
    on_console = closed.ask("vera", "GET", "/v1/status")["audit"]["head"]
    assert f"audit head      {on_form}" in closed.cli("vera", "bundle", "custody", name).stdout
    for head in (exported["head"], on_form, on_console):
        closed.command("audit", "verify", "-C", closed.root, "--expect-head", head)
        said = closed.command("audit", "verify", "-C", early, "--expect-head", head, expect=3)
        assert "the log's end was cut" in said.stderr
    # Without a head nobody could tell, and the command says that it did not check.
    assert "a cut end: not checked" in closed.command("audit", "verify", "-C", early).stdout


def test_an_approval_and_an_import_cannot_be_cut_off_once_they_are_answered(closed: Closed, tmp_path: Path) -> None:
    """Without a head that was written down: the station signs at once after such an act."""
    name = closed.brought()
    for act in ("intake.import", "intake.approve"):
        if act == "intake.approve":
            closed.approve("anna", name)
        copy = StationPaths(copied(closed, tmp_path / act))
        (lane, at), = [
            (path, number)
            for path in (copy.audit / "lanes").glob("*.jsonl")
            for number, line in enumerate(path.read_bytes().splitlines())
            if f'"act":"{act}"'.encode() in line and f'"thing":"{name}"'.encode() in line
        ]  # fmt: skip
        lane.write_bytes(b"".join(lane.read_bytes().splitlines(keepends=True)[:at]))
        assert any("its end was cut" in found.what for found in verify_log(copy, "bravo").findings)


def test_an_export_is_checked_elsewhere_by_the_key_and_the_head(closed: Closed, tmp_path: Path) -> None:
    closed.brought()
    said = closed.cli("vera", "audit", "export", "--out", tmp_path / "out").stdout.splitlines()
    head, folder = said[0].split()[-1], Path(said[-1])
    pem = tmp_path / "audit.pem"
    pem.write_text(closed.command("key", "export", "audit", "-C", closed.root).stdout)
    words = ("audit", "verify", "--export", folder, "--key", pem, "--site", "bravo", "--expect-head", head)
    assert f"[ok] the log holds the head {head}" in closed.command(*words).stdout
    lane = next((folder / "lanes").glob("*.jsonl"))
    lane.write_bytes(lane.read_bytes().replace(b'"carl"', b'"anna"', 1))
    assert "findings" in closed.command(*words, expect=3).stderr
    assert closed.command(*words[:4], "--key", pem, "--site", "alpha", expect=3).stderr


def test_a_flood_of_the_same_refusal_is_a_few_events_and_a_count(closed: Closed) -> None:
    before = len(closed.ask("vera", "GET", "/v1/audit", limit=1000, actor="carl", outcome="refused")["items"])
    for _ in range(120):
        with pytest.raises(RefusedError):
            closed.ask("carl", "GET", "/v1/approvals/none")
    events = closed.ask("vera", "GET", "/v1/audit", limit=1000, actor="carl", outcome="refused")["items"][before:]
    assert len(events) <= 10
    assert sum(event["detail"].get("repeated", 1) for event in events) >= 100
