"""What a station finds vulnerabilities by: syft, which describes images, and the advisories that are loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.doctor.examined import Examined
from appliance.limits import doctor as limits
from appliance.outgoing.sbom.syft_binary import open_syft, require_syft
from appliance.paths import StationPaths
from appliance.settings.sbom import SbomSettings
from appliance.store.database import open_reader
from appliance.store.reads.advisories import sources
from appliance.store.reads.sealed_sources import count_damaged
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.files import read_small

_DAY: Final = 24 * 60 * 60
_LOAD: Final = "carry newer ones in, and load them: lockgate advisories load REF"
_KEY: Final = 32


def look_at_syft(settings: SbomSettings) -> Iterator[Examined]:
    """The checks `syft`, whether it is there, the one that is meant, and runs; and `syft confined`."""
    with tempfile.TemporaryDirectory(prefix="lockgate-doctor-") as folder:
        try:
            syft = open_syft(settings, Path(folder))
            try:
                said = require_syft(syft, Path(folder))
            finally:
                syft.close()
        except LockgateError as error:
            yield Examined.of_error("syft", error)
            yield Examined(name="syft confined", state="not-checked", detail="syft does not run")
            return
    yield Examined(name="syft", state="ok", detail=f"{said.version[:40]} at {syft.path}, sha256 {syft.sha256}")
    if said.has_network:
        yield Examined(
            name="syft confined", state="attention",
            detail="the kernel gives it no network namespace of its own here: it reads untrusted images with the"
            " station's network", remedy="allow user namespaces for the station's account, or keep the machine offline",
        )  # fmt: skip
    else:
        detail = "it has no network, and runs within limits of memory, time and disk"
        yield Examined(name="syft confined", state="ok", detail=detail)


def look_at_advisories(paths: StationPaths) -> Iterator[Examined]:
    """The check `advisories`: none, damaged, unread, or old."""
    name = "advisories"
    with closing(open_reader(paths.database)) as reader:
        held = sources(reader)
        key = read_small(paths.index_key, _KEY) if paths.index_key.exists() else None
        if not held and key is None:
            yield Examined(name=name, state="unused", detail="none are loaded: nothing is known of vulnerabilities")
            return
        damaged = count_damaged(reader, key) if key is not None else len(held)
    if damaged:
        what = some(damaged, "source is", "sources are")
        detail = f"{what} not what was loaded: no verdict rests on it"
        yield Examined(name=name, state="wrong", detail=detail, remedy="lockgate advisories list; load these again")
        return
    if not held:
        yield Examined(name=name, state="unused", detail="none are loaded: nothing is known of vulnerabilities")
        return
    now, undated = clock.seconds(clock.now()), [one.source for one in held if not one.dated]
    ages = {one.source: (now - clock.seconds(one.dated)) // _DAY for one in held if one.dated}
    old = {source: days for source, days in ages.items() if days > limits.DOCTOR_ADVISORIES}
    future = [source for source, days in ages.items() if days < -1]
    unread = sum(one.malformed for one in held)
    if old or undated or future or unread:
        said = [f"{source} is {some(days, 'day')} old" for source, days in sorted(old.items())]
        said += [f"{source} has no date" for source in undated]
        said += [f"{source} is of the future" for source in future]
        said += [f"{some(unread, 'record')} could not be read"] if unread else []
        yield Examined(name=name, state="attention", detail="; ".join(said), remedy=_LOAD)
        return
    yield Examined(
        name=name, state="ok", detail=f"{some(len(held), 'source')}, at most {some(max(ages.values()), 'day')} old"
    )
