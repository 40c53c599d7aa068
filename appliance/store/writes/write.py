"""What a write is: a named, typed transaction that the control process's one writer applies.

Workers and jobs send writes over a socket, so a write is a tagged msgspec struct, and its result is plain data.
Each write runs in its own savepoint inside a group commit: a LockgateError undoes that write alone and reaches
the sender as the same error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Final, Protocol

import msgspec

from appliance.store.ports import Connection
from bundles.errors import FailedError

_UNDER_EVENT: Final[ContextVar[bool]] = ContextVar("under_event", default=False)


class Write(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One transaction. Subclasses carry its fields and say in `apply` what it does.

    A write is an act: the station's writers take it only while an event about it is in the audit log
    (`under_event`). One that is none says why in `unrecorded`.
    """

    unrecorded: ClassVar[str] = ""

    def apply(self, db: Connection) -> Any:
        """Make the change. Returns plain JSON data (str, int, bool, None, list, dict) for the sender."""
        raise LookupError(f"{type(self).__name__} has no apply")


class LostAnswerError(FailedError):
    """The station stopped before it answered: the write may have been applied, or not."""


@contextmanager
def under_event() -> Iterator[None]:
    """Writes may be submitted in here: an event about them is in the audit log. For `appliance.audit.folder_acts`, and
    for work that goes on with what an earlier process recorded."""
    token = _UNDER_EVENT.set(True)
    try:
        yield
    finally:
        _UNDER_EVENT.reset(token)


def _require_event(write: Write) -> None:
    if not write.unrecorded and not _UNDER_EVENT.get():
        raise LookupError(f"{type(write).__name__} was submitted without an event in the audit log")


class Writer(Protocol):
    """The way to the one writer, for jobs and folder commands (blocking)."""

    def submit(self, write: Write) -> Any:
        """Apply and commit (durable on return). Raises what `apply` raised; FailedError where the station is gone."""
        ...


class AsyncWriter(Protocol):
    """The way to the one writer, for workers and the control API."""

    async def submit(self, write: Write) -> Any:
        """As Writer.submit."""
        ...


class Guarded:
    """A `Writer` that takes no act without an event: every process of a station has this one and no other.

    `submit` raises LookupError for one: a defect of the program, not the user's mistake.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def submit(self, write: Write) -> Any:
        """As Writer.submit."""
        _require_event(write)
        return self._writer.submit(write)


class AsyncGuarded:
    """`Guarded`, for coroutines."""

    def __init__(self, writer: AsyncWriter) -> None:
        self._writer = writer

    async def submit(self, write: Write) -> Any:
        """As AsyncWriter.submit."""
        _require_event(write)
        return await self._writer.submit(write)
