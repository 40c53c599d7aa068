"""A shell at a terminal of its own, in which a page's commands are typed and its questions answered."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PATIENCE = 120.0
_DRAWN = 1_000
"""Bytes of a full-screen program's first screen, at least."""
_LEFT: Mapping[bool, tuple[Callable[[str], bool], bytes]] = {
    False: (lambda shown: len(shown) > _DRAWN, b"q"),
    True: (lambda shown: "Leave" in shown, b"\x03"),
}
"""When a console can be left, and by which key: the demo's asks for a log-in first."""
PASSPHRASE = "correct horse battery staple"
_CODE = re.compile(r"([A-Z0-9]{4}(?:-[A-Z0-9]{4}){3})")
_ASKS = re.compile(r"(?i)(passphrase|password|repeat|confirmation|code|site|approve|continue|\[y/n\])[^\n]*[:\]?>] *\Z")

_HELPERS = r"""
keyid() { openssl pkey -pubin -in "$1" -outform DER | sha256sum | cut -c1-16; }
field() { python -c 'import functools, json, sys
step = lambda value, name: value[int(name)] if name.isdigit() else value[name]
print(functools.reduce(step, sys.argv[1].split("."), json.load(sys.stdin)))' "$1"; }
"""


class Terminal:
    """An interactive bash. `codes` is shared by the terminals of a page: the newest one-time code that one showed."""

    def __init__(self, folder: Path, environment: Mapping[str, str], codes: list[str]) -> None:
        self._codes = codes
        commands = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        kept = {"PATH": commands, "HOME": str(folder), "TMPDIR": str(folder), "PS1": "", "PS2": "", "TERM": "dumb"}
        self._child, self._screen = pty.fork()
        if self._child == 0:
            os.chdir(folder)
            os.execvpe(
                "/bin/bash", ["bash", "--norc", "--noediting"], {**kept, "LC_ALL": "C.UTF-8", **environment}
            )  # fmt: skip
        self._count = 0
        self.type(f"stty -echo; set +m; {_HELPERS}", 0, {})

    def type(self, line: str, status: int, answers: Mapping[str, str]) -> str:
        """What a line printed. It must end with the status; one that ends with `&` must have begun to serve."""
        self._count += 1
        mark = f"ended-{self._count}:"
        full_screen = console = line.startswith("lockgate console")
        is_demo = "--demo" in line
        typed = f"TERM=xterm {line}" if console else line
        os.write(
            self._screen, f"{{ {typed}\n}}; ended=$?; echo; echo ended-''{self._count}:$ended\n".encode()
        )  # fmt: skip
        background = re.search(r"&\s*(#.*)?\Z", line) is not None
        shown, read, until, ended = "", 0, time.monotonic() + PATIENCE, None
        while time.monotonic() < until:
            if select.select([self._screen], [], [], 0.5)[0]:
                try:
                    shown += os.read(self._screen, 65_536).decode("utf-8", "replace").replace("\r\n", "\n")
                except OSError:
                    break
            elif console and _LEFT[is_demo][0](shown):  # it has drawn its screen and waits for a key
                os.write(self._screen, _LEFT[is_demo][1])
                console = False
            if (code := _CODE.findall(shown)) and code[-1] not in self._codes:
                self._codes.append(code[-1])
            ended = re.search(mark + r"(\d+)", shown)
            if ended is not None and (not background or "serving " in shown):
                assert int(ended[1]) == status, f"it ended with {ended[1]}, not {status}: {line}\n{shown}"
                return shown[: ended.start()]
            # Half of a screen that was drawn may end as a question does.
            asked = None if full_screen else _ASKS.search(shown, max(read, shown.rfind("\n") + 1))
            if asked is not None and ended is None:
                os.write(self._screen, f"{self._answer(shown[shown.rfind(chr(10)) + 1 :], answers)}\n".encode())
                read = len(shown)
        raise AssertionError(f"it did not end: {line}\n{shown}")

    def _answer(self, question: str, answers: Mapping[str, str]) -> str:
        for asked, answer in answers.items():
            if re.search(asked, question):
                return answer
        if re.search(r"(?i)\bcode\b", question):
            return self._codes[-1]
        return "y" if re.search(r"(?i)\[y/n\]", question) else PASSPHRASE

    def close(self) -> None:
        """End what it runs in the background, and itself."""
        with contextlib.suppress(AssertionError, OSError):
            self.type("kill $(jobs -p) 2> /dev/null; wait", 0, {})
        with contextlib.suppress(ProcessLookupError):
            for process in _in_session(self._child):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            os.kill(self._child, signal.SIGKILL)
        os.close(self._screen)
        os.waitpid(self._child, 0)


def _in_session(session: int) -> Iterator[int]:
    """The processes of a session, by proc(5): an empty Debian has no pkill."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            behind = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(behind[3]) == session and int(folder.name) != session:
                yield int(folder.name)
