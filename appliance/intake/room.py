"""Whether a bundle that comes in has room: in its source's quota, and in the store, with some left for others."""

from __future__ import annotations

from appliance.intake.drop_folder import ACTOR
from appliance.jobs.kinds import JobContext
from appliance.settings.quarantine import QuarantineSettings
from appliance.store.ports import Reader
from appliance.store.reads.intake import has_undecided, undecided_bytes
from bundles.errors import FailedError, RefusedError
from bundles.format.manifest import BundleManifest
from bundles.oci.digest import Digest


def beyond_quota(reader: Reader, settings: QuarantineSettings, source: str, size: int, digest: str) -> str:
    """Why a bundle of `size` bytes does not fit into its source's quota beside the source's other undecided ones; ""
    where it does, or there is none."""
    quota = settings.quota(source)
    if not quota:
        return ""
    held = undecided_bytes(reader, digest).get(source, 0)
    return "" if held + size <= quota else f"{size} bytes, and {held} of {quota} are in quarantine"


def require_quota(context: JobContext, manifest: BundleManifest, digest: Digest) -> None:
    """Raises RefusedError where the source's undecided bundles would be more than its quota, whoever brings this
    one."""
    size = sum(volume.size for volume in manifest.volumes)
    settings = context.station.config.quarantine
    why = beyond_quota(context.station.reader, settings, manifest.source, size, str(digest))
    if not why:
        return
    alone = size > settings.quota(manifest.source)
    decide = "decide about the others of this source first (lockgate intake list), or "
    raise RefusedError(
        f"the bundle is beyond the quota of {manifest.source} in quarantine",
        thing=f"{manifest.id}, {why}",
        remedy=("" if alone else decide) + f"give it more: bytes below [quarantine.sites.{manifest.source}] in"
        " config.toml, then start the station again",
    )


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
