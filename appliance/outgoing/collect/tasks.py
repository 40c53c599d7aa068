"""Work side by side on one event loop: threads that are waited for, tasks that fail together, turns on a thing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """`asyncio.to_thread`, over only when the thread is: what it uses may be closed after that, also where the caller
    was cancelled meanwhile."""
    return await settled(asyncio.ensure_future(asyncio.to_thread(work, *arguments)))


async def settled(future: asyncio.Future[Result]) -> Result:
    """A future's result, waited for also where the caller is cancelled; then that is raised in its place."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(BaseException):
                await asyncio.shield(future)
        if not future.cancelled():
            future.exception()  # asked for, so that nobody misses it
        raise


async def all_of(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of all, in their order. Where one fails the others are cancelled and waited for, and its error is
    raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await end(tasks)
    failed = [task for task in tasks if not task.cancelled() and task.exception() is not None]
    return [task.result() for task in (failed or tasks)]


async def each_of(works: Iterable[Coroutine[Any, Any, object]], most: int) -> None:
    """Do all works, at most so many at once, each made when its turn comes. Fails as `all_of`."""
    waiting = iter(works)

    async def do() -> None:
        for work in waiting:
            await work

    await all_of(do() for _ in range(most))


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel those that are not done, and wait until they are."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    while pending := [task for task in waiting if not task.done()]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(pending)


class FirstAlone:
    """Lets the first one in alone, whatever it makes for the others, and then `most` at once."""

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)
        self._first = asyncio.Lock()
        self._is_open = False

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Be in."""
        async with contextlib.AsyncExitStack() as held:
            if not self._is_open:
                await held.enter_async_context(self._first)
            await held.enter_async_context(self._room)
            yield
            self._is_open = True


class Turns:
    """Locks by name that exist while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, name: Hashable) -> AsyncIterator[None]:
        """Hold the lock of a name."""
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = lock, users - 1
