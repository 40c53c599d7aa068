"""Who somebody is: the port of one verb, and the accounts of the station behind it.

Workloads by the tokens of their issuers stand behind the same port (appliance.access.workload_identity).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from appliance import clock
from appliance.access.directory import DirectoryAccounts, DirectoryError
from appliance.access.passwords import BusyError, HashingThreads, verify
from appliance.access.rate_limits import Buckets
from appliance.access.workload_tokens import Workload
from appliance.limits import access as limits
from appliance.store.epoch import Epoch
from appliance.store.reads.accounts import ROBOT, Account, Accounts, Secret
from appliance.store.writes.access import Seen
from appliance.store.writes.logins import ForgetFailures, RecordFailure
from appliance.store.writes.write import AsyncWriter
from bundles.errors import RefusedError

MARK: Final = "lgs_"
"""What a robot's secret begins with; then its id, an underscore, and 256 random bits. A scanner finds it in a file."""


NAME_KEPT: Final = 64
"""Characters of a name that failures are kept by; an account's name is shorter."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account that proved itself, and by which of its secrets ("" for a password), or as which workload."""

    account: Account
    secret: str = ""
    workload: Workload | None = None


class LockedError(RefusedError):
    """Too many failures of this origin: under this name, whether there is such an account or not, or under any.
    `seconds`: for how long still. `first`: nobody has been told yet."""

    def __init__(self, seconds: int, *, first: bool = True) -> None:
        super().__init__("too many failed log-ins", remedy=f"wait {seconds} s, then try again")
        self.seconds, self.first = seconds, first


class UnexplainedError(RefusedError):
    """The name and its secret are right, and the audit log does not explain the account: nobody logs in as it."""

    def __init__(self, name: str, thing: str, how: str) -> None:
        super().__init__(
            f"by the audit log {thing} is {how}: the database was changed by hand",
            thing=name,
            remedy="have another administrator set it anew or disable the account; see: lockgate intake check",
        )


class Explained(Protocol):
    """Holds accounts against the audit log."""

    async def wrong(self, name: str) -> tuple[str, str] | None:
        """The first row of an account that no event explains, and how; None for none. Never blocks."""
        ...


class Identity(Protocol):
    """Tells who somebody is."""

    async def identify(self, name: str, secret: str, origin: str) -> Known | None:
        """The account that `name` and `secret` prove, or None. `origin` is where the caller is: an address
        (appliance.addresses.origin_of) or a uid. Raises LockedError, BusyError, UnexplainedError, RefusedTokenError for
        a workload's token that proves nobody, DirectoryError where the directory cannot tell, and FailedError where the
        audit log cannot be read. Never blocks."""
        ...

    async def require_explained(self, name: str) -> None:
        """Go on only where the audit log explains an account: for who proves it in another way than by its secret.
        Raises UnexplainedError, FailedError. Never blocks."""
        ...


class Nobody:
    """Knows nobody: an open station, whose callers need not prove who they are."""

    async def identify(self, name: str, secret: str, origin: str) -> Known | None:
        """None."""
        return None

    async def require_explained(self, name: str) -> None:
        """Nobody is held against the log."""


