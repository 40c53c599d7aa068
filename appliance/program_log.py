"""The program's own log on stderr: few lines of a kind, and one line where the system has nothing left to give.

What goes wrong for one request often goes wrong for thousands. Of lines of one kind within a minute so many are
written, and the number of those left out is said when the next one is.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.limits import station as limits
from appliance.log_lines import REQUESTS, JsonFormatter, QueuedHandler
from appliance.log_outbox import Outbox
from bundles.errors import FailedError, LockgateError

_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_STATION: Final = "lockgate"
"""The logger of what the station says of itself."""

_KINDS: Final = 256
"""Kinds of lines that are counted at once; the oldest is forgotten."""


@dataclass(slots=True)
class _Count:
    """Lines of one kind since `since`, on the monotonic clock."""

    since: float
    seen: int = 0


class Sparing(logging.Filter):
    """Lets `limits.LOG_LINES` lines of a kind a minute through, of these `limits.LOG_TRACEBACKS` with their traceback.

    A kind is a logger, a message before its arguments are put in, and the kind of error that it tells of.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[tuple[str, ...], _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; the first one after a pause says how many were not."""
        kind, now = _kind(record), self._clock()
        count = self._counts.get(kind)
        left_out = 0
        if count is None or now - count.since >= limits.LOG_WINDOW:
            left_out = 0 if count is None else max(0, count.seen - limits.LOG_LINES)
            self._counts.pop(kind, None)
            if len(self._counts) >= _KINDS:
                self._counts.pop(next(iter(self._counts)))
            count = self._counts[kind] = _Count(now)
        count.seen += 1
        if count.seen > limits.LOG_LINES:
            return False
        text = record.getMessage()
        if count.seen > limits.LOG_TRACEBACKS and record.exc_info:
            text += f" ({type(record.exc_info[1]).__name__})"
            record.exc_info = record.exc_text = None
        if left_out:
            text += f"; {left_out} lines like this one were left out"
        elif count.seen == limits.LOG_LINES:
            text += f"; lines like this one are left out for {limits.LOG_WINDOW:.0f} s"
        record.msg, record.args = text, None
        return True


def _kind(record: logging.LogRecord) -> tuple[str, ...]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    told = [record.exc_info[1] if record.exc_info else None, *arguments]
    errors = [error for error in told if isinstance(error, BaseException)]
    return (record.name, str(record.msg), *(getattr(error, "what", type(error).__name__) for error in errors))


class _Both(logging.Handler):
    """Hands a record to several handlers, once it was let through."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        super().__init__()
        self.handlers = handlers

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self.handlers:
            handler.handle(record)

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()
        super().close()


class _TextFormatter(logging.Formatter):
    """A record as text; what the station says of itself begins with its name."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"lockgate: {text}" if record.name == _STATION else text


class _Direct(logging.StreamHandler[Any]):
    """Writes at once. A reader that has gone or a full disk ends nobody."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handleError(record)


def log_to_stderr(process: str = "", *, as_json: bool = False, outbox: Path | None = None, forks: bool = False) -> None:
    """Write warnings and errors of this process to stderr, sparingly, and requests where they are logged. For a process
    of the station, once; what a parent had set up before the fork counts no more. `process`: its name in lines of JSON.
    `outbox`: the folder where lines wait for the site's collector (appliance.log_outbox). A process that `forks` others
    all the time gets no thread: it writes by itself, and waits for whoever reads."""
    root = logging.getLogger()
    for before in [one for one in root.handlers if isinstance(one, _Both)]:
        root.removeHandler(before)
    sparing = Sparing()
    handlers: list[logging.Handler] = [QueuedHandler() if as_json and not forks else _Direct()]
    handlers[0].setFormatter(JsonFormatter(process) if as_json else _TextFormatter())
    if as_json:
        logging.getLogger(REQUESTS).setLevel(logging.INFO)
    if outbox is not None:
        box = Outbox(outbox, process)
        waiting: logging.Handler = _Direct(box) if forks else QueuedHandler(box)
        waiting.setFormatter(JsonFormatter(process))
        handlers.append(waiting)

    def admits(record: logging.LogRecord) -> bool:
        return record.name == REQUESTS or (record.levelno >= logging.WARNING and sparing.filter(record))

    both = _Both(handlers)
    both.addFilter(admits)
    root.addHandler(both)


def say(text: str) -> None:
    """A line of the station about itself: in its log, in the form that the settings say; on the error output where this
    process has no log. A disk that takes no more ends nobody."""
    if any(isinstance(one, _Both) for one in logging.getLogger().handlers):
        logging.getLogger(_STATION).warning(text)
        return
    with contextlib.suppress(OSError):
        print(f"lockgate: {text}", file=sys.stderr, flush=True)


def lacking(error: BaseException) -> LockgateError | None:
    """The error to be told where the system had no descriptor or memory left; None for any other one."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return FailedError("the station has no memory left", remedy="raise its limit (MemoryMax, ulimit -v), try again")
    if isinstance(error, OSError) and error.errno in _DESCRIPTORS:
        return FailedError(
            "the station has no file descriptor left", remedy="raise LimitNOFILE (ulimit -n), and try again"
        )
    return None
