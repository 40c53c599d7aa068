"""Which tag each destination was sent last: what `bundle build --changed` compares the station's tags with."""

from __future__ import annotations

from appliance.outgoing.build_params import Wanted
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.paths import StationPaths
from appliance.store.ports import Reader
from appliance.store.reads.last_sent import last_bundle, sent_tags, untagged_bundles


def carried_tags(reader: Reader, paths: StationPaths, stream: str) -> dict[tuple[str, str], str]:
    """By repository and tag, the digest in the last bundle of the stream that carried the tag.

    Bundles of before the tags were recorded are read from their jobs' folders, and count as older than all others.
    """
    found: dict[tuple[str, str], str] = {}
    for job, bundle in untagged_bundles(reader, stream):
        fixed = SealedBundle.load(paths.job(job)) if paths.job(job).is_dir() else None
        if fixed is None or fixed.manifest.id != bundle:
            continue
        for artifact in fixed.manifest.artifacts:
            found |= {(artifact.repository, tag): artifact.digest for tag in artifact.tags}
    return found | sent_tags(reader, stream)


def nothing_changed(reader: Reader, wanted: Wanted) -> str:
    """What is said where `--changed` leaves nothing to carry."""
    last = last_bundle(reader, wanted.stream)
    return f"nothing has changed for {wanted.site} since {last or 'its first bundle'}; there is nothing to build"
