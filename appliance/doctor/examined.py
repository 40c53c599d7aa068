"""What came of a look, and how looks are taken: each in a thread of its own, within a time.

A medium or a network folder that does not answer holds up whoever asks for it, for as long as it likes (statvfs(2)).
Such a look is given up, and what it was to say was not checked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from appliance.limits import doctor as limits
from bundles.errors import LockgateError

State = Literal["ok", "attention", "wrong", "not-checked", "unused"]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check. `ok`: looked at, and as it should be. `attention`: it works, and something is to be done
    before long, or to be known. `wrong`: something does not work, or will not. `not-checked`: nobody knows. `unused`:
    the station is not set up to need it. `remedy` says what to do, "" where nothing is to be done."""

    name: str
    state: State
    detail: str
    remedy: str = ""

    @classmethod
    def of_error(cls, name: str, error: LockgateError, state: State = "wrong") -> Examined:
        """What an error comes to."""
        detail = f"{error.what}: {error.thing}" if error.thing else error.what
        return cls(name=name, state=state, detail=detail, remedy=error.remedy)


class Look(NamedTuple):
    """Something to look at: the name that stands for it where the look is given up, and how it is taken."""

    name: str
    take: Callable[[], Iterable[Examined]]


_AGAIN: Final = "call it again as the account that owns the station"


def examine(looks: Sequence[Look], seconds: float = limits.DOCTOR_LOOK) -> list[Examined]:
    """Take looks, at once, and list what came of them in their order. A look that fails for a reason of the system's,
    or takes longer than `seconds`, is `not-checked`. Raises what else a look raises. Blocking."""
    taken = [_Taken(look) for look in looks]
    until = time.monotonic() + seconds
    return [found for one in taken for found in one.end(max(0.0, until - time.monotonic()), seconds)]


class _Taken:
    """A look under way. Its thread ends with the process where it never comes back."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._found: list[Examined] | None = None
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"doctor {look.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = list(_settled(self._look))
        except BaseException as error:
            self._raised = error

    def end(self, left: float, allowed: float) -> list[Examined]:
        self._thread.join(left)
        if self._raised is not None:
            raise self._raised
        if self._found is None:
            detail, remedy = f"no answer within {allowed:.0f} s", "see whether a disk, a medium or a program hangs"
            return [Examined(name=self._look.name, state="not-checked", detail=detail, remedy=remedy)]
        return self._found


def _settled(look: Look) -> Iterator[Examined]:
    try:
        yield from look.take()
    except LockgateError as error:
        yield Examined.of_error(look.name, error, "not-checked")
    except PermissionError as error:
        detail = f"this account may not look: {error.filename or error.strerror}"
        yield Examined(name=look.name, state="not-checked", detail=detail, remedy=_AGAIN)
    except OSError as error:
        detail = f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)
        yield Examined(name=look.name, state="not-checked", detail=detail, remedy="see the kernel's log")
