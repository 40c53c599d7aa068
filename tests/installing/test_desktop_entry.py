"""The desktop entry: a terminal with the console of the machine's station, which stays open where that refuses."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
from pathlib import Path

from tests.peer_tools import require

ENTRY = Path(__file__).resolve().parents[2] / "packaging/desktop/lockgate-console.desktop"


def fields() -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(ENTRY.read_text())
    return read["Desktop Entry"]


def test_it_opens_in_a_terminal_and_says_what_it_is() -> None:
    found = fields()
    assert found["Type"] == "Application"
    assert found["Terminal"] == "true"
    assert found["TryExec"] == "lockgate"
    assert "lockgate console -C /var/lib/lockgate" in found["Exec"]
    assert not set("%`$\\") & set(found["Exec"]), "fields and escapes of the Desktop Entry Specification"


def test_the_window_stays_until_enter_where_the_console_refuses(tmp_path: Path) -> None:
    program = tmp_path / "lockgate"
    program.write_text('#!/bin/sh\necho "asked: $*"\nexit $(cat "$0.status")\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for status, stays in (("0", False), ("2", True)):
        (tmp_path / "lockgate.status").write_text(status)
        done = subprocess.run(
            shlex.split(fields()["Exec"]), input="\n", env=environment, capture_output=True, text=True, check=False
        )
        assert "asked: console -C /var/lib/lockgate" in done.stdout
        assert ("enter closes this window" in done.stdout) is stays


def test_the_desktops_own_judge_finds_nothing() -> None:
    require("desktop-file-validate")
    done = subprocess.run(["desktop-file-validate", ENTRY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
