"""What a station knows of advisories, and loads that no job makes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from appliance.advisories.exploitation import Rating
from appliance.advisories.seals import index_key
from appliance.advisories.sums import entry_place, entry_sum, id_place, rating_place, rating_sum
from appliance.image_verdicts import Advisories
from appliance.jobs.kinds import JobContext
from appliance.paths import StationPaths
from appliance.scanning.sealing import Sealing, removal_of
from appliance.store.database import open_reader
from appliance.store.writes.advisories import EntryRow, SourceFacts
from appliance.store.writes.write import Write
from tests.outgoing.outside import Outside


def known(outside: Outside) -> Advisories:
    return Advisories(outside.station.reader, index_key(outside.station.paths))


def removed(submit: Callable[[Write], Any], paths: StationPaths, source: str) -> bool:
    """Take a source away; whether there was one."""
    with contextlib.closing(open_reader(paths.database)) as reader:
        write = removal_of(reader, index_key(paths), source)
    if write is not None:
        submit(write)
    return write is not None


def switched(
    submit: Callable[[Write], Any], paths: StationPaths, generation: int, facts: SourceFacts, ecosystem: str = "",
    entries: tuple[EntryRow, ...] = (), ratings: tuple[Rating, ...] = (), news: Any = ((), ()),
) -> None:  # fmt: skip
    """Seal the rows of a load, and make it current, as its job does."""
    with contextlib.closing(open_reader(paths.database)) as reader:
        station = SimpleNamespace(paths=paths, reader=reader, writer=SimpleNamespace(submit=submit))
        context = SimpleNamespace(station=station, actor="tester(0)", params={"replace": True})
        sealing = Sealing(cast(JobContext, context), generation)
        for row in entries:
            sealing.sums.add(entry_place(row.ecosystem.partition(":")[0], row.name), entry_sum(row.entry))
            for name in row.ids:
                sealing.sums.add(id_place(name), entry_sum(row.entry))
        for one in ratings:
            sealing.sums.add(rating_place(one.id), rating_sum(one))
        sealing.write_sums()
        sealing.keep(*news)
        sealing.switch(facts, {ecosystem: len(entries)} if ecosystem else {})
