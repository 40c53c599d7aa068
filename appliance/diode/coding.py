"""The other end of `appliance.diode.coder`: blocks to it, symbols back, without waiting where others have to go on."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from appliance.limits import jobs as limits
from bundles.errors import FailedError
from bundles.io.files import os_failure
from bundles.processes import start

_MODULE: Final = "appliance.diode.coder"
_ERRORS: Final = 2
"""Where this process writes its errors."""


def require_library() -> None:
    """Raises FailedError where there is no RaptorQ for this machine."""
    if importlib.util.find_spec("raptorq") is None:
        raise FailedError(
            "no library for RaptorQ is installed", thing=f"raptorq, on {platform.machine()}",
            remedy="there is one for x86-64 machines; send and receive by one of these, or carry by another medium",
        )  # fmt: skip


class Coder:
    """A coder's process. A context manager: it is gone afterwards."""

    def __init__(self) -> None:
        require_library()
        bounds = start.Bounds(data=limits.JOB_DATA)
        self._child = start.start(
            start.python_module(_MODULE, bounds=bounds), env=start.environment(), stdin=start.PIPE, stdout=start.PIPE,
            stderr=_ERRORS,
        )  # fmt: skip
        if self._child.stdin is None or self._child.stdout is None:
            raise FailedError("a program has no pipes")
        self._to, self._from = self._child.stdin, self._child.stdout
        self._said = bytearray()

    def __enter__(self) -> Coder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._to, self._from):
            try:
                pipe.close()
            except BrokenPipeError:
                continue

    def fileno(self) -> int:
        """Where it can be read once an answer to `decode` has begun to come."""
        return self._from.fileno()

    def encode(self, block: bytes, symbol: int, first: int, count: int) -> None:
        """Ask for `count` symbols of a block, from the id `first` on; `read` gives them."""
        self._ask({"encode": len(block), "symbol": symbol, "first": first, "count": count}, block)

    def read(self, size: int) -> bytes:
        """The next `size` bytes of symbols. Raises FailedError."""
        data = self._from.read(size)
        if len(data) != size:
            raise self._ended()
        return data

    def decode(
        self, length: int, symbol: int, spool: Path, sha256: str, pieces: Sequence[tuple[str, int, int]]
    ) -> None:
        """Ask for a block to be made of a spool, and written; `answer` says what became of it."""
        request = {"decode": length, "symbol": symbol, "spool": str(spool), "sha256": sha256, "pieces": list(pieces)}
        self._ask(request)

    def answer(self) -> str | None:
        """What became of the oldest request to decode: `done`, `more` or `bad`; None where it is not known yet. Never
        waits longer than for what is there (see `fileno`). Raises FailedError where a file could not be used."""
        self._said += self._heard()
        line, newline, rest = bytes(self._said).partition(b"\n")
        if not newline:
            return None
        self._said = bytearray(rest)
        found: dict[str, Any] = json.loads(line)
        if found["state"] == "failed":
            raise os_failure(OSError(found["errno"], os.strerror(found["errno"])), found["file"], "cannot be written")
        return str(found["state"])

    @property
    def has_said(self) -> bool:
        """Whether a further answer has come already."""
        return b"\n" in self._said

    def _heard(self) -> bytes:
        if self.has_said:
            return b""
        data = os.read(self._from.fileno(), 65536)
        if not data:
            raise self._ended()
        return data

    def _ask(self, request: dict[str, Any], data: bytes = b"") -> None:
        write: Callable[[bytes], object] = self._to.write
        try:
            write(json.dumps(request).encode() + b"\n")
            write(data)
            self._to.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> FailedError:
        how = start.how_it_ended(self._child.wait())
        return FailedError(
            f"the process that encodes and decodes {how}", thing=_MODULE,
            remedy="see the station's log; start the job again: it goes on",
        )  # fmt: skip
