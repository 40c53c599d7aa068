"""A closed outside whose accounts are lost can be entered again after a rebuild, and only then."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.audit.acts import Act
from appliance.audit.reading import tail
from appliance.paths import StationPaths
from tests.cli.conftest import Ended, Run


def descriptor_of(text: str) -> str:
    reading, writing = os.pipe()
    os.write(writing, f"{text}\n".encode())
    os.close(writing)
    return str(reading)


def claimed(run: Run, root: Path, code: str) -> Ended:
    password = descriptor_of("a password of more than 12 letters")
    return run("user", "claim", "zoe", "--code-fd", descriptor_of(code), "--password-fd", password, "-C", root)


def test_a_rebuild_without_accounts_gives_a_code_that_makes_the_first_administrator(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "alpha"
    assert run("init", root, "--site", "alpha", "--side", "outside").status == 0
    paths = StationPaths(root)
    paths.first_code.unlink()
    assert run("user", "code", "-C", root).status == 3
    rebuilt = run("rebuild", "--yes", "--json", "-C", root).document
    assert Act.ACCOUNT_CODE in [event["act"] for event in tail(paths.audit, 5)]
    assert claimed(run, root, rebuilt["code"]).status == 0
    assert "code" not in run("rebuild", "--yes", "--json", "-C", root).document
    assert run("user", "code", "-C", root).status == 3


def test_a_dry_run_gives_no_code(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "alpha"
    assert run("init", root, "--site", "alpha", "--side", "outside").status == 0
    StationPaths(root).first_code.unlink()
    assert "code" not in run("rebuild", "--dry-run", "--json", "-C", root).document
    assert not StationPaths(root).first_code.exists()
