"""A terminal as a printer with a keyboard: lines go out, lines come in, and nothing that was written is changed."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from bundles.io.secret import Secret
from bundles.people import is_unseen
from tui.terminal.texts import wrap

T = TypeVar("T")

_LINE: Final = 1 << 16
"""Bytes of a line that is read; the kernel's own line editing ends at 4096."""
_COLUMNS: Final = 80
"""Columns where the terminal does not say."""


class Left(Exception):  # noqa: N818  it is no error
    """The input ended: whoever typed has gone."""


class Stopped(Exception):  # noqa: N818
    """Ctrl-C: what was asked or waited for is left."""


class Idle(Exception):  # noqa: N818
    """Nothing was typed for as long as a log-in lasts without a key."""


class LineTerminal:
    """`idle` gives the seconds that a prompt may wait, 0 for ever. Signals are heard between `begin` and `end`."""

    def __init__(self, reading: int, writing: int, *, ascii_only: bool, idle: Callable[[], float]) -> None:
        self._in, self._out = reading, writing
        self.ascii_only = ascii_only
        self._idle = idle
        self._waiting: asyncio.Future[None] | None = None
        self._hit = False
        self._stoppable: asyncio.Task[object] | None = None

    @property
    def columns(self) -> int:
        """The terminal's width; over a serial line it often knows none."""
        with suppress(OSError):
            return os.get_terminal_size(self._out).columns or _COLUMNS
        return _COLUMNS

    def begin(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)

    def end(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    def _interrupt(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Stopped())
        elif self._stoppable is not None:
            self._hit = True
            self._stoppable.cancel()

    async def stoppable(self, doing: Awaitable[T]) -> T:
        """The outcome of what only looks or waits. Raises Stopped on Ctrl-C; what changes something is not run so."""
        task = asyncio.ensure_future(doing)
        self._stoppable, self._hit = task, False
        try:
            return await task
        except asyncio.CancelledError:
            if not self._hit:
                raise
            self.say()
            raise Stopped from None
        finally:
            self._stoppable = None

    def say(self, text: str = "") -> None:
        """A paragraph, wrapped at blanks alone: a path or a digest is read and copied as one word. What no terminal
        should get is escaped here whoever sends it."""
        for line in text.split("\n"):
            body = line.lstrip(" ")
            indent = " " * min(len(line) - len(body), self.columns // 2)
            first, *rest = wrap(body, max(self.columns - 1 - len(indent) - 2, 16), breaks_words=False)
            self.write(f"{indent}{first}\n")
            for part in rest:
                self.write(f"{indent}  {part}\n")

    def write(self, text: str) -> None:
        """`text` as it is, but for what steers a terminal."""
        kept = "".join(f"\\x{ord(one):02x}" if is_unseen(one) and one != "\n" else one for one in text)
        raw = kept.encode("ascii" if self.ascii_only else "utf-8", errors="backslashreplace")
        while raw:
            raw = raw[os.write(self._out, raw) :]

    async def ask(self, question: str, *, fresh: bool = False) -> str:
        """What was typed, without the blanks around it. `fresh`: what was typed before the question was written
        answers nothing. Raises Left, Stopped and Idle."""
        if fresh:
            termios.tcflush(self._in, termios.TCIFLUSH)
        self.write(f"{question}: ")
        return (await self._line()).strip()

    async def secret(self, question: str) -> Secret:
        """What was typed, unseen, and nothing that was typed before."""
        before = termios.tcgetattr(self._in)
        hidden = termios.tcgetattr(self._in)
        hidden[3] &= ~termios.ECHO
        termios.tcsetattr(self._in, termios.TCSAFLUSH, hidden)
        try:
            self.write(f"{question}: ")
            return Secret(await self._line())
        finally:
            with suppress(termios.error, OSError):  # the terminal hung up
                termios.tcsetattr(self._in, termios.TCSADRAIN, before)
                self.write("\n")

    async def _line(self) -> str:
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        loop.add_reader(self._in, lambda: None if waiting.done() else waiting.set_result(None))
        try:
            async with asyncio.timeout(self._idle() or None):
                await waiting
            raw = os.read(self._in, _LINE)
        except Stopped:
            termios.tcflush(self._in, termios.TCIFLUSH)
            self.write("\n")
            raise
        except TimeoutError:
            self.write("\n")
            raise Idle from None
        except OSError:  # the terminal hung up
            raise Left from None
        finally:
            loop.remove_reader(self._in)
            self._waiting = None
        if not raw:
            raise Left
        return raw.decode(errors="backslashreplace").rstrip("\n")
