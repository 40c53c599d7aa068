"""How much of the drop folder's disk a site's bundles may take that come over a diode (docs/adr/0080).

A session's head announces bytes that have not come, and they are counted as if they had. Where keys of several sites
are pinned, one of them has at most half of what would be free without its own bundles: those that are coming in, and
those that were delivered and lie there still.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from appliance.diode.arrival import Arrival
from appliance.diode.session import BUNDLE, Session
from appliance.limits import diode as limits
from appliance.limits import transfer as transfer_limits
from bundles import limits as bundle_limits
from bundles.errors import NoSpaceError
from bundles.signing.trust import TrustFolder


def require_room(drop: Path, found: Session, arrivals: Iterable[Arrival], trust: TrustFolder, at: str) -> None:
    """Raises NoSpaceError where the disk of `drop` has no room for a session's bundle beside what is coming in, or
    where it would leave none for other sites."""
    free = shutil.disk_usage(drop).free - limits.DIODE_ROOM
    coming, here = {True: 0, False: 0}, 0
    for one in arrivals:
        own = one.session.site == found.site
        coming[own] += one.session.size - one.done_bytes
        here += one.done_bytes if own else 0
    wanted = found.size + found.size // 50
    if wanted + coming[True] + coming[False] > free:
        raise NoSpaceError(
            "no room for the bundle", thing=f"{found.bundle}, {found.size} bytes of {max(0, free)}",
            remedy="make room on the disk of the drop folder, and have it sent again",
        )  # fmt: skip
    if not _others_send(trust, found.site, at):
        return
    here += delivered_bytes(drop, found.site)
    most = (free - coming[False] + here) // 2
    if here + coming[True] + wanted > most:
        raise NoSpaceError(
            "the bundle would leave no room for other sites",
            thing=f"{found.bundle}, {found.size} bytes; {here + coming[True]} of {max(0, most)} are of {found.site}",
            remedy=f"take away the bundles of {found.site} in the drop folder that were imported, or make room on its"
            " disk; then have it sent again",
        )  # fmt: skip


def _others_send(trust: TrustFolder, site: str, at: str) -> bool:
    """Whether a key of another site may sign heads now."""
    return any(
        other not in (site, trust.site) and record.objection("receipt", at, other) is None
        for record in trust.records
        for other in record.sites
    )


def delivered_bytes(drop: Path, site: str) -> int:
    """The bytes on the disk of a site's bundles in a drop folder that this account put there: what others put there
    under a site's name takes nothing of the site's share. Raises OSError."""
    size = 0
    with os.scandir(drop) as entries:
        names = [entry.name for entry in islice(entries, transfer_limits.DROP_NAMES)]
    for name in names:
        match = BUNDLE.match(name)
        if match is not None and match[1] == site:
            with contextlib.suppress(OSError):  # it was taken away in between
                size += _bytes_in(drop / name)
    return size


def _bytes_in(folder: Path) -> int:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return 0
    size = 0
    for place in (folder, folder / "volumes"):
        if place.is_symlink() or not place.is_dir():
            continue
        with os.scandir(place) as entries:
            size += sum(
                512 * entry.stat(follow_symlinks=False).st_blocks
                for entry in islice(entries, bundle_limits.VOLUMES + 1024)
            )
    return size
