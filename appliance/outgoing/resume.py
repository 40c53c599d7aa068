"""Bundles that were signed and never got onto their media: a stick was full, or was pulled out.

Their number is taken and the next bundle follows them, so the inside waits for them. Such a bundle is finished before
its stream goes on: by the command that made it, with the very bytes that were signed, whatever tags did meanwhile; or
people give it up (`lockgate bundle void`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.jobs.kinds import JobContext
from appliance.outgoing.build_params import BuildOrder
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.store.reads.bundles_out import Unfinished, unfinished
from appliance.store.reads.jobs import params_of
from bundles.errors import FailedError, LockgateError
from bundles.format.manifest import BundleManifest


@contextmanager
def take_up(context: JobContext, order: BuildOrder) -> Iterator[SealedBundle | None]:
    """The stream's signed and unwritten bundle whose order was the same as this one, media apart, held while this is
    open; None where the stream has none left.

    Raises FailedError where what is left is another order's, is being written, or has lost its files.
    """
    left = [one for one in unfinished(context.station.reader, order.wanted.stream) if one.is_left]
    mine = next((one for one in left if _same(context, order, one)), None)
    if mine is None:
        if left:
            raise _another(context, left[0])
        yield None
        return
    folder = context.station.paths.job(mine.job)
    with locked(folder) as held:
        if not held and folder.exists():
            raise FailedError("the bundle is being written", thing=mine.id, remedy="wait for that to end")
        fixed = SealedBundle.load(folder) if held else None
        if fixed is None or fixed.manifest.id != mine.id:
            raise FailedError(
                "a signed bundle lost its files before it was on its media",
                thing=mine.id,
                remedy=f"give it up: lockgate bundle void {mine.id} --why TEXT",
            )
        context.log(f"finishes {mine.id}, which was signed {mine.signed} and is not on its media")
        yield fixed


def _another(context: JobContext, one: Unfinished) -> FailedError:
    """Another order's bundle stands before this one."""
    with locked(context.station.paths.job(one.job)) as held:
        fixed = SealedBundle.load(context.station.paths.job(one.job)) if held else None
    finish = "" if fixed is None else f"finish it: lockgate bundle recut {one.id} {_media(fixed.manifest)}, or "
    return FailedError(
        "a bundle of this stream was signed and is not on its media, so the inside would take no later one",
        thing=one.id,
        remedy=f"{finish}give it up: lockgate bundle void {one.id} --why TEXT",
    )


def _media(manifest: BundleManifest) -> str:
    return " ".join(f"--medium {number} --out DIR" for number in range(1, manifest.volumes[-1].medium + 1))


def _same(context: JobContext, order: BuildOrder, one: Unfinished) -> bool:
    """Whether the earlier order was the same, media apart."""
    params = params_of(context.station.reader, one.job)
    try:
        return params is not None and BuildOrder.read(params, order.wanted.source) == order
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
