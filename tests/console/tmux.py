"""The real console in a real terminal: tmux, driven by keys and read as a person reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from tests.peer_tools import require

PATIENCE = 60.0
"""Seconds that a text may take to come; it comes in tenths of one."""

_LOOK = 0.03


class Terminal:
    """A tmux server of its own, with one window in which one program runs; leaving the block ends both.

    `environment` holds what the program sees besides PATH and HOME; an empty value takes a variable away.
    """

    def __init__(
        self,
        *command: str | Path,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        require("tmux")
        self._command = [str(word) for word in command]
        self._size = size
        self._environment = {"LANG": "C.UTF-8", "NO_COLOR": "1", **(environment or {})}
        self._folder = folder
        # A short path, whatever the name of the test: a Unix socket's has at most 108 bytes.
        self._socket = Path(tempfile.mkdtemp(prefix="lockgate-tmux-"))
        self._status = self._socket / "status"

    def __enter__(self) -> Terminal:
        width, height = self._size
        named = [f"{name}={value}" for name, value in self._environment.items() if value]
        kept = [f"{name}={os.environ[name]}" for name in ("PATH", "HOME") if name in os.environ]
        term = [] if "TERM" in self._environment else ["TERM=tmux-256color"]
        # Its exit status goes to a file: tmux loses it now and then.
        run = ["sh", "-c", '"$@"; echo $? > "$0"', str(self._status), "env", "-i", *kept, *term, *named, *self._command]
        folder = ["-c", str(self._folder)] if self._folder else []
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), *folder, *run)
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self._tmux("set-option", "-g", "status", "off")
        self._tmux("set-option", "-s", "escape-time", "0")
        self._tmux("set-option", "-s", "set-clipboard", "on")
        self._tmux("resize-window", "-x", str(width), "-y", str(height))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([*self._server(), "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self._socket, ignore_errors=True)

    def _server(self) -> list[str]:
        return ["tmux", "-S", str(self._socket / "tmux"), "-f", "/dev/null"]

    def _tmux(self, *words: str) -> str:
        done = subprocess.run([*self._server(), *words], check=True, capture_output=True, text=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: `Enter`, `Down`, `Escape`, `C-l`, `a`."""
        for key in keys:
            self._tmux("send-keys", key)

    def back(self) -> None:
        """The key Escape, and the pause behind it without which terminals take it for a part of the next key."""
        self.press("Escape")
        time.sleep(0.2)

    def type(self, text: str) -> None:
        """A text, letter by letter."""
        self._tmux("send-keys", "-l", "--", text)

    def screen(self) -> str:
        """The screen as it is now, without colours."""
        return self._tmux("capture-pane", "-p")

    def painted(self) -> str:
        """The screen with its colours and attributes as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    def shows(self, *texts: str) -> str:
        """Wait until the screen shows all these texts at once; the screen. Raises AssertionError with what it shows."""
        return self.until(lambda screen: all(text in screen for text in texts), " and ".join(map(repr, texts)))

    def until(self, condition: Callable[[str], bool], what: str) -> str:
        """Wait until the screen is as `condition` (a function of its text) wants it; the screen."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            if condition(screen):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"the screen never showed {what}:\n{screen}")
            time.sleep(_LOOK)

    def clipboard(self) -> str:
        """What a program handed to the terminal's clipboard (OSC 52) last; empty before it did."""
        shown = subprocess.run([*self._server(), "show-buffer"], check=False, capture_output=True, text=True)
        return shown.stdout

    def resize(self, width: int, height: int) -> None:
        """Another size of the terminal."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def ended(self) -> int:
        """Wait until the program has ended; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._status.exists() and (status := self._status.read_text().strip()):
                return int(status)
            time.sleep(_LOOK)
        raise AssertionError(f"the program did not end:\n{self.screen()}")


def console(
    root: Path,
    *,
    size: tuple[int, int] = (80, 24),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Terminal:
    """`lockgate console` of the station in `root`."""
    command = (sys.executable, "-m", "appliance.cli.main", "console", "-C", root)
    return Terminal(*command, size=size, environment=environment, folder=folder)
