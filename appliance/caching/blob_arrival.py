"""A blob on its way from an upstream into the store: what breaks off goes on where it was, also after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.caching.storing import Storing
from appliance.limits import store as limits
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.tasks import in_thread
from appliance.outgoing.collect.transfer import MemorySink, PartialSink
from appliance.settings.caches import Cached
from bundles.errors import RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest


async def fetch_blob(
    storing: Storing, source: RemoteSource, cached: Cached, repository: str, digest: Digest, size: int,
    begun: Callable[[Path, int], object],
) -> None:  # fmt: skip
    """Bring a blob of so many bytes. With a wrong digest at the end once more where a part of it was here before.
    `begun` is told the file in which a large one grows, and its size. Raises RefusedError for other bytes than the
    digest's, or another length; NotFoundError, FailedError."""
    blob = Descriptor("application/octet-stream", digest, size)
    if size < limits.PARTIAL_LEAST:
        memory = MemorySink()
        await source.fetch(blob, memory, _told)
        await storing.keep_blob(cached, repository, digest, bytes(memory.data))
        return
    partial = await in_thread(storing.partials.begin, digest, size, repository)
    try:
        if partial.offset:
            await in_thread(partial.catch_up, _told)
        begun(partial.path, size)
        await source.fetch(blob, PartialSink(partial), _told)
        await storing.keep_blob(cached, repository, digest, partial)
    except RefusedError:
        partial.cancel()
        raise
    finally:
        partial.keep()


def _told(_: int) -> None:
    """Nobody is told how far a blob is."""
