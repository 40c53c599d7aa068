"""The one process of a station that asks the upstreams of its caches, for all workers: what two clients ask for is
fetched once, and a registry that wants to be left alone is left alone by all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

import msgspec

from appliance.audit.port import FileAudit
from appliance.caching.fetch_requests import Ask
from appliance.caching.fetcher import Fetcher
from appliance.caching.storing import Storing
from appliance.caching.upstream_clients import UpstreamClients
from appliance.image_signatures.policy_in_force import Watched
from appliance.limits import caching as limits
from appliance.limits import store as store_limits
from appliance.local_socket import listen_at, stop_listening
from appliance.making_room import give_room
from appliance.outgoing.collect.station_accesses import StationAccesses
from appliance.outgoing.collect.tasks import end
from appliance.paths import StationPaths
from appliance.registry.pull_through import Outcome
from appliance.settings.caches import Caches
from appliance.settings.station import Config, load_config
from appliance.store.opening import open_store
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncSocketWriter
from appliance.store.writes.write import AsyncGuarded
from appliance.tracing.context import DONE_FOR, TraceContext
from appliance.upstreams.accounts import Accounts
from appliance.upstreams.auth_files import own_accounts
from appliance.upstreams.upstream import Upstreams
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.reference import check_repository, check_tag

_log: Final = logging.getLogger(__name__)


def run(root: Path, ready: Callable[[], object]) -> None:
    """Answer until SIGTERM. Raises LockgateError where it cannot begin."""
    asyncio.run(_serve(root, ready))


async def _serve(root: Path, ready: Callable[[], object]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    paths = StationPaths(root)
    config = load_config(paths.config)
    blobs, audit = open_store(paths), FileAudit(paths.audit)
    give_room(paths, blobs, audit)
    writer, metadata = AsyncSocketWriter(paths.writer_socket), Metadata(paths.database)
    storing = Storing(blobs, metadata, AsyncGuarded(writer), audit, Watched(paths))
    storing.partials.sweep(store_limits.PARTIAL_EXPIRES)
    fetcher = Fetcher(Caches(config.caches), clients_of(config, paths), storing)
    server, answering = await listen(fetcher, paths.cache_socket)
    ready()
    await stop.wait()
    server.close()
    stop_listening(paths.cache_socket)
    await fetcher.close()
    if answering:
        await asyncio.wait(answering, timeout=1.0)
    with contextlib.suppress(LockgateError):
        audit.close()
    await writer.close()


async def listen(fetcher: Fetcher, path: Path) -> tuple[asyncio.Server, set[asyncio.Task[None]]]:
    """Answer what other processes ask at a socket; the server, and the tasks that answer now. Raises FailedError."""
    answering = set[asyncio.Task[None]]()

    async def answer(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs it as one
        answering.add(task)
        try:
            await _answer(fetcher, reader, out)
        finally:
            answering.discard(task)

    server = await asyncio.start_unix_server(answer, sock=listen_at(path), limit=limits.CACHE_ASK)
    return server, answering


def clients_of(config: Config, paths: StationPaths) -> UpstreamClients:
    """The clients of a station's upstreams, with the station's own accounts. Raises UsageError, FailedError."""
    accesses = StationAccesses(Upstreams(config, paths.root), Accounts(), own_accounts(os.environ))
    return UpstreamClients(accesses, config.collect.redirects)


async def _answer(fetcher: Fetcher, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    """One question of a process of this station."""
    try:
        question = msgspec.json.decode(await reader.readline(), type=Ask)
        trace = TraceContext.parse([question.trace])
        DONE_FOR.set("" if trace is None else str(trace))  # of what is fetched for several it says the first one's
        telling = asyncio.ensure_future(_tell(fetcher, question, out))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
        await end([telling, gone])  # what it waited for goes on
        if not telling.cancelled():
            telling.result()
    except (OSError, ValueError, LockgateError) as error:
        _log.warning("a question to the caches was not answered: %s", type(error).__name__)
    finally:
        out.close()


async def _tell(fetcher: Fetcher, question: Ask, out: asyncio.StreamWriter) -> None:
    """Write the answer's lines. Raises MalformedError, OSError."""
    async for outcome in _outcomes(fetcher, question):
        out.write(msgspec.json.encode(outcome) + b"\n")
        await out.drain()


async def _outcomes(fetcher: Fetcher, question: Ask) -> AsyncGenerator[Outcome, None]:
    """Raises MalformedError."""
    repository, reference = check_repository(question.repository), question.reference
    if question.kind == "manifest":
        checked = str(Digest.parse(reference)) if ":" in reference else check_tag(reference)
        yield await fetcher.manifest(repository, checked)
    elif question.kind == "blob":
        yield await fetcher.blob(repository, Digest.parse(reference))
    else:
        async for outcome in fetcher.follow(repository, Digest.parse(reference)):
            yield outcome