class StationIdentity:
    """The station's own accounts, by password or robot secret; people of the directory by their password there.

    Proofs are remembered for a while under the epoch, by a keyed hash: a client that sends its password with every
    request costs one argon2id, and a storm of one robot's clients waits for the same one.

    Nothing is hashed that the origin has no attempt left for, and one hash of an origin at a time: wrong passwords in
    any number cost other origins nothing. Locks are by name and origin, so that nobody locks out another.
    """

    def __init__(
        self,
        accounts: Accounts,
        writer: AsyncWriter,
        threads: HashingThreads,
        epoch: Epoch,
        explained: Explained | None = None,
        directory: DirectoryAccounts | None = None,
    ) -> None:
        """`explained`: what an account is held against before it may log in; None on a station without a log.
        `directory`: who tells whether the passwords of its people are right; None without one."""
        self._accounts, self._writer, self._threads, self._epoch = accounts, writer, threads, epoch
        self._explained, self._directory = explained, directory
        self._key = secrets.token_bytes(32)
        self._proved: OrderedDict[bytes, tuple[bytes, float, str, str]] = OrderedDict()
        self._proving: dict[bytes, asyncio.Task[Known | None]] = {}
        self._attempts = Buckets(*limits.FAILURE_RATE)

    async def identify(self, name: str, secret: str, origin: str) -> Known | None:
        """As Identity.identify."""
        # The origin is part of it: one without attempts must not learn from what another has proved.
        proof = hmac.digest(self._key, f"{origin}\0{len(name)}:{name}:{secret}".encode(), hashlib.sha256)
        known = self._remembered(proof)
        if known is None:
            task = self._proving.get(proof)
            if task is None:
                task = asyncio.create_task(self._attempt(name, secret, proof, origin))
                self._proving[proof] = task
                task.add_done_callback(lambda _: self._proving.pop(proof, None))
            known = await asyncio.shield(task)
        if known is not None:  # behind the proof: who is nobody makes the station read no log
            await self.require_explained(name)
        return known

    async def _attempt(self, name: str, secret: str, proof: bytes, origin: str) -> Known | None:
        """One attempt of an origin, in its turn: taken before anything is hashed, and given back where it held."""
        async with self._threads.turn(origin):
            known = self._remembered(proof)  # it was proved while this one waited
            if known is not None:
                return known
            empty = self._attempts.take(origin)
            if empty is not None:
                raise LockedError(empty.seconds, first=empty.first)
            try:
                known = await self._prove_unlocked(name, secret, proof, origin)
            except (BusyError, DirectoryError):
                self._attempts.give(origin)
                raise
            if known is not None:
                self._attempts.give(origin)
            return known

    async def _prove_unlocked(self, name: str, secret: str, proof: bytes, origin: str) -> Known | None:
        until = self._accounts.locked_until(name[:NAME_KEPT], clock.now(), origin)
        if until is not None:
            raise LockedError(max(1, clock.seconds(until) - int(time.time())))
        epoch, robot = self._epoch.seen(), name.startswith(ROBOT)
        stored, secret_id = self._stored(name, secret)
        good = False
        if self._directory is not None and self._directory.is_asked(name):
            good, stored = await self._directory.prove(name, secret, self.require_explained), None
        if not good:  # as much work for whoever is not the directory's, or not right there
            good = await self._threads.run(lambda: verify(stored, secret, robot=robot))
        account = self._accounts.find(name)
        if not good or account is None or account.disabled is not None:
            await self._writer.submit(_failure(name, origin))
            return None
        self._proved[proof] = (epoch, time.monotonic() + limits.LOGIN_CACHE_TIME, name, secret_id)
        while len(self._proved) > limits.LOGIN_CACHE:
            self._proved.popitem(last=False)
        if not robot:
            await self._writer.submit(ForgetFailures(name=name, origin=origin))
        await note_seen(self._accounts, self._writer, name)
        return Known(account, secret_id)

    async def require_explained(self, name: str) -> None:
        """As Identity.require_explained."""
        wrong = None if self._explained is None else await self._explained.wrong(name)
        if wrong is not None:
            raise UnexplainedError(name, *wrong)

    def _stored(self, name: str, secret: str) -> tuple[str | None, str]:
        """The hash that the secret must have, and the id of a robot's."""
        account = self._accounts.find(name)
        if not name.startswith(ROBOT):
            return (None if account is None else account.password), ""
        parts = secret.split("_", 2)
        found = self._accounts.secret(parts[1]) if len(parts) == 3 and secret.startswith(MARK) else None
        if found is None or account is None or found.account != name or not is_good(found):
            return None, ""
        return found.hash, found.id

    def _remembered(self, proof: bytes) -> Known | None:
        kept = self._proved.get(proof)
        if kept is None:
            return None
        epoch, until, name, secret_id = kept
        account = self._accounts.find(name)
        found = self._accounts.secret(secret_id) if secret_id else None
        if (
            epoch != self._epoch.seen()
            or time.monotonic() > until
            or account is None
            or account.disabled is not None
            or (secret_id and (found is None or not is_good(found)))
        ):
            del self._proved[proof]
            return None
        return Known(account, secret_id)


async def note_seen(accounts: Accounts, writer: AsyncWriter, name: str) -> None:
    """Keep that an account proved itself now, every limits.SEEN_STEP at most."""
    if (accounts.seen(name) or "") < clock.after(-limits.SEEN_STEP):
        await writer.submit(Seen(account=name, at=clock.now()))


def is_good(secret: Secret) -> bool:
    """Whether a robot's secret is neither revoked nor over."""
    return secret.revoked is None and secret.expires > clock.now()


def _failure(name: str, origin: str) -> RecordFailure:
    return RecordFailure(
        name=name[:NAME_KEPT],
        origin=origin,
        at=clock.now(),
        forget_before=clock.after(-limits.LOGIN_FORGET),
        free=limits.LOGIN_FREE,
        locks=tuple(clock.after(seconds) for seconds in limits.LOGIN_LOCKS),
    )
