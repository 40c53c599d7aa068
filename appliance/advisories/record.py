"""Advisories in the OSV schema (1.x, https://ossf.github.io/osv-schema/), read strictly and kept small.

A record is untrusted: its size and its counts are capped before it is decoded, and what is not as the schema says makes
it malformed. A record that is malformed is an error with its name, never an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from appliance.advisories import severity
from appliance.advisories.names import lookup_name
from appliance.advisories.versions.order import scheme_of
from appliance.limits import scanning as limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.io.display import safe

_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ADVISORY_NAME)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ADVISORY_ID)]
_Version = Annotated[str, msgspec.Meta(max_length=limits.ADVISORY_VERSION)]
_TIME_MOST: Final = 64
_Time = Annotated[str, msgspec.Meta(min_length=1, max_length=_TIME_MOST)]
"""Real records hold years of one digit: such a time dates nothing, and the record counts."""
Bound = Literal["introduced", "fixed", "last_affected", "limit"]
BOUNDS: Final[tuple[Bound, ...]] = ("introduced", "fixed", "last_affected", "limit")


class _Event(msgspec.Struct):
    introduced: _Version | None = None
    fixed: _Version | None = None
    last_affected: _Version | None = None
    limit: _Version | None = None


class _Range(msgspec.Struct):
    type: Literal["SEMVER", "ECOSYSTEM", "GIT"]
    events: list[_Event]


class _Package(msgspec.Struct):
    ecosystem: _Short
    name: _Short


class _Severity(msgspec.Struct):
    type: str
    score: Annotated[str, msgspec.Meta(max_length=limits.ADVISORY_NAME)]


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[_Version] | None = None
    severity: list[_Severity] | None = None


class _Document(msgspec.Struct):
    id: _Id
    modified: _Time
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[_Id] | None = None
    upstream: list[_Id] | None = None
    summary: str | None = None
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    database_specific: dict[str, Any] | None = None


class Range(msgspec.Struct, frozen=True, array_like=True):
    """A range of versions: `is_semver` where Semantic Versioning orders it whatever the ecosystem; `events` in the
    record's order."""

    is_semver: bool
    events: tuple[tuple[Bound, str], ...]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What one record says of one package. `ecosystem` has its release (`Debian:12`), `name` is as the ecosystem spells
    it and looked up as `lookup_name` says; `severity` is none, low, medium, high, critical or unknown, `score` the
    CVSS base score in tenths, or None; `published` is when the record says that it was, "" where it does not, or where
    an earlier version loaded it."""

    id: str
    ecosystem: str
    name: str
    ranges: tuple[Range, ...]
    versions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    severity: str = severity.UNKNOWN
    score: int | None = None
    vector: str = ""
    summary: str = ""
    modified: str = ""
    published: str = ""

    @property
    def ids(self) -> frozenset[str]:
        """Every id of what the record is about: its own, its aliases, and those of what a distribution took it from."""
        return frozenset((self.id, *self.aliases))


class Record(msgspec.Struct, frozen=True):
    """A record: `modified` is its time, `withdrawn` whether it counts no more, `entries` what it says of each package;
    `without_versions` how many packages it names without a version that could be compared (GIT ranges alone)."""

    id: str
    modified: str
    withdrawn: bool
    aliases: tuple[str, ...]
    entries: tuple[Entry, ...]
    without_versions: int = 0


def read_record(raw: bytes) -> Record:
    """The record in these bytes. Raises MalformedError, which names it where it has an id."""
    fields = strict_json.loads(
        raw, ceiling=limits.ADVISORY_RECORD, nodes=limits.ADVISORY_NODES, what="an advisory", floats=True
    )
    name = fields.get("id") if isinstance(fields, dict) else None
    shown = safe(name[: limits.ADVISORY_NAME]) if isinstance(name, str) else ""
    try:
        record = _record(msgspec.convert(fields, _Document, strict=True))
        msgspec.msgpack.encode(record)  # half a surrogate pair could be kept nowhere: a ValueError
        return record
    except (msgspec.ValidationError, ValueError) as error:
        raise MalformedError(
            "an advisory is malformed", thing=f"{shown}: {safe(str(error))[:160]}",
            remedy="take a newer export; the source's other records are read",
        ) from None  # fmt: skip


def _record(document: _Document) -> Record:
    aliases = tuple(dict.fromkeys((*(document.aliases or ()), *(document.upstream or ()), *_taken_from(document.id))))
    if (len(aliases) + 1) * len(document.affected or ()) > limits.ADVISORY_IDS:
        raise ValueError("too many ids of too many packages")
    withdrawn = bool(document.withdrawn)
    entries, without = list[Entry](), 0
    for affected in document.affected or ():
        if affected.package is None:
            without += 1
            continue
        ranges = tuple(_ranges(affected))
        if not ranges and not affected.versions:
            without += 1
            continue
        rated = severity.rate(
            [(one.type, one.score) for one in (affected.severity or document.severity or ())],
            (document.database_specific or {}).get("severity"),
        )
        package = affected.package
        entries.append(
            Entry(
                id=document.id, ecosystem=package.ecosystem, name=package.name, ranges=ranges,
                versions=tuple(affected.versions or ()), aliases=aliases, severity=rated.level, score=rated.tenths,
                vector=rated.vector, summary=(document.summary or "")[: limits.ADVISORY_SUMMARY],
                modified=document.modified, published=(document.published or "")[:_TIME_MOST],
            )
        )  # fmt: skip
    return Record(
        id=document.id, modified=document.modified, withdrawn=withdrawn, aliases=aliases,
        entries=() if withdrawn else tuple(entries), without_versions=without,
    )  # fmt: skip


def _taken_from(name: str) -> Iterator[str]:
    """The CVE that a distribution's record is about (`DEBIAN-CVE-2024-1`, `ALPINE-CVE-2024-1`)."""
    _, found, rest = name.partition("-CVE-")
    if found:
        yield f"CVE-{rest}"


def _ranges(affected: _Affected) -> Iterator[Range]:
    """The ranges of versions; those of commits are of no use here. Raises ValueError."""
    for one in affected.ranges or ():
        events = [(bound, value) for event in one.events for bound, value in _bounds(event)]
        if one.type == "GIT":
            continue
        if not events:
            raise ValueError("a range without events")
        yield Range(one.type == "SEMVER", tuple(events))


def _bounds(event: _Event) -> list[tuple[Bound, str]]:
    """The bounds that an event names: one by the schema, several in older records. Raises ValueError for none."""
    found: list[tuple[Bound, str]] = [
        (bound, value) for bound in BOUNDS if (value := getattr(event, bound)) is not None
    ]
    if not found:
        raise ValueError("an event without introduced, fixed, last_affected and limit")
    if any(not value for _, value in found):
        raise ValueError("an event with an empty version")
    return found


def lookup_of(entry: Entry) -> tuple[str, str]:
    """Ecosystem without its release, and the name as it is looked up."""
    base = entry.ecosystem.partition(":")[0]
    return base, lookup_name(base, entry.name)


def is_ordered(entry: Entry) -> bool:
    """Whether versions of the entry's ecosystem can be compared here."""
    return scheme_of(entry.ecosystem) is not None
