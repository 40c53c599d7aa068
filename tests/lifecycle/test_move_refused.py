"""A move of the metadata that cannot begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import forked


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_station_that_was_never_started_has_nothing_to_move(tmp_path: Path, more: tuple[str, ...]) -> None:
    root = tmp_path / "alpha"
    assert forked.run(["init", root, "--site", "alpha", "--side", "outside", "--open"]).returncode == 0
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    ended = forked.run(["migrate", "-C", root, "--metadata", f"postgresql:///lockgate?host={tmp_path}", *more])
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert str(root) in line
    assert "lockgate serve" in line
    assert not (root / "metadata.sqlite").exists()
    now = {path.relative_to(root) for path in root.rglob("*")}
    assert now - set(before) == {Path("lease")}  # the file of the lock that stops the writer
