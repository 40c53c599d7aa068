"""Findings are capped as they arise, a rule at a time, so that no layer decides how much an inspection holds."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

from appliance.limits import archives as limits
from bundles.documents import report_page
from tests.intake.test_layers import inspected, tar

MIB = 1024 * 1024


def many(count: int, mode: int = 0o4755) -> bytes:
    return gzip.compress(tar(*((f"bin/f{number}", {"mode": mode}) for number in range(count))))


def test_what_is_beyond_the_cap_is_counted_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS", 5)
    section = inspected(many(12))
    assert [entry["path"] for entry in section.details["setuid"]] == [f"bin/f{number}" for number in range(5)]
    assert section.details["setuid_left_out"] == 7
    assert section.details["over_cap"] == [{"rule": "setuid", "found": 12, "listed": 5}]
    assert section.outcome == "fail"


def test_at_the_cap_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS", 12)
    section = inspected(many(12))
    assert (section.outcome, len(section.details["setuid"])) == ("note", 12)
    assert "over_cap" not in section.details


def test_the_cap_holds_over_all_layers_and_the_first_layers_findings_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "FINDINGS", 5)
    layers = [
        gzip.compress(tar(*((f"l{layer}/f{number}", {"mode": 0o4755}) for number in range(3)))) for layer in range(4)
    ]
    section = inspected(*layers)
    listed = [entry["path"] for entry in section.details["setuid"]]
    assert listed == ["l0/f0", "l0/f1", "l0/f2", "l1/f0", "l1/f1"]
    assert section.details["setuid_left_out"] == 7


def test_long_findings_are_capped_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS_SIZE", 1_000)
    section = inspected(gzip.compress(tar(*((f"{number}/" + "n" * 290, {"mode": 0o4755}) for number in range(20)))))
    assert 1 <= len(section.details["setuid"]) <= 4
    assert section.details["over_cap"][0]["found"] == 20


def test_what_fails_is_never_displaced_by_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS", 5)
    notes = [(f"bin/f{number}", {"mode": 0o6755}) for number in range(40)]
    links = [(f"l{number}", {"type": tarfile.SYMTYPE, "linkname": "/etc"}) for number in range(40)]
    section = inspected(gzip.compress(tar(*notes, *links, ("../x", {}))), many(40), gzip.compress(tar(("../y", {}))))
    assert [entry["path"] for entry in section.details["escaping"]] == ["../x", "../y"]


def test_a_person_sees_what_fails_before_what_is_noted() -> None:
    section = inspected(many(300), gzip.compress(tar(("../x", {}))), b"no archive")
    parts = report_page.page({"sections": [msgspec.to_builtins(section)]})
    fail, note = (next(part for part in parts if part.outcome == outcome) for outcome in ("fail", "note"))
    assert parts.index(fail) < parts.index(note)
    assert [line.text.partition(":")[0] for line in fail.below] == ["escaping", "unread"]
    assert len(report_page.lines(parts)) <= 60


# VmHWM counts from the program's start. `ru_maxrss` would not do: a child begins with the peak of the process that
# started it (vfork shares its memory, and exec folds that peak in), here of pytest and of what it ran before.
CHILD = """
import sys
from pathlib import Path
from tests.intake.test_layers import Blobs, inspected
section = inspected(*(Path(name).read_bytes() for name in sys.argv[1:]))
status = Path("/proc/self/status").read_text().split()
print(section.outcome, status[status.index("VmHWM:") + 1])
"""


def hostile_layer(path: Path, entries: int) -> Path:
    """A setuid entry after the other, compressed as they are made."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(entries):
            info = tarfile.TarInfo(f"{path.name}/{number}")
            info.mode = 0o4755
            file.write(info.tobuf(tarfile.USTAR_FORMAT))
    return path


def peak(*layers: Path) -> tuple[str, int]:
    """The outcome, and the largest memory of a process that looks through the layers, in bytes."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", CHILD, *map(str, layers)], cwd=root, check=True, capture_output=True)
    outcome, kilobytes = done.stdout.split()
    return outcome.decode(), int(kilobytes) * 1024


def test_a_hundred_thousand_findings_take_no_more_memory_than_a_thousand(tmp_path: Path) -> None:
    _, small = peak(hostile_layer(tmp_path / "small", 1_000))
    outcome, large = peak(hostile_layer(tmp_path / "large", 100_000))
    assert outcome == "fail"
    assert large < small + 12 * MIB


@pytest.mark.long
def test_two_million_setuid_entries_stay_below_the_promised_memory(tmp_path: Path) -> None:
    layers = [hostile_layer(tmp_path / f"layer{number}", 500_000) for number in range(4)]
    outcome, most = peak(*layers)
    assert outcome == "fail"
    assert most < 300 * MIB
