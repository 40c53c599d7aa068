"""Seals loads of advisories, so that every verdict knows their rows again (appliance.advisories.sums)."""

from __future__ import annotations

from typing import Final

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.advisories.sums import NewsSum, Sums, bucket_seal, list_seal, list_text, source_seal
from appliance.jobs.kinds import JobContext
from appliance.limits import scanning as limits
from appliance.store.ports import Reader
from appliance.store.reads.advisories import Source
from appliance.store.reads.sealed_sources import Load, fields_of, is_whole, sealed_sources
from appliance.store.writes.advisories import (
    LIST_CHANGED,
    AddSums,
    ListedSources,
    RemoveAdvisories,
    Seals,
    SourceFacts,
    SumRow,
    SwitchAdvisories,
)
from appliance.store.writes.news import AddNews
from bundles.errors import FailedError

_TRIES: Final = 5


class Sealing:
    """One load's: `sums` takes its rows as they are made."""

    def __init__(self, context: JobContext, generation: int) -> None:
        self._context, self._station, self._generation = context, context.station, generation
        self.key = index_key(context.station.paths)
        self.sums = Sums()
        self._news, self._hits = NewsSum(), NewsSum()

    def write_sums(self) -> None:
        """Write the buckets: all rows of the load are in `sums`."""
        rows, size = list[SumRow](), 0
        for number, records in enumerate(self.sums.buckets()):
            rows.append(SumRow(number, records, bucket_seal(self.key, self.sums.salt, number, records)))
            size += len(records)
            if size > limits.ADVISORY_BATCH_SIZE:
                self._submit(rows)
                rows, size = [], 0
        self._submit(rows)

    def _submit(self, rows: list[SumRow]) -> None:
        self._station.writer.submit(AddSums(generation=self._generation, rows=tuple(rows)))

    def load(self, source: str, ecosystems: dict[str, int]) -> Load:
        """The load, for whoever looks its rows up before it counts."""
        bases = frozenset(name.partition(":")[0] for name in ecosystems)
        return Load(source, self._generation, self.sums.salt, self.sums.bits, bases)

    def keep(self, findings: tuple[tuple[int, str], ...], images: tuple[str, ...]) -> None:
        """Keep with the load what it is the first to find."""
        for one in findings:
            self._news.add(one)
        for image in images:
            self._hits.add((image,))
        self._station.writer.submit(AddNews(generation=self._generation, findings=findings, images=images))

    def switch(self, facts: SourceFacts, ecosystems: dict[str, int]) -> None:
        """Make the load current. Raises as SwitchAdvisories."""
        at, actor = clock.now(), self._context.actor
        news, hits, sums = self._news.text(), self._hits.text(), self.sums
        told = Source(
            facts.source, facts.digest, facts.dated, at, actor, facts.records, facts.withdrawn, facts.malformed,
            facts.entries, (),
        )  # fmt: skip
        fields = fields_of(told, self._generation, sums.salt, sums.bits, news, hits)
        seals = Seals(sums.salt, sums.bits, news, hits, source_seal(self.key, fields, ecosystems.items()))
        for last in (*(False,) * _TRIES, True):
            write = SwitchAdvisories(
                generation=self._generation, facts=facts, seals=seals, actor=actor, at=at,
                listed=listed_with(self._station.reader, self.key, facts.source, sums.salt),
                replace=bool(self._context.params.get("replace")),
            )  # fmt: skip
            try:
                self._station.writer.submit(write)
            except FailedError as error:
                if last or error.code != LIST_CHANGED:
                    raise
            else:
                return


def listed_with(reader: Reader, key: bytes, source: str, salt: str | None) -> ListedSources:
    """The list of sources with a source's load by its salt, or without the source. A list that is not what the station
    wrote is begun anew: no source that stood in it counts before it is loaded again."""
    stands = sealed_sources(reader, key)
    text = list_text(
        {name: one for name, one in stands.listed.items() if name != source} | ({} if salt is None else {source: salt})
    )
    return ListedSources(stands.seal, text, list_seal(key, text))


def removal_of(reader: Reader, key: bytes, source: str) -> RemoveAdvisories | None:
    """The write that takes a source away; None where there is none of that name, and none is missing."""
    stands = sealed_sources(reader, key)
    if source not in stands.listed and all(one.facts.source != source for one in stands.sources):
        return None
    return RemoveAdvisories(source=source, listed=listed_with(reader, key, source, None))


def is_held(reader: Reader, key: bytes, source: str, digest: str) -> bool:
    """Whether the source's advisories are those of this export, every row as it was loaded."""
    for one in sealed_sources(reader, key).sources:
        if one.facts.source == source:
            return one.sealed and one.facts.digest == digest and is_whole(reader, key, one.load)
    return False
