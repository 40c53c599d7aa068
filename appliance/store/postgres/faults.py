"""Errors of PostgreSQL under the store's names for them (appliance.store.errors)."""

from __future__ import annotations

from typing import Final

from appliance.store.errors import ConflictEngineError, DamagedEngineError, UnavailableEngineError
from bundles.errors import FailedError

_AGAIN: Final = frozenset({"40001", "40P01"})
_FULL: Final = "53100"
_NO_TABLE: Final = "42P01"
_NO_SCHEMA: Final = "3F000"
_REFUSED: Final = "LG001"
"""No code of the server's: a refusal of the station's own."""
_DAMAGED: Final = frozenset({"XX001", "XX002"})
_AWAY: Final = frozenset({"08", "53", "57", "58"})
"""Classes of SQLSTATE: the connection, resources, an operator's intervention, the system."""


class PostgresError(UnavailableEngineError):
    """A statement was not carried out. `sqlstate` is the server's code, "" where no server answered."""

    def __init__(self, text: str, sqlstate: str = "") -> None:
        super().__init__(f"no such table: {text}" if sqlstate == _NO_TABLE else text)
        self.sqlstate = sqlstate
        self.is_full = sqlstate == _FULL
        self.is_to_be_repeated = sqlstate in _AGAIN
        self.is_away = not sqlstate or sqlstate[:2] in _AWAY


class PostgresLostCommitError(PostgresError):
    """The server went while a commit was under way, and did not come back to say what became of it."""

    is_lost = True


class PostgresRefusedError(PostgresError):
    """The server answers, and its database is not to be worked with. `refusal` says why."""

    def __init__(self, refusal: FailedError) -> None:
        super().__init__(str(refusal), _REFUSED)
        self.refusal = refusal
        self.is_away = True


class PostgresConflictError(ConflictEngineError):
    """A row cannot be written: another one is in its place, or a rule of the schema refuses it."""


class PostgresDamagedError(DamagedEngineError):
    """The server found its own files damaged."""

    is_damage = True


def is_missing(error: Exception) -> bool:
    """Whether a table or its schema is not there."""
    return getattr(error, "sqlstate", "") in (_NO_TABLE, _NO_SCHEMA)


def fault(text: str, sqlstate: str) -> PostgresError | PostgresConflictError | PostgresDamagedError:
    """The error of the store for one of the server, by its code."""
    if sqlstate.startswith("23"):
        return PostgresConflictError(text)
    if sqlstate in _DAMAGED:
        return PostgresDamagedError(text)
    return PostgresError(text, sqlstate)
