"""People of a directory: the port of one verb, and what an account of this station becomes by it.

The directory says whether a password is right and which groups the person is in. What they may is written into the
station's own accounts before the log-in counts, by ordinary acts, so that every later request asks the station alone.
No group gives a role that decides, trusts or looks after accounts, and no account of the directory holds one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording_async
from appliance.permissions import Grant, clash
from appliance.store.reads.accounts import Account, Accounts, check_full_name, check_name
from appliance.store.writes.directory import SettleAccount
from appliance.store.writes.write import AsyncWriter
from bundles.errors import LockgateError, RefusedError, UsageError

DirectoryFault = Literal[
    "directory-down",  # it does not answer, or not in time
    "directory-tls",  # its certificate is none of the pinned authorities' for that name, or it speaks no TLS
    "directory-login",  # it does not take the station's own account, or that has no secret
    "directory-answer",  # it answers something else than was asked for: two entries, a referral
    "directory-no-role",  # the person is in no group that has a role here, and has no account yet
    "directory-roles",  # the groups give roles that nobody holds together
    "directory-name",  # the name, or the full name, cannot be an account's here
]
"""Why a person of the directory cannot log in though nothing was wrong with the password: stable words."""

PERSONAL: Final[frozenset[DirectoryFault]] = frozenset({"directory-no-role", "directory-roles", "directory-name"})
"""Those that are about the person, and not about the directory."""
_ACTOR: Final = "directory"

_WHAT: Final[Mapping[DirectoryFault, tuple[str, str]]] = {
    "directory-down": ("the directory does not answer", "try again later; local accounts log in as before"),
    "directory-tls": (
        "the directory's certificate does not hold",
        "check ca and address of [directory]",
    ),
    "directory-login": ("the directory refuses the station's account", "check bind_dn of [directory] and its secret"),
    "directory-answer": ("the directory gives no clear answer", "check user_base of [directory]: one entry for a name"),
    "directory-no-role": ("no group of the directory gives a role here", "have somebody put the person into a group"),
    "directory-roles": ("the directory's groups give roles that nobody holds together", "take the person out of one"),
    "directory-name": ("the directory's name cannot be an account's here", "see: lockgate user list"),
}


class DirectoryError(RefusedError):
    """Nobody logs in by the directory now, or not this person. Nothing falls back to anything."""

    def __init__(self, fault: DirectoryFault, thing: str = "") -> None:
        what, remedy = _WHAT[fault]
        super().__init__(what, thing=thing[:120], remedy=remedy, code=fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Person:
    """Who proved themselves: the full name as the directory has it, and what their groups give."""

    full_name: str
    grants: frozenset[Grant]


class Directory(Protocol):
    """Tells whether a person's password is right."""

    async def prove(self, name: str, password: str) -> Person | None:
        """The person of that name, or None where there is none or the password is wrong. Never blocks. Raises
        DirectoryError."""
        ...


class DirectoryAccounts:
    """The station's accounts of people of the directory; one process's."""

    def __init__(
        self, directory: Directory, accounts: Accounts, writer: AsyncWriter,
        record: Callable[[AuditEvent], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._directory, self._accounts, self._writer, self._record = directory, accounts, writer, record
        self._turn = asyncio.Lock()

    def is_asked(self, name: str) -> bool:
        """Whether the directory tells who `name` is: a person of whom this station has no account of its own. One that
        is disabled here is asked about nowhere."""
        try:
            check_name(name)
        except UsageError:
            return False
        account = self._accounts.find(name)
        return account is None or (account.disabled is None and self._accounts.of_directory(name))

    async def prove(self, name: str, password: str, explained: Callable[[str], Awaitable[None]]) -> bool:
        """Whether the password is the person's; then their account is there, with the roles that their groups give.
        An empty password is nobody's: a server would take it for an anonymous log-in (RFC 4513, section 5.1.2).
        `explained` raises for an account that the audit log does not explain, which is left as it is.

        Raises DirectoryError, and FailedError where the audit log takes nothing."""
        person = await self._directory.prove(name, password) if password else None
        if person is None:
            return False
        await explained(name)
        async with self._turn:
            await self._settle(name, person)
        return True

    async def _settle(self, name: str, person: Person) -> None:
        account = self._accounts.find(name)
        held = frozenset[Grant]() if account is None else frozenset(account.grants)
        if account is None and not person.grants:
            raise DirectoryError("directory-no-role", name)
        if clash(grant.role for grant in person.grants) is not None:
            raise DirectoryError("directory-roles", name)
        if account is not None and held == person.grants:
            return
        write = SettleAccount(
            account=name, full_name=_full_name(account, person), at=clock.now(),
            grants=tuple((grant.role, grant.pattern) for grant in _sorted(person.grants)),
        )  # fmt: skip
        events = [] if account is not None else [_event(Act.ACCOUNT_CREATE, name, kind="person", directory=True)]
        events += [
            _event(Act.ACCOUNT_WITHDRAW, name, role=one.role, pattern=one.pattern, every=False)
            for one in _sorted(held - person.grants)
        ]
        events += [
            _event(Act.ACCOUNT_GRANT, name, role=one.role, pattern=one.pattern) for one in _sorted(person.grants - held)
        ]
        try:
            async with AsyncExitStack() as stack:
                for event in events:
                    await stack.enter_async_context(recording_async(self._record, event))
                await self._writer.submit(write)
        except UsageError as error:
            raise DirectoryError("directory-name", f"{name}: {error.what}") from None


def _full_name(account: Account | None, person: Person) -> str:
    """A name that an account may have; "" where the directory's is none."""
    try:
        return check_full_name(person.full_name) if account is None else account.full_name
    except LockgateError:
        return ""


def _sorted(grants: Iterable[Grant]) -> list[Grant]:
    return sorted(grants, key=lambda one: (one.role, one.pattern))


def _event(act: Act, name: str, **detail: object) -> AuditEvent:
    return AuditEvent(act, _ACTOR, name, "done", detail)
