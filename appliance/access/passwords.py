"""Passwords and secrets: hashed with argon2id in a few threads, never on an event loop, compared in constant time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.limits import access as limits
from bundles.errors import FailedError, UsageError
from bundles.io.threads import Threads

T = TypeVar("T")


def _hasher(cost: tuple[int, int]) -> PasswordHasher:
    return PasswordHasher(time_cost=cost[0], memory_cost=cost[1], parallelism=1, hash_len=32, salt_len=16)


_PERSON: Final = _hasher(limits.ARGON2_PERSON)
_ROBOT: Final = _hasher(limits.ARGON2_ROBOT)


def _decoy(cost: tuple[int, int]) -> str:
    """A hash that no secret has: verified where there is no account, so that it costs what one costs. Written, not
    computed: the first log-in of a process under an unknown name would take twice as long as any other."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={cost[1]},t={cost[0]},p=1${salt}${digest}"


_NOBODY: Final = {False: _decoy(limits.ARGON2_PERSON), True: _decoy(limits.ARGON2_ROBOT)}


def check_password(text: str) -> str:
    """A password a person chose. Raises UsageError."""
    least, most = limits.PASSWORD
    if not least <= len(text) <= most:
        raise UsageError(f"a password has {least} to {most} characters", remedy="choose another one")
    return text


def hash_password(text: str) -> str:
    """The argon2id hash of a person's password. Blocking, about 0.2 s."""
    return _PERSON.hash(text)


def hash_secret(text: str) -> str:
    """The argon2id hash of a robot's secret. Blocking, a few milliseconds."""
    return _ROBOT.hash(text)


def verify(stored: str | None, text: str, *, robot: bool) -> bool:
    """Whether `text` is what was hashed. None costs as much, and is False. Blocking."""
    if len(text) > limits.PASSWORD[1]:
        text = ""
    try:
        (_ROBOT if robot else _PERSON).verify(stored or _NOBODY[robot], text)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def new_secret() -> str:
    """256 random bits, as text for a URL, a file or a header."""
    return secrets.token_urlsafe(32)


def fingerprint(text: str) -> str:
    """The sha256 of a secret of 256 random bits, hex: what is kept of one that is looked up often."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that does not say where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


class BusyError(FailedError):
    """More log-ins wait than the station takes in."""


class HashingThreads:
    """A few threads for argon2id, and a queue with an end."""

    def __init__(self, threads: int = limits.ARGON2_THREADS, queue: int = limits.ARGON2_QUEUE) -> None:
        self._threads = Threads(threads, thread_name_prefix="argon2")
        self._room = queue
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    async def run(self, work: Callable[[], T]) -> T:
        """`work()` in one of the threads. Raises BusyError where the queue is full."""
        if self._room <= 0:
            raise BusyError("too many log-ins at once", remedy="try again in a few seconds")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room += 1

    @contextlib.asynccontextmanager
    async def turn(self, origin: str) -> AsyncIterator[None]:
        """Hold the origin's turn: one at a time of each, in the order they came, so that whoever floods the station
        with log-ins waits behind themselves. Raises BusyError where too many of the origin wait."""
        lock, waiting = self._turns.get(origin, (None, 0))
        if waiting >= limits.LOGIN_WAITING:
            raise BusyError("too many log-ins at once", remedy="try again in a few seconds")
        lock = lock or asyncio.Lock()
        self._turns[origin] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            waiting = self._turns[origin][1] - 1
            if waiting:
                self._turns[origin] = (lock, waiting)
            else:
                del self._turns[origin]

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
