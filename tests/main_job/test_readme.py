"""README.md's main job, typed as it stands: each line in its own station's shell, at a terminal that asks for
passphrases. Only folders and ports are this test's own."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peer_tools import require
from tests.peers.stock import Layout, run

ROOT = Path(__file__).parents[2]
PASSPHRASE = b"correct horse battery\n"
PATIENCE = 120.0


def lines_of_the_main_job() -> list[tuple[str, str]]:
    """Whose shell, and what is typed."""
    block = (ROOT / "README.md").read_text().partition("## The main job")[2].split("```")[1]
    return [(shell, line) for shell, line in re.findall(r"^(outside|inside)\$ (.+)$", block, re.MULTILINE)]


class Terminal:
    """A shell at a terminal of its own, which is answered wherever it asks for a passphrase."""

    def __init__(self, folder: Path) -> None:
        commands = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": commands, "HOME": str(folder), "TMPDIR": str(folder), "PS1": "", "TERM": "dumb"}
        self._child, self._screen = pty.fork()
        if self._child == 0:
            os.chdir(folder)
            os.execvpe("/bin/bash", ["bash", "--norc", "--noediting", "+m"], environment)
        self._count = 0

    def type(self, line: str) -> str:
        """What the line printed; it must end with 0. A line that ends with `&` has begun to serve when this returns."""
        self._count += 1
        mark = f"ended-{self._count}:"
        self._write(
            line.encode() + b"\n" if line.endswith("&") else f"{line}; echo ended-''{self._count}:$?\n".encode()
        )
        shown, until, answered = "", time.monotonic() + PATIENCE, 0
        while time.monotonic() < until:
            if not select.select([self._screen], [], [], 1.0)[0]:
                continue
            shown += os.read(self._screen, 65_536).decode("utf-8", "replace")
            if line.endswith("&") and re.search(r"serving \S+", shown):
                return shown
            asked = len(re.findall(r"(?i)(?:passphrase|repeat for confirmation)[^\n:]*: ?", shown))
            while answered < asked:
                self._write(PASSPHRASE)
                answered += 1
            if ended := re.search(mark + r"(\d+)", shown):
                assert ended.group(1) == "0", f"{line}\n{shown}"
                return shown
        raise AssertionError(f"it did not end: {line}\n{shown}")

    def _write(self, typed: bytes) -> None:
        os.write(self._screen, typed)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            subprocess.run(["pkill", "-TERM", "-P", str(self._child)], check=False)
            os.kill(self._child, signal.SIGHUP)
        os.close(self._screen)
        os.waitpid(self._child, 0)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[dict[str, Terminal]]:
    made = {shell: Terminal(tmp_path) for shell in ("outside", "inside")}
    try:
        yield made
    finally:
        for terminal in made.values():
            terminal.close()


@pytest.mark.peer
def test_the_main_job_runs_as_it_is_written(tmp_path: Path, terminals: dict[str, Terminal]) -> None:
    require("skopeo")
    layout = Layout(tmp_path / "layout")
    layout.tag("app", layout.image({"etc/motd": b"hello"}, "amd64"))
    run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:app", f"docker-archive:{tmp_path}/app.tar:team/app:1")
    (tmp_path / "srv").mkdir()
    (tmp_path / "media" / "usb").mkdir(parents=True)
    ports = {"5000": "0", "5001": "0"}
    for shell, line in lines_of_the_main_job():
        typed = line.replace("/srv/", f"{tmp_path}/srv/").replace("/media/", f"{tmp_path}/media/")
        for written, real in ports.items():
            typed = typed.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
        shown = terminals[shell].type(typed)
        if served := re.search(r"serving http://127\.0\.0\.1:(\d+)", shown):
            ports["5000" if shell == "outside" else "5001"] = served.group(1)
    assert (tmp_path / "back.tar").stat().st_size > 0


def test_the_main_job_is_at_most_twenty_five_lines() -> None:
    assert 10 < len(lines_of_the_main_job()) <= 25
