"""Loads of VEX documents: one, or a zip or folder of them as one source. All of a load at once, or nothing of it."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, cast

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.advisories.sums import statement_place, statement_sum
from appliance.advisories.vex.reading import is_vex, read_vex
from appliance.advisories.vex.statements import Document, malformed
from appliance.jobs.kinds import JobContext, Result
from appliance.limits import scanning as limits
from appliance.scanning.exploitation import summary
from appliance.scanning.exports import Export, copied
from appliance.scanning.sealing import Sealing, is_held
from appliance.scanning.staged import staged
from appliance.store.reads import advisories as held
from appliance.store.writes.advisories import SourceFacts, require_newer
from appliance.store.writes.vex import AddVex
from bundles.errors import MalformedError, UsageError
from bundles.io.display import safe, some

PREFIX: Final = "vex-"
"""How sources of VEX are named; no other data is loaded under such a name."""
_NAME: Final = 40
"""Characters of a document's id in the name of its source."""


def is_document(file: BinaryIO) -> bool:
    """Whether a file looks like a VEX document."""
    file.seek(0)
    raw = file.read(limits.VEX_DOCUMENT + 1)
    file.seek(0)
    return is_vex(raw)


def is_set(export: Export) -> bool:
    """Whether the first record of an export looks like a VEX document: then all of them must be."""
    _, raw = next(export.records(), ("", b""))
    return isinstance(raw, bytes) and is_vex(raw)


def load_file(context: JobContext, source: BinaryIO, name: str | None) -> Result:
    """Load the document in a file. Raises as `load`."""
    with tempfile.TemporaryFile(dir=context.folder) as file:
        digest = copied(
            source, cast(BinaryIO, file), 0, limits.VEX_DOCUMENT,
            lambda done, size: context.progress("read", done, size),
        )  # fmt: skip
        return load(context, [("", file.read())], digest, name)


def load(
    context: JobContext, records: Iterable[tuple[str, bytes | MalformedError]], digest: str, name: str | None
) -> Result:
    """Load documents as the source `name`, or one document under the name that its id gives.

    The result is that of the `advisories` job; `unmatched` counts products that name nothing that could be compared.
    Raises MalformedError for one document that is none, or dated ahead of the clock; RefusedError for an older load or
    one with far fewer statements; UsageError for a name of other data.
    """
    if name is not None and not name.startswith(PREFIX):
        raise UsageError("a source of VEX has another name", thing=name, remedy=f"begin it with {PREFIX}")
    source = name or held.source_of(context.station.reader, digest)
    if source is not None and is_held(context.station.reader, index_key(context.station.paths), source, digest):
        return summary(context, source, unchanged=True)
    documents = _documents(records)
    if source is None:
        first = next(documents)
        rest = next(documents, None)
        if rest is not None:
            raise UsageError("several VEX documents need a name", remedy=f"give --source {PREFIX}NAME")
        return _load(context, iter((first,)), digest, source_of(first.id))
    return _load(context, documents, digest, source)


def source_of(document: str) -> str:
    """The name of a document's source: no two ids have the same."""
    word = re.sub(r"[^a-z0-9]+", "-", document.lower().rpartition("/")[2]).strip("-").removeprefix(PREFIX)[:_NAME]
    return f"{PREFIX}{word or 'document'}-{hashlib.sha256(document.encode()).hexdigest()[:8]}"


def _documents(records: Iterable[tuple[str, bytes | MalformedError]]) -> Iterator[Document]:
    """Each document. Raises MalformedError, which names the file that it is in."""
    latest, seen = clock.seconds(clock.after(limits.ADVISORY_AHEAD)), set[str]()
    for name, raw in records:
        try:
            if isinstance(raw, MalformedError):
                raise raw
            found = read_vex(raw)
            newest = max([clock.at(found.at.timestamp()), *(one.at for one in found.statements)])
            if clock.seconds(newest) > latest:
                raise malformed(f"its time is ahead of the clock: {newest}")
            if found.id in seen:
                raise malformed(f"two documents have the id {found.id}")
        except MalformedError as error:
            thing = f"{name}: {error.thing}" if name else error.thing
            raise MalformedError(error.what, thing=safe(thing or "")[:300], remedy=error.remedy) from None
        seen.add(found.id)
        yield found


def _load(context: JobContext, documents: Iterator[Document], digest: str, source: str) -> Result:
    station, replace = context.station, bool(context.params.get("replace"))
    count = rows = unmatched = 0
    dated = ""
    with staged(context, source, source, digest) as generation:
        sealing = Sealing(context, generation)
        for one in documents:
            count += one.said
            unmatched += one.unmatched
            dated = max(dated, clock.at(one.at.timestamp()))
            context.progress("load", count, 0)
            for start in range(0, len(one.statements), limits.EPSS_BATCH):
                batch = one.statements[start : start + limits.EPSS_BATCH]
                rows += len(batch)
                for said in batch:
                    sealing.sums.add(statement_place(said.id, said.key), statement_sum(said))
                station.writer.submit(AddVex(generation=generation, rows=batch))
        if not count:
            raise malformed("no document")
        before = held.held(station.reader, source)
        if before is not None and not replace:
            require_newer(source, dated, count, *before)
        facts = SourceFacts(
            source=source, digest=digest, dated=dated, records=count, withdrawn=0, malformed=0, entries=rows
        )
        sealing.write_sums()
        sealing.switch(facts, {})
    context.log(f"{source}: {some(count, 'VEX statement')} of {dated}")
    if unmatched:
        context.log(f"[!!] {some(unmatched, 'product')} of {source} cannot be compared with anything here")
    return summary(context, source, unchanged=False, unmatched=unmatched)
