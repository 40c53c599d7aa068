"""What the audit log says of a bundle, beneath it what the newest cut kept, and what came to an open station.

On an open station nobody is logged in: who imported a bundle then, or handed in an approval, may be anybody. Once it
was closed, such an approval counts no more, and such an importer may be any of those who approve.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import REPORTED, Act, mark, read_act
from appliance.audit.reading import own_events
from appliance.origin import read_origin
from appliance.release_check.cut_record import kept_of
from appliance.release_check.log_facts import LogRecord
from appliance.station import Station
from appliance.store.reads.intake import Entry
from bundles.documents.signed import Approval
from bundles.errors import LockgateError, RefusedError

_UNDOABLE: Final = frozenset({*REPORTED, Act.INTAKE_APPROVE})


@dataclass(frozen=True, slots=True)
class Logged:
    """What the audit log says of a bundle: when it was last rejected or withdrawn, who brought it in, and the digest of
    its newest inspection report; "" where it does not say; and by whose log-in each key's newest approval came.
    `while_open` are the keys whose newest approval is older than the closing of the station, `brought_while_open` says
    that the bundle itself is. No backup and no edited row takes that back."""

    undone: str = ""
    importer: str = ""
    hands: Mapping[str, str] = field(default_factory=dict)
    report: str = ""
    while_open: Collection[str] = ()
    brought_while_open: bool = False


@dataclass(slots=True)
class _Reading:
    """What was read of the log so far, the newest first. `undid` are acts whose next older event did not happen."""

    undone: str = ""
    report: str = ""
    importer: str | None = None
    hands: dict[str, str] = field(default_factory=dict)
    while_open: set[str] = field(default_factory=set)
    closed_since: bool = False
    undid: set[str] = field(default_factory=set)

    def note(self, event: Mapping[str, Any]) -> None:
        """Add an event of the bundle that is done."""
        act, detail = event["act"], event["detail"]
        if act in _UNDOABLE and act in self.undid:
            self.undid.discard(act)
        elif read_act(act) in REPORTED:
            self.report = self.report or str(detail.get("report", ""))
        elif act in (Act.INTAKE_REJECT, Act.INTAKE_WITHDRAW):
            self.undone = self.undone or str(event["time"])
        elif act == Act.INTAKE_APPROVE:
            self.hand(str(detail["keyid"]), str(event["actor"]), while_open=False)
        elif act == Act.INTAKE_IMPORT:
            self.importer = str(event["actor"])

    def hand(self, keyid: str, actor: str, *, while_open: bool) -> None:
        """Add an approval, unless a newer one by its key was read."""
        if keyid not in self.hands:
            self.hands[keyid] = actor
            if self.closed_since or while_open:
                self.while_open.add(keyid)


def logged(station: Station, entry: Entry) -> Logged:
    """Read the log back to the bundle's import, or to where the newest cut says the rest."""
    kept = kept_of(station.paths, station.config.site, entry.digest)
    covers = kept.covers if kept.closed is not None else {}
    found = _Reading()
    for event in own_events(station.paths, marks=(entry.id.encode(), mark(Act.CLOSE))):
        if event["seq"] <= covers.get(str(event["lane"]), 0):
            continue
        found.closed_since = found.closed_since or event["act"] == Act.CLOSE
        if event["thing"] == entry.id and event["detail"].get("takes_back"):
            found.undid.add(event["act"])
        if (event["thing"], event["outcome"], event["detail"].get("digest")) == (entry.id, "done", entry.digest):
            found.note(event)
        if found.importer is not None:
            return Logged(found.undone, found.importer, found.hands, found.report, found.while_open, found.closed_since)
    if Act.INTAKE_APPROVE not in found.undid:  # of which key is not said: then of none
        for keyid, handed in kept.approved.get(entry.digest, {}).items():
            found.hand(keyid, handed.actor, while_open=handed.while_open)
    report = "" if found.undid & REPORTED else kept.reports.get(entry.digest, "")
    return Logged(
        found.undone or kept.undone.get(entry.digest, ""), kept.importers.get(entry.digest, ""), found.hands,
        found.report or report, found.while_open,
        _brought_while_open(station, entry, kept, closed_since=found.closed_since),
    )  # fmt: skip


def _brought_while_open(station: Station, entry: Entry, kept: LogRecord, *, closed_since: bool) -> bool:
    """Of a bundle whose import was pruned."""
    if closed_since or entry.digest in kept.brought_open:
        return True
    return kept.closed is None and _is_before_closing(station, entry.received)


def require_logged_in(station: Station, entry: Entry, said: Logged, approval: Approval, owner: str) -> None:
    """An approval did not come in while the station was open. Of one that neither the log nor what a cut kept tells of,
    the document's own time decides: no earlier than how the station was made, or closed. Raises RefusedError."""
    keyid = approval.keyid
    if keyid in said.while_open or (keyid not in said.hands and _is_before_closing(station, approval.created)):
        raise RefusedError(
            f"the station was open when the approval by {owner} was handed in", thing=entry.id,
            remedy="approve it again",
        )  # fmt: skip


def _is_before_closing(station: Station, time: str) -> bool:
    """Whether a time is older than the signed document that says that the station is closed; of a station whose
    document does not hold every time is."""
    if station.config.open:
        return False
    try:
        origin = read_origin(station.paths, station.config.site)
    except LockgateError:
        return True
    return origin is None or origin.open or time < origin.created


_came: dict[tuple[str, str], bool] = {}
"""By a station's folder and a bundle's digest: no process of a station outlives its closing."""


def came_while_open(station: Station, entry: Entry) -> bool:
    """Whether a bundle came in before the station was closed. The log is asked for those alone that are older than the
    signed document of the closing; a release asks it for each (appliance.intake.approvals.choose)."""
    if station.config.open or not _is_before_closing(station, entry.received):
        return False
    key = (str(station.paths.root), entry.digest)
    if key not in _came:
        _came[key] = logged(station, entry).brought_while_open
    return _came[key]
