"""What an act of the control API waits for before it is recorded: its turn on what it changes, and collections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.limits import store as limits
from appliance.store.blobs import BlobStore
from appliance.store.writes.registry import ClientWrite


@asynccontextmanager
async def turn(blobs: BlobStore, write: ClientWrite) -> AsyncIterator[None]:
    """From before an act is recorded until it is durable nobody else records one on the same things
    (appliance.store.turns)."""
    turns, (alone, shared) = blobs.turns, write.things
    while (held := turns.try_take(alone, shared)) is None:  # noqa: ASYNC110  no event crosses processes
        await asyncio.sleep(limits.TURN_LOOK)
    try:
        yield
    finally:
        os.close(held)


@asynccontextmanager
async def placing(blobs: BlobStore) -> AsyncIterator[None]:
    """From before a blob gets its name until its link is durable: garbage collection waits for it, and it for garbage
    collection (appliance.store.collection_lock)."""
    while (held := blobs.gate.try_place()) is None:  # noqa: ASYNC110  no event crosses processes
        await asyncio.sleep(limits.TURN_LOOK)
    try:
        yield
    finally:
        os.close(held)
