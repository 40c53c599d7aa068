"""An export of the audit log holds what was in it, and only what a verified export holds is pruned."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from appliance.audit import export
from appliance.audit.checkpoints import checkpoint
from appliance.audit.port import FileAudit
from appliance.cli.station.audit import prune
from appliance.cli.station.audit import verify as verify_command
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from bundles.documents.audit_cut import sign_cut
from bundles.errors import RefusedError, UsageError
from bundles.signing.keys import create_private, load_public
from tests.observe.station import SITE, act, fill, findings, lane, lines


def test_only_what_an_export_holds_may_go_and_the_rest_still_verifies(
    paths: StationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    audit = fill(paths, 30)
    export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    cut = export.prunable(paths, tmp_path / "out", SITE)
    assert cut is not None
    act(audit, 31, act="audit.prune", detail=export.announced(paths, cut))
    assert export.prune(paths, cut) > 2
    assert findings(paths) == []
    assert not lane(paths, 1, 1).exists()
    lane(paths, 1, cut.lanes[0].first).unlink()
    assert findings(paths)


@pytest.fixture
def prunable(paths: StationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FileAudit, export.Cut, str]:
    """A log of several segments, a cut that an export allows, and a head that was printed before it."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    audit = fill(paths, 30)
    head = checkpoint(paths)
    export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    cut = export.prunable(paths, tmp_path / "out", SITE)
    assert cut is not None
    return audit, cut, head


Prunable = tuple[FileAudit, export.Cut, str]


def test_a_head_that_was_printed_before_a_cut_is_held_after_it(paths: StationPaths, prunable: Prunable) -> None:
    audit, cut, head = prunable
    act(audit, 31, act="audit.prune", detail=export.announced(paths, cut))
    export.prune(paths, cut)
    assert findings(paths, head) == []


def _unsigned(detail: dict[str, Any]) -> dict[str, Any]:
    return {"lanes": detail["cut"]["lanes"]}


def _by_another_key(detail: dict[str, Any]) -> dict[str, Any]:
    cut = msgspec.convert(detail["cut"], export.Cut)
    return sign_cut(cut, create_private())


def _moved(detail: dict[str, Any]) -> dict[str, Any]:
    return {**detail, "cut": {**detail["cut"], "head": "9-" + "0" * 64}}


@pytest.mark.parametrize("forge", [_unsigned, _by_another_key, _moved])
def test_a_beginning_that_went_with_a_forged_prune_is_found(
    paths: StationPaths, prunable: Prunable, forge: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Whoever writes every file of the station, and lacks its audit key."""
    audit, cut, head = prunable
    act(audit, 31, act="audit.prune", detail=forge(export.announced(paths, cut)))
    checkpoint(paths)
    export.prune(paths, cut)
    found = findings(paths, head)
    assert any("signed" in text or "signature" in text for text in found)
    assert any("were removed" in text for text in found)


@pytest.mark.parametrize("more", ["a line", "a segment"])
def test_more_than_a_signed_cut_says_is_found(paths: StationPaths, prunable: Prunable, more: str) -> None:
    audit, cut, _ = prunable
    act(audit, 31, act="audit.prune", detail=export.announced(paths, cut))
    checkpoint(paths)
    export.prune(paths, cut)
    path = lane(paths, 1, cut.lanes[0].first)
    assert path.exists()
    kept = lines(path)[1:] if more == "a line" else []
    path.write_bytes(b"".join(kept)) if kept else path.unlink()
    assert findings(paths)


def test_a_lines_cut_within_a_segment_is_no_prune(paths: StationPaths, prunable: Prunable) -> None:
    """The first segment stays, without its first lines, beside a signed cut of it: segments go whole, or not at all."""
    audit, cut, _ = prunable
    act(audit, 31, act="audit.prune", detail=export.announced(paths, cut))
    first = lane(paths)
    first.write_bytes(b"".join(lines(first)[1:]))
    assert any("were removed" in text for text in findings(paths))


def test_nothing_goes_by_an_export_that_was_changed(
    paths: StationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    fill(paths, 30)
    export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    with (tmp_path / "out/lanes/01.000001.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(RefusedError, match="does not verify"):
        export.prunable(paths, tmp_path / "out", SITE)


def edit(folder: Path, chance: random.Random) -> str:
    """One random edit of an export, as somebody with an editor would make it. Says what it did."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = chance.choice(files)
    data = path.read_bytes()
    kind = chance.choice(["byte", "bit", "cut", "add", "delete", "line", "swap", "copy", "field", "rename", "new"])
    everything = data.splitlines(keepends=True)
    if kind == "byte":
        at = chance.randrange(len(data))
        path.write_bytes(data[:at] + bytes([(data[at] + chance.randrange(1, 256)) % 256]) + data[at + 1 :])
    elif kind == "bit":
        at = chance.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])
    elif kind == "cut":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif kind == "add":
        path.write_bytes(data + chance.choice([b"\n", b" ", data[-20:], everything[-1]]))
    elif kind == "delete":
        path.unlink()
    elif kind == "line":
        at = chance.randrange(len(everything))
        path.write_bytes(b"".join(everything[:at] + everything[at + 1 :]))
    elif kind == "swap" and len(everything) > 1:
        at = chance.randrange(len(everything) - 1)
        path.write_bytes(b"".join([*everything[:at], everything[at + 1], everything[at], *everything[at + 2 :]]))
    elif kind == "copy":
        at = chance.randrange(len(everything))
        path.write_bytes(b"".join([*everything[:at], everything[at], *everything[at:]]))
    elif kind == "field":
        log = folder / "lanes/01.000001.jsonl"
        events = lines(log)
        at = chance.randrange(len(events))
        fields = json.loads(events[at])
        fields[chance.choice(["act", "actor", "thing", "outcome", "time"])] = "2020"
        events[at] = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        log.write_bytes(b"".join(events))
    elif kind == "rename":
        path.rename(path.with_name(path.name + "x"))
    else:
        (folder / "lanes/07.000001.jsonl").write_bytes(data)
    return f"{kind} in {path.relative_to(folder)}"


