"""What a refused bundle brought goes again at once: a source that signs what is bad at its end, again and again, would
fill the store with what nobody ever decides about."""

from __future__ import annotations

from collections.abc import Collection

from appliance import clock
from appliance.jobs.kinds import JobContext
from appliance.limits import intake as limits
from appliance.store.collection_lock import CollectionLock, patient_turn
from appliance.store.writes.lifecycle import ForgetRefused
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.oci.digest import Digest


def take_away(context: JobContext, brought: Collection[Digest]) -> None:
    """Collect what came with a refused bundle and nothing shows, pins or waits for, as `gc` does: into the graveyard.
    Where other imports or collects go on for long, or it fails, it is left for a collection. The caller holds no
    turn."""
    if not brought:
        return
    try:
        is_done = _collect(context, tuple(sorted(map(str, brought))))
    except LockgateError as error:  # the bundle is refused all the same, and that is what is said
        context.log(error.diagnostics())
        is_done = False
    if not is_done:
        context.log(f"{some(len(brought), 'blob')} of the refused bundle are left for lockgate gc")


def _collect(context: JobContext, digests: tuple[str, ...]) -> bool:
    station = context.station
    with patient_turn(station.paths, context.progress, limits.LEFTOVERS_WAIT) as is_mine:
        if not is_mine:
            return False
        with CollectionLock(station.paths).collecting():
            station.blobs.require_here()
            gone = station.writer.submit(ForgetRefused(digests=digests, job=context.job_id, at=clock.now()))
            station.blobs.graveyard.bury(map(Digest.parse, gone))
    return True
