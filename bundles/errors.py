"""One root of errors, each with what happened, to which thing, what to do, and the exit status that follows.

Exit statuses are part of the command line's contract (docs/reference/exit-status.md):
0 done, 1 failed, 2 usage, 3 refused, 4 incomplete.
"""

from __future__ import annotations

from typing import ClassVar, Final

REPLAY: Final = "replay"
FORK: Final = "fork"
ROLLBACK: Final = "rollback"
JUMP: Final = "jump"
GAP: Final = "gap"
OTHER_SITE: Final = "other-site"
LEDGER_CODES: Final = (REPLAY, FORK, ROLLBACK, JUMP, GAP, OTHER_SITE)
"""Codes of refusals by a stream's ledger: the bundle came before; there are two of its number, or two histories; it is
older than what is here; too far ahead; not the next; for another site."""

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3
EXIT_INCOMPLETE: Final = 4


class LockgateError(Exception):
    """Anything Lockgate reports to a person: one line, and the exit status of the command that met it.

    `what` says what happened, `thing` names the file, digest, key or reference it happened to, `remedy` says what
    to do next. All three are plain sentences or names without a final full stop. `code` is for programs: it never
    changes once released, and is that of the kind where no program tells the error from others of its kind.
    """

    exit_status: ClassVar[int] = EXIT_FAILED
    kind_code: ClassVar[str] = "error"

    def __init__(self, what: str, *, thing: str = "", remedy: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.thing = thing
        self.remedy = remedy
        self.code = code or self.kind_code

    def diagnostics(self) -> str:
        """The one line for stderr: `what: thing; remedy`."""
        line = f"{self.what}: {self.thing}" if self.thing else self.what
        return f"{line}; {self.remedy}" if self.remedy else line

    def __str__(self) -> str:
        return self.diagnostics()


class FailedError(LockgateError):
    """It could not be done (exit 1): a full disk, a medium pulled out, a port in use, a station that is not there."""

    kind_code = "failed"


class NoSpaceError(FailedError):
    """No space is left on the disk, or a quota is used up (exit 1)."""

    kind_code = "no-space"


class UsageError(LockgateError):
    """It was asked for in a way that cannot work (exit 2): a bad reference, a missing key, a contradiction."""

    exit_status = EXIT_USAGE
    kind_code = "usage"


class MalformedError(LockgateError):
    """Bytes that are not what their format demands: a digest, a manifest, a descriptor (exit 2 from a person's
    argument; whoever reads a medium turns it into `RefusedError`)."""

    exit_status = EXIT_USAGE
    kind_code = "malformed"


class RefusedError(LockgateError):
    """Untrusted, tampered, replayed, another site's, or against policy (exit 3). Never a matter of trying again."""

    exit_status = EXIT_REFUSED
    kind_code = "refused"


class IncompleteError(LockgateError):
    """Good so far, and something is still to come (exit 4): volumes on another medium."""

    exit_status = EXIT_INCOMPLETE
    kind_code = "incomplete"


class NotFoundError(LockgateError):
    """The thing named does not exist here (exit 1)."""

    kind_code = "not-found"


class CancelledError(LockgateError):
    """A person or a signal cancelled it (exit 1)."""

    kind_code = "cancelled"


ERRORS_BY_NAME: Final[dict[str, type[LockgateError]]] = {
    error.__name__: error
    for error in (
        LockgateError,
        FailedError,
        NoSpaceError,
        UsageError,
        MalformedError,
        RefusedError,
        IncompleteError,
        NotFoundError,
        CancelledError,
    )
}
"""The classes that may cross a process boundary by name."""


def to_wire(error: LockgateError) -> dict[str, str]:
    """The error as JSON fields: `error` (class name), `code`, `what`, `thing`, `remedy`."""
    name = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in ERRORS_BY_NAME)
    return {"error": name, "code": error.code, "what": error.what, "thing": error.thing, "remedy": error.remedy}


def from_wire(fields: dict[str, str]) -> LockgateError:
    """The error that `to_wire` described; an unknown class, or a document that is none, becomes a `FailedError`."""
    told = {name: str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
    cls = ERRORS_BY_NAME.get(told.get("error", ""), FailedError)
    return cls(
        told.get("what", "unknown error"), thing=told.get("thing", ""), remedy=told.get("remedy", ""),
        code=told.get("code", ""),
    )  # fmt: skip
