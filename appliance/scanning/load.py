"""The `advisories` job: an export into the station, all of it at once.

Rows are written as a load that nothing reads. One last write makes the load what its source says; the one before it is
then taken away, some rows at a time. A job that was cut off begins again.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

import msgspec

from appliance import clock
from appliance.advisories.exploitation import SOURCES
from appliance.advisories.record import Entry, Record, is_ordered, lookup_of, read_record
from appliance.advisories.seals import DAMAGED, index_key
from appliance.advisories.sums import Sums, entry_place, entry_sum, id_place
from appliance.audit.acts import Act
from appliance.jobs.kinds import JobContext, Result
from appliance.limits import scanning as limits
from appliance.outgoing.collected_file import collected_file
from appliance.scanning import exploitation, vex
from appliance.scanning.exports import Export, ZipExport, open_export
from appliance.scanning.rematch import Rematched, rematch
from appliance.scanning.sealing import Sealing, is_held
from appliance.scanning.staged import staged
from appliance.store.reads import advisories as held
from appliance.store.reads.sealed_sources import Load
from appliance.store.writes.advisories import (
    AddAdvisories,
    EntryRow,
    SourceFacts,
    require_newer,
)
from appliance.store.writes.components import ForgetUnshown
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io.display import safe, some
from bundles.io.files import failures_named, open_regular
from bundles.oci.reference import Reference

_COLLECTED: Final = "give the reference of a collected file: an export of OSV, a catalogue, scores or VEX"

_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_ID_SIZE: Final = 100
"""What a row of an id counts for in a batch, in bytes."""
_ENCODER: Final = msgspec.msgpack.Encoder()


def run(context: JobContext) -> Result:
    """Load the export at `params["path"]`, or in the collected file `params["reference"]`, as the source
    `params["source"]`; with `params["replace"]` also an older one, or a part.

    The result: source, digest, dated, records, withdrawn, malformed, malformed_named [text], without_versions,
    entries, ecosystems {name: entries}, not_ordered [ecosystems whose versions cannot be compared], unchanged, images
    and affected (images with an SBOM of the station's own, and how many of them have findings).

    Raises MalformedError for what is no export, RefusedError for an older one or a part, FailedError.
    """
    thing = str(context.params.get("reference") or context.params.get("path") or "")
    try:
        source = context.params.get("source")
        if source is not None and not _SOURCE.match(source):
            raise UsageError("not a source's name", thing=safe(source)[:80], remedy="use [a-z0-9._-], at most 64")
        with _rating_file(context) as file:
            if file is not None and vex.is_document(file):
                return vex.load_file(context, file, source)
            if file is not None:
                return exploitation.load(context, file, source)
        with contextlib.closing(_opened(context)) as export:
            if vex.is_set(export):
                return vex.load(context, export.records(), export.digest, source)
            if source in SOURCES or (source or "").startswith(vex.PREFIX):
                raise UsageError("the name is that of other data", thing=source or "", remedy="give another --source")
            return _Load(context, export, source).run()
    except LockgateError as error:
        context.record_failure(Act.ADVISORIES_LOAD, thing, error)
        raise


@contextlib.contextmanager
def _rating_file(context: JobContext) -> Iterator[BinaryIO | None]:
    """The file that was named, where it holds a KEV catalogue or EPSS scores; else None."""
    path, reference = context.params.get("path"), context.params.get("reference")
    with contextlib.ExitStack() as opened:
        file: BinaryIO | None = None
        if path is not None and reference is None:
            place = context.path(path)
            with failures_named(place, "the advisories cannot be read"):
                if not place.is_dir():
                    descriptor = open_regular(place, ceiling=limits.ADVISORY_EXPORT)
                    file = opened.enter_context(os.fdopen(descriptor, "rb"))
        elif path is None and reference is not None:
            _, found = collected_file(context.station, Reference.parse(str(reference)), remedy=_COLLECTED)
            file = opened.enter_context(context.station.blobs.open_blob(found.digest))
        yield file if file is not None and exploitation.is_rating(file) else None


def _opened(context: JobContext) -> Export:
    path, reference = context.params.get("path"), context.params.get("reference")
    if (path is None) == (reference is None):
        raise UsageError("give a file or folder, or the reference of a collected file")

    def copied(done: int, total: int) -> None:
        context.progress("read", done, total)

    if path is not None:
        return open_export(context.path(path), context.folder, copied)
    _, found = collected_file(context.station, Reference.parse(str(reference)), remedy=_COLLECTED)
    with context.station.blobs.open_blob(found.digest) as file:
        return ZipExport(file, found.size, context.folder, copied, str(reference))


@dataclass(slots=True)
class _Counts:
    records: int = 0
    withdrawn: int = 0
    malformed: int = 0
    named: list[str] = field(default_factory=list)
    without_versions: int = 0
    entries: int = 0
    ecosystems: dict[str, int] = field(default_factory=dict)
    not_ordered: set[str] = field(default_factory=set)
    dated: str = ""


class _Load:
    def __init__(self, context: JobContext, export: Export, source: str | None) -> None:
        self._context, self._station, self._export = context, context.station, export
        self._source = source
        self._counts = _Counts()
        self._latest = clock.after(limits.ADVISORY_AHEAD)
        self._matched = Rematched()

    def run(self) -> Result:
        context, counts = self._context, self._counts
        self._source = self._source or held.source_of(self._station.reader, self._export.digest)
        key = index_key(self._station.paths)
        if self._source is not None and is_held(self._station.reader, key, self._source, self._export.digest):
            return self._result(unchanged=True)
        thing = self._source or self._export.digest
        with staged(context, self._source or "", thing, self._export.digest) as generation:
            sealing = Sealing(context, generation)
            for rows in self._batches():
                _add(sealing.sums, rows)
                self._station.writer.submit(AddAdvisories(generation=generation, rows=tuple(rows)))
            facts = self._facts()
            sealing.write_sums()
            self._rematch(sealing, sealing.load(facts.source, counts.ecosystems))
            sealing.switch(facts, counts.ecosystems)
        self._forget()
        context.log(f"{facts.source}: {some(counts.records, 'record')} of {facts.dated}")
        if counts.malformed:
            context.log(f"[!!] {some(counts.malformed, 'record')} of {facts.source} could not be read")
        return self._result(unchanged=False)

    def _batches(self) -> Iterator[list[EntryRow]]:
        """Rows of what the records say, some at a time."""
        counts, batch, size = self._counts, list[EntryRow](), 0
        for number, (name, raw) in enumerate(self._export.records(), 1):
            self._context.progress("load", number, self._export.count)
            record = self._read(name, raw)
            if record is None:
                continue
            for entry in record.entries:
                row = _row(entry)
                batch.append(row)
                size += len(row.entry) + _ID_SIZE * len(row.ids)
                counts.entries += 1
                counts.ecosystems[entry.ecosystem] = counts.ecosystems.get(entry.ecosystem, 0) + 1
                if not is_ordered(entry):
                    counts.not_ordered.add(entry.ecosystem.partition(":")[0])
                if len(batch) >= limits.ADVISORY_BATCH or size >= limits.ADVISORY_BATCH_SIZE:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _read(self, name: str, raw: bytes | MalformedError) -> Record | None:
        counts = self._counts
        try:
            if isinstance(raw, MalformedError):
                raise raw
            record = read_record(raw)
        except MalformedError as error:
            counts.malformed += 1
            if len(counts.named) < limits.ADVISORY_NAMED:
                counts.named.append(safe(f"{name}: {error.what} ({error.thing})")[:300])
            return None
        counts.records += 1
        counts.withdrawn += record.withdrawn
        counts.without_versions += record.without_versions
        moment = _utc(record.modified)
        if moment <= self._latest:
            counts.dated = max(counts.dated, moment)
        return record

    def _facts(self) -> SourceFacts:
        """What the export is. Raises MalformedError for one without a record, RefusedError for an older one or a part:
        the last write asks again."""
        counts = self._counts
        if not counts.records or not counts.dated:
            first = f" ({counts.named[0]})" if counts.named else ""
            raise MalformedError(
                "no advisory in the export", thing=f"{some(counts.malformed, 'malformed record')}{first}",
                remedy="give an export of OSV (all.zip of an ecosystem), or a folder of its records",
            )  # fmt: skip
        self._source = self._source or _name_of(counts.ecosystems)
        before = held.held(self._station.reader, self._source)
        if before is not None and not self._context.params.get("replace"):
            require_newer(self._source, counts.dated, counts.records, *before)
        return SourceFacts(
            source=self._source, digest=self._export.digest, dated=counts.dated, records=counts.records,
            withdrawn=counts.withdrawn, malformed=counts.malformed, entries=counts.entries,
        )  # fmt: skip

    def _rematch(self, sealing: Sealing | None = None, pending: Load | None = None) -> None:
        """Hold the whole store against what the load says, and keep with the load what is new by it."""

        def keep(findings: tuple[tuple[int, str], ...], images: tuple[str, ...]) -> None:
            if sealing is not None:
                sealing.keep(findings, images)

        def advance(done: int, total: int) -> None:
            self._context.progress("match", done, total)

        key = index_key(self._station.paths)
        self._matched = rematch(self._station.reader, key, pending, keep, advance)
        if self._matched.damaged:
            what = some(self._matched.damaged, "image has", "images have")
            self._context.log(f"[!!] {what} no known packages, since {DAMAGED}; scan them again: lockgate scan REF")

    def _forget(self) -> None:
        """Take away what the index has of images that nothing shows any more."""
        while self._station.writer.submit(ForgetUnshown()):
            self._context.progress("drop", 0, 0)

    def _result(self, *, unchanged: bool) -> Result:
        source = next((one for one in held.sources(self._station.reader) if one.source == self._source), None)
        counts = self._counts
        if unchanged:
            self._rematch()
        facts: Mapping[str, Any] = {} if source is None else {
            "digest": source.digest, "dated": source.dated, "records": source.records, "withdrawn": source.withdrawn,
            "malformed": source.malformed, "entries": source.entries, "ecosystems": dict(source.ecosystems),
        }  # fmt: skip
        return {
            "source": self._source, **facts, "malformed_named": counts.named, "unchanged": unchanged,
            "without_versions": counts.without_versions, "not_ordered": sorted(counts.not_ordered),
            "images": self._matched.images, "affected": self._matched.affected, "unmatched": 0,
        }  # fmt: skip


def _add(sums: Sums, rows: Iterable[EntryRow]) -> None:
    for row in rows:
        own = entry_sum(row.entry)
        sums.add(entry_place(row.ecosystem.partition(":")[0], row.name), own)
        for name in row.ids:
            sums.add(id_place(name), own)


def _row(entry: Entry) -> EntryRow:
    _, name = lookup_of(entry)
    return EntryRow(
        ecosystem=entry.ecosystem, name=name, id=entry.id, ids=tuple(sorted(entry.ids)), entry=_ENCODER.encode(entry)
    )


def _name_of(ecosystems: Mapping[str, int]) -> str:
    """A source's name from what it is about: `osv-pypi`; `osv` for several ecosystems."""
    bases = {name.partition(":")[0] for name in ecosystems}
    word = re.sub(r"[^a-z0-9]+", "-", bases.pop().lower()).strip("-") if len(bases) == 1 else ""
    return f"osv-{word}" if word else "osv"


def _utc(text: str) -> str:
    """A record's time in the station's form. One that no clock shows is before all others."""
    try:
        moment = datetime.fromisoformat(text)
        return clock.at(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        return ""
