"""What becomes of a defect of the console, and of a terminal that goes away: no traceback, and no log-in left open.

Whatever fails anywhere in the application ends it, since the part that failed has stopped hearing its messages. The
report is saved first (`tui.shell.crash`); `tui.app` then starts the application anew on the page that names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any, Final

from rich.console import RenderableType
from rich.traceback import Traceback
from textual.widgets import Input
from textual.worker import WorkerFailed

from bundles.errors import EXIT_DONE, EXIT_FAILED, LockgateError
from tui.console_port import ConsolePort
from tui.shell.crash import Crash, save

LEAVING: Final = 2.0
"""Seconds the station has to hear of a log-out when the console is left; it ends log-ins by itself, too."""

_GONE: Final = ("OSError", "BrokenPipeError", "UnicodeDecodeError")
"""How reading a terminal fails that has gone away: EIO (read(2)), or half a character."""


class Failing(ConsolePort, inherit_bindings=False):
    """The base of the application: how it ends."""

    crash: Crash | None = None
    """The defect that ended the application; None where there was none."""
    hung_up = False
    """Whether the terminal went away."""

    def _handle_exception(self, error: Exception) -> None:
        """Textual's one way for everything that nobody caught."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        self._return_code = EXIT_FAILED
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        if self.crash is None and not self.hung_up:
            self.crash = save(cause, self._typed(), self._about(), self.now())
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """Textual's way for what fails in the thread that reads the terminal."""
        for one in renderables:
            if isinstance(one, Traceback) and one.trace.stacks:
                stack = one.trace.stacks[0]
                if stack.exc_type in _GONE:
                    self.hang_up()
                    return
                places = "; ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack.frames[-5:])
                self._handle_exception(RuntimeError(f"{stack.exc_type}: {stack.exc_value} ({places})"))
                return
        self._handle_exception(RuntimeError("the terminal cannot be read"))

    def _print_error_renderables(self) -> None:
        """Nothing of a defect is printed: the page and the report say it."""
        self._exit_renderables.clear()

    def _typed(self) -> Iterator[str]:
        """What stands in fields that hide it: it may be in what an error says."""
        for screen in self.screen_stack:
            for field in screen.query(Input):
                if field.password and field.value:
                    yield field.value

    def _about(self) -> str:
        status = self.status
        version = f"lockgate {status.version}, " if status is not None else ""
        shown = self.shown if self.screen_stack else None
        return f"{version}screen {getattr(shown, 'name_of', 'none')}"

    def hear_signals(self) -> None:
        """A terminal that hangs up (SIGHUP) and a system that goes down (SIGTERM) end the log-in as `q` does."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
                loop.add_signal_handler(number, self.hang_up)

    def hang_up(self) -> None:
        """Log out first, then leave: what is written to a terminal that is gone may fail."""
        if self.hung_up:
            return
        self.hung_up = True
        self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        try:
            await self.log_out_and_close()
        finally:
            self.exit(EXIT_DONE)

    async def log_out_and_close(self) -> None:
        """Leave nothing at the station: neither a log-in nor a connection. Raises nothing."""
        try:
            async with asyncio.timeout(LEAVING):
                await self.link.station.log_out()
                await self.link.station.close()
        except (LockgateError, TimeoutError, OSError):
            return  # the station ends log-ins by itself, too
        except Exception as error:
            self.crash = self.crash or save(error, self._typed(), self._about(), self.now())

    _leaving: asyncio.Future[Any] | None = None