@pytest.mark.parametrize("resummed", [False, True], ids=["as it is", "with SHA256SUMS made anew"])
def test_two_hundred_random_edits_of_an_export_are_two_hundred_found(
    paths: StationPaths, tmp_path: Path, resummed: bool
) -> None:
    audit = fill(paths, 20)
    checkpoint(paths)
    act(audit, 21)
    out = tmp_path / "out"
    documents = {"bundles/alpha.bravo-000001/manifest.json": b"{}", "bundles/alpha.bravo-000001/report.json": b"{}"}
    export.export(paths, out, documents, site=SITE, at="2026-01-01T00:00:00Z")
    key = load_public(paths.keys / "audit.pub.pem")
    assert export.verify_export(out, key, SITE).findings == []
    chance, found = random.Random(7), 0
    for _ in range(200):
        copy = tmp_path / "copy"
        shutil.copytree(out, copy)
        what = edit(copy, chance)
        if resummed and (copy / "SHA256SUMS").exists():
            command = (
                "find . -type f ! -name 'SHA256SUMS*' | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS"
            )
            subprocess.run(command, shell=True, cwd=copy, check=True)
            if (copy / "SHA256SUMS").read_bytes() == (out / "SHA256SUMS").read_bytes():
                command = "printf x >> README.txt"  # the edit was of SHA256SUMS itself, and is gone: make another
                subprocess.run(command, shell=True, cwd=copy, check=True)
        problems = export.verify_export(copy, key, SITE).findings
        assert problems, what
        found += 1
        shutil.rmtree(copy)
    assert found == 200


def test_an_export_is_checked_by_sha256sum_and_openssl_alone(paths: StationPaths, tmp_path: Path) -> None:
    fill(paths, 3)
    out = tmp_path / "out"
    export.export(paths, out, {}, site=SITE, at="2026-01-01T00:00:00Z")
    (signature,) = out.glob("SHA256SUMS.*.sig")
    check = ["openssl", "dgst", "-sha256", "-verify", str(paths.keys / "audit.pub.pem"), "-signature", signature.name]
    assert subprocess.run([*check, "SHA256SUMS"], cwd=out, check=False).returncode == 0
    assert (
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    )


def test_an_export_that_fails_leaves_nothing(paths: StationPaths, tmp_path: Path) -> None:
    fill(paths, 3)
    (paths.keys / "audit.pem").unlink()
    with pytest.raises(Exception, match="audit"):
        export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    assert not (tmp_path / "out").exists()


def test_an_export_is_never_written_over_and_says_so(paths: StationPaths, tmp_path: Path) -> None:
    fill(paths, 3)
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match=r"the export's folder exists: .*/out; name a new one"):
        export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_prunes_with_a_signed_cut(
    paths: StationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    fill(paths, 30)
    export.export(paths, tmp_path / "out", {}, site=SITE, at="2026-01-01T00:00:00Z")
    ran = CliRunner().invoke(prune, ["--exported", str(tmp_path / "out"), "-C", str(paths.root), "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["removed"] > 2
    assert (findings(paths), lane(paths, 1, 1).exists()) == ([], False)
    looked = CliRunner().invoke(verify_command, ["-C", str(paths.root)])
    assert (looked.exit_code, "no event is behind it" in looked.output or "behind it" in looked.output) == (0, True)
