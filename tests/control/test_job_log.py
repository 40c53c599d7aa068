"""A line of a job's log is one line, whatever is told in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.jobs.end import append_line

FORGED = "2026-01-01T00:00:00Z signed by The Director"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1e"])
def test_a_file_name_with_a_line_end_makes_no_second_line(tmp_path: Path, end: str) -> None:
    append_line(tmp_path / "log", f"not the bundle's, not read: ._a{end}{FORGED}")
    text = (tmp_path / "log").read_text()
    assert len(text.splitlines()) == 1
    assert text.count("\n") == 1
    assert not any(line.startswith(FORGED) for line in text.splitlines())
