"""What the audit log says of streams: the bundles that came in, restores that shut imports, and floors that people set.

Imports go by rows of the ledger and of restores (appliance.intake.ledger_by_log), and the check holds those rows
against this (appliance.release_check.changed_ledger).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from appliance import clock
from appliance.audit.acts import Act

ABOUT: Final = (
    Act.INTAKE_IMPORT, Act.INTAKE_INSPECT, Act.INTAKE_REINSPECT, Act.RESTORE, Act.STREAM_RESET,
)  # fmt: skip
"""The acts that this record is made of."""
_MANY: Final = 1_000_000
"""How often a floor was set, where an earlier version's cut kept only that it was."""
_BEFORE: Final = 60
_BEHIND: Final = 24 * 3600
"""Seconds before and after a restore's event within which its row was made, where the event of an earlier version does
not say when: the database was checked in between, and may be large."""

Floor = tuple[str, int, str]
"""A stream, a sequence and a digest."""


class Imported(NamedTuple):
    """An import: the bundle's id, the event's time, when the bundle was made and the digest of its small files ("" in
    events of an earlier version), and who brought it. `order` counts from the newest event back."""

    name: str
    time: str
    created: str
    files: str
    actor: str
    order: int

    @property
    def stream(self) -> str:
        """The bundle's stream."""
        return self.name.rpartition("-")[0]


class Restore(NamedTuple):
    """A restore: the time of its row, whether the event says that itself (`exact`), and whether it was done to the end.
    One that failed may have shut imports."""

    at: str
    exact: bool
    done: bool
    order: int

    def is_row(self, created: str) -> bool:
        """Whether a row that was made at `created` is of this restore."""
        if self.exact:
            return created == self.at
        try:
            return -_BEFORE <= clock.seconds(created) - clock.seconds(self.at) <= _BEHIND
        except ValueError:
            return False


class Opening(NamedTuple):
    """A floor that people set, and the time of the restore's row that was the newest then; None in events of an
    earlier version."""

    floor: Floor
    restore: str | None
    order: int


@dataclass(slots=True)
class StreamRecord:
    """By the log: `imports` the newest import of each bundle, by digest; `inspected` the bundles that this station
    looked into, so that their import was done for certain; `restores` and `openings`, the newest first; `floors` how
    often people set each, and `clocks` how often they set each, as (stream, time). `whole`: whether all of it is
    known."""

    imports: dict[str, Imported] = field(default_factory=dict)
    inspected: set[str] = field(default_factory=set)
    restores: list[Restore] = field(default_factory=list)
    floors: dict[Floor, int] = field(default_factory=dict)
    openings: list[Opening] = field(default_factory=list)
    clocks: dict[tuple[str, str], int] = field(default_factory=dict)
    count: int = 0
    whole: bool = True

    def note(self, act: Act | None, event: Mapping[str, Any], *, done: bool = True) -> None:
        """Add an event; the newest come first. Of those that were taken back (not `done`) restores count alone: they
        may have shut imports before they failed."""
        detail, thing, time = event["detail"], str(event["thing"]), str(event["time"])
        self.count += 1
        if act == Act.RESTORE:
            at = str(detail.get("at", ""))
            self.restores.append(Restore(at or time, bool(at), done, self.count))
        if not done:
            return
        if act == Act.INTAKE_IMPORT and detail.get("digest"):
            made, files = str(detail.get("created", "")), str(detail.get("files", ""))
            one = Imported(thing, time, made, files, str(event["actor"]), self.count)
            self.imports.setdefault(str(detail["digest"]), one)
        elif act in (Act.INTAKE_INSPECT, Act.INTAKE_REINSPECT):
            self.inspected.add(str(detail.get("digest", "")))
        elif act == Act.STREAM_RESET and detail.get("floor"):
            for name in {"", thing}:
                key = (name, str(detail["floor"]))
                self.clocks[key] = self.clocks.get(key, 0) + 1
        elif act == Act.STREAM_RESET:
            floor = (thing, int(detail.get("sequence", 0)), str(detail.get("digest", "")))
            self.floors[floor] = self.floors.get(floor, 0) + 1
            said = detail.get("restore")
            self.openings.append(Opening(floor, None if said is None else str(said), self.count))

    def shut_by(self, rows: Sequence[str]) -> Restore | None:
        """The restore that shut imports last: the one of the newest row that an event explains, or a later one that was
        done and has no row. `rows` are the times of the rows, the oldest first."""
        said = (one for row in reversed(rows) for one in self.restores if one.is_row(row))
        last = next(said, None)
        lost = [
            one for one in self.restores
            if one.done and (last is None or one.order < last.order) and not any(one.is_row(row) for row in rows)
        ]  # fmt: skip
        return min(lost, key=lambda one: one.order, default=last)

    def opened_since(self, restore: Restore, stream: str) -> set[Floor]:
        """The floors that people set for a stream since a restore."""
        return {
            one.floor for one in self.openings
            if one.floor[0] == stream
            and (one.order < restore.order if one.restore is None else restore.is_row(one.restore))
        }  # fmt: skip

    def arrived(self) -> str:
        """The time of the newest import that was done for certain, "" for none."""
        return max((one.time for digest, one in self.imports.items() if digest in self.inspected), default="")

    def go_on_from(self, base: StreamRecord, taken_back: set[tuple[Act | None, str]]) -> None:
        """Add what a cut kept. A floor or restore that it kept and that was taken back since is still counted."""
        self.whole = base.whole
        older = self.count
        for digest, one in base.imports.items():
            if (Act.INTAKE_IMPORT, one.name) not in taken_back:
                self.imports.setdefault(digest, one._replace(order=one.order + older))
        self.inspected |= base.inspected
        self.restores += [one._replace(order=one.order + older) for one in base.restores]
        for floor, count in base.floors.items():
            self.floors[floor] = self.floors.get(floor, 0) + count
        self.openings += [one._replace(order=one.order + older) for one in base.openings]
        for key, count in base.clocks.items():
            self.clocks[key] = self.clocks.get(key, 0) + count
        self.count += base.count

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word."""
        return {
            "imports": [[digest, *one] for digest, one in sorted(self.imports.items())],
            "inspected": [[digest] for digest in sorted(self.inspected)],
            "restores": [list(one) for one in self.restores],
            "floors": [[*floor, count] for floor, count in sorted(self.floors.items())],
            "openings": [list(one) for one in self.openings],
            "clocks": [[*key, count] for key, count in sorted(self.clocks.items())],
            "count": [[self.count]],
        }

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept; those of an earlier version say less. Raises as its parts do where they are
        none."""
        match word:
            case "imports":
                for digest, name, time, created, files, actor, order in rows:
                    self.imports[str(digest)] = Imported(
                        str(name), str(time), str(created), str(files), str(actor), int(order)
                    )
            case "inspected":
                self.inspected |= {str(digest) for (digest,) in rows}
            case "restores":
                self.restores += [
                    Restore(str(at), bool(exact), bool(done), int(order)) for at, exact, done, order in rows
                ]
            case "floors":
                for stream, sequence, digest, *count in rows:
                    self.floors[str(stream), int(sequence), str(digest)] = int(count[0]) if count else _MANY
            case "openings":
                for (stream, sequence, digest), restore, order in rows:
                    floor = (str(stream), int(sequence), str(digest))
                    self.openings.append(Opening(floor, None if restore is None else str(restore), int(order)))
            case "clocks":
                for stream, time, *count in rows:
                    self.clocks[str(stream), str(time)] = int(count[0]) if count else _MANY
            case "count":
                self.count = max(int(count) for (count,) in rows)
            case _:
                pass
