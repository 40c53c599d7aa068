"""Who somebody is: the port of one verb, and the accounts of the station behind it.

A directory or a workload's own identity will stand behind the same port.
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

from appliance import clock, limits
from appliance.access.accounts import ROBOT, Account, Accounts, Secret
from appliance.access.passwords import HashingThreads, verify
from appliance.store.writes.access import ForgetFailures, RecordFailure, Seen
from appliance.store.writes.base import AsyncWriter
from bundles.errors import RefusedError

MARK: Final = "lgs_"
"""What a robot's secret begins with; then its id, an underscore, and 256 random bits. A scanner finds it in a file."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account that proved itself, and by which of its secrets ("" for a password)."""

    account: Account
    secret: str = ""


class LockedError(RefusedError):
    """Too many failures under this name, whether there is such an account or not. `seconds`: for how long still."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many failed log-ins", remedy=f"wait {seconds} s, or ask an administrator")
        self.seconds = seconds


class Identity(Protocol):
    """Tells who somebody is."""

    async def identify(self, name: str, secret: str) -> Known | None:
        """The account that `name` and `secret` prove, or None. Raises LockedError, BusyError. Never blocks."""
        ...


class Nobody:
    """Knows nobody: an open station, whose callers need not prove who they are."""

    async def identify(self, name: str, secret: str) -> Known | None:
        """None."""
        return None


class StationIdentity:
    """The station's own accounts, by password or robot secret.

    Proofs are remembered for a while under the epoch, by a keyed hash: a client that sends its password with every
    request costs one argon2id, and a storm of one robot's clients waits for the same one.
    """

    def __init__(self, accounts: Accounts, writer: AsyncWriter, threads: HashingThreads) -> None:
        self._accounts, self._writer, self._threads = accounts, writer, threads
        self._key = secrets.token_bytes(32)
        self._proved: OrderedDict[bytes, tuple[int, float, str, str]] = OrderedDict()
        self._proving: dict[bytes, asyncio.Task[Known | None]] = {}

    async def identify(self, name: str, secret: str) -> Known | None:
        """As Identity.identify."""
        proof = hmac.digest(self._key, f"{len(name)}:{name}:{secret}".encode(), hashlib.sha256)
        known = self._remembered(proof)
        if known is not None:
            return known
        until = self._accounts.locked_until(name, clock.now())
        if until is not None:
            raise LockedError(max(1, clock.seconds(until) - int(time.time())))
        task = self._proving.get(proof)
        if task is None:
            task = asyncio.create_task(self._prove(name, secret, proof))
            self._proving[proof] = task
            task.add_done_callback(lambda _: self._proving.pop(proof, None))
        return await asyncio.shield(task)

    async def _prove(self, name: str, secret: str, proof: bytes) -> Known | None:
        epoch, robot = self._accounts.epoch(), name.startswith(ROBOT)
        stored, secret_id = self._stored(name, secret)
        good = await self._threads.run(lambda: verify(stored, secret, robot=robot))
        account = self._accounts.find(name)
        if not good or account is None or account.disabled is not None:
            await self._writer.submit(_failure(name))
            return None
        self._proved[proof] = (epoch, time.monotonic() + limits.LOGIN_CACHE_TIME, name, secret_id)
        while len(self._proved) > limits.LOGIN_CACHE:
            self._proved.popitem(last=False)
        if not robot:
            await self._writer.submit(ForgetFailures(name=name))
        if (self._accounts.seen(name) or "") < clock.after(-limits.SEEN_STEP):
            await self._writer.submit(Seen(account=name, at=clock.now()))
        return Known(account, secret_id)

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
            epoch != self._accounts.epoch()
            or time.monotonic() > until
            or account is None
            or account.disabled is not None
            or (secret_id and (found is None or not is_good(found)))
        ):
            del self._proved[proof]
            return None
        return Known(account, secret_id)


def is_good(secret: Secret) -> bool:
    """Whether a robot's secret is neither revoked nor over."""
    return secret.revoked is None and secret.expires > clock.now()


def _failure(name: str) -> RecordFailure:
    return RecordFailure(
        name=name[:64],
        at=clock.now(),
        forget_before=clock.after(-limits.LOGIN_FORGET),
        free=limits.LOGIN_FREE,
        locks=tuple(clock.after(seconds) for seconds in limits.LOGIN_LOCKS),
    )
