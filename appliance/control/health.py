"""Health: the few things that, when they are wrong, make everything else wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from appliance.access import certificate_alerts
from appliance.audit.checkpoints import standing_of
from appliance.audit.noted_head import lost_head
from appliance.intake.overrides import trusted_now
from appliance.intake.stream_alarms import shut_streams, silent_streams
from appliance.limits import station as limits
from appliance.malware.check import check_engine
from appliance.station import Station
from appliance.store.database_file import exchanged
from appliance.store.integrity import last_check, went_back
from appliance.store.reads.upkeep import last_reread, last_scrub
from appliance.store.reserve import Reserve, Room
from appliance.store.whereabouts import is_elsewhere
from appliance.store.writable import unwritable
from bundles.documents.audit_log import LANES
from bundles.errors import LockgateError, RefusedError
from bundles.io.display import some
from bundles.signing.trust import TrustFolder

BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock before this is wrong: the program is younger."""


def checks(station: Station) -> list[dict[str, Any]]:
    """Each check as {name, ok, detail}, some with `alerts` that are no failure yet."""
    certificates = certificate_alerts.check(station.config, station.paths.root)
    trust = _load_trust(station)  # once for all checks: every console asks
    return [
        _space(station),
        _clock(station),
        _trust(trust),
        _store(station),
        _metadata(station),
        _record(station),
        *_ledger(station, trust),
        certificates,
        *_malware(station),
    ]


