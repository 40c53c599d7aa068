"""Lines of the program's log as JSON, one object a line (docs/reference/log-line.schema.json).

They are written by a thread: a log's reader that is slow, or a pipe that is full, holds up no request. Where more waits
than `limits.LOG_QUEUE` lines, further ones are left out, and the next line says how many.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from appliance.limits import station as limits

FIELDS: Final = "lockgate"
"""The attribute of a record (`extra=`) that has further fields of its line."""

REQUESTS: Final = "appliance.registry.request"
"""The logger of requests, each of whose lines is written."""

_LEVELS: Final = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, without its newline. What is no ASCII is escaped, so that no text of a client's
    reaches a terminal as anything else."""

    def __init__(self, process: str) -> None:
        """`process`: which of the station's processes writes, as `worker-1`."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "level": _LEVELS.get(record.levelname, "info"),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        fields |= getattr(record, FIELDS, {})
        return json.dumps(fields, separators=(",", ":"), default=str)


class Lines(Protocol):
    """Where lines go; errors of it are OSError or ValueError."""

    def write(self, line: str, /) -> object: ...

    def flush(self) -> object: ...


class QueuedHandler(logging.Handler):
    """Writes lines in a thread of its own, begun with the first line: a process that forks has none before."""

    def __init__(self, stream: Lines | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(limits.LOG_QUEUE)
        self._left_out = 0
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line. Never blocks."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="log", daemon=True)
            self._thread.start()
        try:
            line = self.format(record)
            if self._left_out:
                line = f'{line[:-1]},"left_out":{self._left_out}}}'
            self._waiting.put_nowait(line)
            self._left_out = 0
        except queue.Full:
            self._left_out += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=1)
            self._thread.join(1)
            self._thread = None
        super().close()

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                stream = self._stream or sys.stderr
                stream.write(f"{line}\n")  # in one piece: other threads write there too
                stream.flush()
            except (OSError, ValueError):  # a full disk, or a reader that has gone: nobody is left to be told
                time.sleep(limits.LOG_AGAIN)
