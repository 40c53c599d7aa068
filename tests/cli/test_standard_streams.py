"""The two programs where a standard stream is closed, or its disk is full: a status that says so, and one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = {
    "lockgate": "from appliance.cli.entry import main; main()",
    "lockgate-verify": "from bundles.verifier.entry import run; run()",
}


def shell(program: str, words: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a shell, whose redirections stand in `words`."""
    line = f'exec "$0" -c "$1" {words}'
    return subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, PROGRAMS[program]], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("program", "words", "why"),
    [
        ("lockgate", "guide courier > /dev/full", "No space left on device"),
        ("lockgate", "guide courier >&-", "Bad file descriptor"),
        ("lockgate-verify", "--help > /dev/full", "No space left on device"),
        ("lockgate-verify", "--version >&-", "Bad file descriptor"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line_and_a_failure(program: str, words: str, why: str) -> None:
    ended = shell(program, words)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{program}: the output cannot be written ({why}): standard output; ")


@pytest.mark.parametrize(
    ("program", "words", "status"),
    [
        ("lockgate", "nosuch 2> /dev/full", 2),
        ("lockgate", "guide courier 2>&-", 0),
        ("lockgate", "nosuch <&- >&- 2>&-", 2),
        ("lockgate-verify", "nosuch 2> /dev/full", 2),
    ],
)
def test_messages_that_cannot_be_written_change_no_status(program: str, words: str, status: int) -> None:
    assert shell(program, words).returncode == status


def test_a_closed_input_is_an_empty_one(tmp_path: Path) -> None:
    ended = shell("lockgate-verify", f"key create {tmp_path}/key.pem <&-")
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    (line,) = ended.stderr.splitlines()
    assert f": {tmp_path}/key.pem;" in line
    assert "--passphrase-fd" in line