def _space(station: Station) -> dict[str, Any]:
    """Well where the disk takes writes, content is taken in, the reserve is whole, and a good deal is free beyond."""
    if why := unwritable(station.paths):
        detail = (
            f"nothing can be written in {station.paths.root} ({why}), so what has to be recorded is refused;"
            " see the kernel's log, stop the station, check the file system, and mount it again"
        )
        return {"name": "space", "ok": False, "detail": detail}
    reserve, room = Reserve(station.paths.reserve), Room.of(station.paths.root)
    most, share = limits.HEALTH_FREE
    detail = f"{room.free / 10**6:.0f} MB free"
    if why := reserve.read_only():
        detail = f"read-only: {why}; pulls, deletes and gc go on; free some space, and it takes content again"
    return {"name": "space", "ok": not why and room.free >= min(most, room.total // share), "detail": detail}


def _clock(station: Station) -> dict[str, Any]:
    moment = datetime.now(UTC)
    try:
        trusted_now(station.reader)
    except RefusedError as error:
        return {"name": "clock", "ok": False, "detail": error.diagnostics()}
    return {"name": "clock", "ok": moment >= BUILT, "detail": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _store(station: Station) -> dict[str, Any]:
    if station.blobs.uploads.is_symlink() or (station.blobs.uploads.exists() and not station.blobs.uploads.is_dir()):
        detail = f"no push is taken: something that is no folder is in the place of {station.blobs.uploads}; remove it"
        return {"name": "store", "ok": False, "detail": detail}
    try:
        station.blobs.graveyard.graves()
    except LockgateError as error:
        return {"name": "store", "ok": False, "detail": error.diagnostics()}
    if away := station.blobs.away():
        again = "answers" if station.blobs.is_remote else "is mounted"
        detail = f"not in its place: {away}; blobs are answered with 503 until it {again} again"
        return {"name": "store", "ok": False, "detail": detail}
    count, unread = station.metadata.troubled()
    last = last_scrub(station.reader)
    found = [f"{some(count, 'damaged blob')} withdrawn"] * bool(count) + [
        f"{some(unread, 'blob')} could not be read"
    ] * bool(unread)
    if found:
        return {"name": "store", "ok": False, "detail": f"{', '.join(found)}; see: lockgate scrub"}
    scrubbed = "never scrubbed"
    if last is not None:
        scrubbed = f"scrubbed {last.finished}" if last.finished else f"a scrub began {last.started}"
    reread = last_reread(station.reader)
    if reread is not None:
        scrubbed += f", reread {reread.finished}" if reread.finished else f", a rereading began {reread.started}"
    return {"name": "store", "ok": True, "detail": scrubbed}


def _metadata(station: Station) -> dict[str, Any]:
    """Not ok until all of it was read and found right: until then nothing is deleted either; nor where its files are
    not in their place any more."""
    if lost := station.metadata.placement.lost():
        detail = f"{lost} under the running station: nothing is written; stop it, and start it again"
        return {"name": "metadata", "ok": False, "detail": detail}
    if why := exchanged(station.paths.database):
        detail = f"{why}, under the running station: nothing is written; stop it, and put the newest copy back"
        return {"name": "metadata", "ok": False, "detail": detail}
    if back := went_back(station.reader):
        detail = (
            f"{back}; what came since is not served: stop the station and put the newest copy back, or say that this is"
            " it: lockgate restore --why TEXT; then push again what is missing"
        )
        return {"name": "metadata", "ok": False, "detail": detail}
    checked = last_check(station.reader)
    found = checked.found + [text for text in map(str, checked.rows) if text not in checked.found]
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        stops = "nothing is deleted" if checked.state == "damaged" else "collections go round it"
        return {"name": "metadata", "ok": False, "detail": f"{found[0]}{more}; {stops}; see: lockgate scrub"}
    if checked.state == "checking":
        return {"name": "metadata", "ok": False, "detail": f"is being checked since {checked.at}; deletions wait"}
    said = f"checked {checked.at}" if checked.at else "never checked"
    place = "in PostgreSQL, " if is_elsewhere(station.paths.database) else ""
    return {"name": "metadata", "ok": True, "detail": f"{place}{said}"}


def _load_trust(station: Station) -> TrustFolder | LockgateError:
    """The trust folder as it is now, or why it cannot be read."""
    try:
        return station.trust()
    except LockgateError as error:
        return error


def _trust(trust: TrustFolder | LockgateError) -> dict[str, Any]:
    if isinstance(trust, LockgateError):
        return {"name": "trust", "ok": False, "detail": trust.diagnostics()}
    return {"name": "trust", "ok": True, "detail": f"{len(trust.records)} pinned keys"}


def _record(station: Station) -> dict[str, Any]:
    """Whether the log is there, what its last checkpoint does not vouch for, and whether that is this station's."""
    if not (station.paths.audit / LANES).is_dir():
        detail = "its folder is gone, so nothing is changed; put it back from the newest copy, then start again"
        return {"name": "log", "ok": False, "detail": detail}
    try:
        standing = standing_of(station.paths)
    except LockgateError as error:
        return {"name": "log", "ok": False, "detail": error.diagnostics()}
    if lost := lost_head(station.paths):
        number = lost.partition("-")[0]
        detail = (
            f"what it recorded is gone: checkpoint {number}, which the station signed, is not in {station.paths.audit};"
            " stop the station, put the newest copy back if there is one, and say so: lockgate restore --why TEXT"
        )
        return {"name": "log", "ok": False, "detail": detail}
    if standing.damaged:
        return {"name": "log", "ok": False, "detail": standing.damaged}
    found = [f"lane {lane.lane:02} behind event {lane.seq} ({lane.code})" for lane in standing.refused.values()]
    if found:
        detail = f"not signed, since it is not what the station wrote: {', '.join(found)}; see: lockgate audit verify"
        return {"name": "log", "ok": False, "detail": detail}
    return {"name": "log", "ok": True, "detail": "every lane is signed"}


def _malware(station: Station) -> list[dict[str, Any]]:
    """Whether the engine that looks for malware can be relied on, where one is named."""
    settings = station.config.malware
    if not settings.is_set_up:
        return []
    found = check_engine(settings)
    return [{"name": "malware", "ok": found.ok, "detail": found.detail}]


def _ledger(station: Station, trust: TrustFolder | LockgateError) -> list[dict[str, Any]]:
    """Streams that are silent for longer than the policy lets pass, and streams that a restore shut."""
    if station.config.side != "inside":
        return []
    alarms: list[str] = []
    if not isinstance(trust, LockgateError):  # a damaged trust folder is a check of its own
        with suppress(LockgateError):
            alarms = [*silent_streams(station, trust), *shut_streams(station, trust).values()]
    return [{"name": "streams", "ok": not alarms, "detail": "; ".join(alarms) or "none is silent or shut"}]
