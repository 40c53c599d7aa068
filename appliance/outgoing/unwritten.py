"""Bundles that were signed and never got onto their media: a stick was full, or was pulled out.

Their number is taken and the next bundle names them, so the inside waits for them. Asking for the same build again
goes on with the very bytes that were signed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.control.kinds import JobContext
from appliance.outgoing.fixed import Fixed
from appliance.outgoing.order import Order
from appliance.store.writes.jobs import FINAL_STATES
from bundles.build import Content
from bundles.errors import LockgateError


@contextmanager
def take_up(context: JobContext, order: Order, content: Content) -> Iterator[Fixed | None]:
    """The stream's signed and unwritten bundle that is the one ordered now, held while this is open; else None.

    It is the one where the order is the same, media apart, and so is what it would carry (`content`).
    """
    for job_id, params in _candidates(context, order.wanted.stream):
        folder = context.station.paths.job(job_id)
        with locked(folder) as held:
            fixed = Fixed.load(folder) if held else None
            if fixed is None:
                continue
            if fixed.manifest.artifacts == list(content.artifacts) and _same(order, params):
                context.log(f"goes on with {fixed.manifest.id}, which was signed and is not on its media")
                yield fixed
                return
            context.log(
                f"{fixed.manifest.id} was signed and is not on its media: until it is, {fixed.manifest.destination}"
                " takes no later bundle; ask for its build again to write it"
            )
    yield None


def _candidates(context: JobContext, stream: str) -> list[tuple[str, str]]:
    """The jobs (id, params) that ended between a signature and the end of writing, oldest first."""
    rows = context.station.reader.execute(
        "SELECT j.id, j.params, j.state FROM bundles_out b JOIN jobs j ON j.id = b.job_id"
        " WHERE b.stream = ? AND b.state = 'signed' AND j.id != ? ORDER BY b.sequence",
        (stream, context.job_id),
    )
    return [(job_id, params) for job_id, params, state in rows if state in FINAL_STATES]


def _same(order: Order, params: str) -> bool:
    """Whether the earlier order was the same, media apart."""
    try:
        return Order.read(json.loads(params), order.wanted.stream.partition(".")[0]) == order
    except LockgateError:
        return False


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """The lock in a job's folder, which its process holds as long as it runs; False where it is held."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
