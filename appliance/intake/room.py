"""Whether the store has room for a bundle that comes in, and leaves some for other sources."""

from __future__ import annotations

from appliance.intake.drop_folder import ACTOR
from appliance.jobs.kinds import JobContext
from appliance.store.reads.intake import has_undecided
from bundles.errors import FailedError
from bundles.format.manifest import BundleManifest
from bundles.oci.digest import Digest


def require_room(context: JobContext, manifest: BundleManifest, digest: Digest, needed: int, free: int) -> None:
    """`needed` and `free` are bytes. What nobody brought, and came over a wire, takes no more than half of the room
    where its source has bundles in quarantine already: the other sources find as much. Raises FailedError."""
    if needed > free:
        raise FailedError(
            "the store is too small for the bundle",
            thing=f"{needed} bytes are needed, {free} are free",
            remedy="free some space, then run it again",
        )
    if context.actor != ACTOR or 2 * needed <= free:
        return
    if has_undecided(context.station.reader, manifest.stream, str(digest)):
        raise FailedError(
            "the bundle would leave no room for other sources, and others of its source wait in quarantine",
            thing=f"{manifest.id}, {needed} of {free} bytes",
            remedy="decide about those first (lockgate intake list), or import it by hand: lockgate intake import DIR",
        )
