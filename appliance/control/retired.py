"""Whether something is retired, as the control API says it."""

from __future__ import annotations

from appliance import clock
from appliance.api.retirement import Retired
from appliance.station import Station
from appliance.store.reads.retirements import Retirement, retired
from bundles.oci.digest import Digest


def told(row: Retirement) -> Retired:
    """A retirement."""
    return Retired(
        reference=row.reference, digest=row.digest, successor=row.successor, after=row.after, reason=row.reason,
        actor=row.actor, at=row.at, over=row.is_over(clock.now()),
    )  # fmt: skip


def retired_of(station: Station, repository: str, digest: Digest | None = None) -> Retired | None:
    """What was retired first of a repository, and of an artifact in it; None where nothing is."""
    found = retired(station.reader, [repository], [] if digest is None else [str(digest)])
    return told(found[0]) if found else None
