"""How much of each thing there is, for who watches the station: a few counts, and where each stream stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_BUNDLES: Final = ("to-sign", "signed", "written", "voided")
_ENTRIES: Final = ("receiving", "quarantined", "approved", "released", "withdrawn", "rejected")
_SBOMS: Final = (("own", "indexed"), ("own", "unreadable"), ("carried", "indexed"), ("carried", "unreadable"))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Of a stream that comes in: its newest released bundle with the time of that (UTC text), and the oldest one that
    waits to be released; "" for none."""

    stream: str
    released: str
    released_at: str
    waiting: str


def bundles_by_state(reader: Reader) -> dict[str, int]:
    """How many outgoing bundles are in each state."""
    found = dict.fromkeys(_BUNDLES, 0)
    return found | dict(reader.execute("SELECT state, count(*) FROM bundles_out GROUP BY state").fetchall())


def entries_by_state(reader: Reader) -> dict[str, int]:
    """How many bundles in the intake are in each state."""
    found = dict.fromkeys(_ENTRIES, 0)
    return found | dict(reader.execute("SELECT state, count(*) FROM intake GROUP BY state").fetchall())


def sboms_by_state(reader: Reader) -> dict[tuple[str, str], int]:
    """How many images have an SBOM, by who made it and whether it could be read."""
    rows = reader.execute("SELECT origin, state, count(DISTINCT image) FROM sboms GROUP BY origin, state")
    return dict.fromkeys(_SBOMS, 0) | {(origin, state): count for origin, state, count in rows}


def arrivals(reader: Reader, limit: int) -> list[Arrivals]:
    """Each stream of the intake, by name."""
    rows = reader.execute(
        "SELECT s.stream, coalesce(r.digest, ''), coalesce(r.decided, ''), coalesce((SELECT digest FROM intake w"
        " WHERE w.stream = s.stream AND w.state IN ('quarantined', 'approved') ORDER BY w.sequence LIMIT 1), '')"
        " FROM (SELECT DISTINCT stream FROM intake ORDER BY stream LIMIT ?) s LEFT JOIN intake r ON r.digest ="
        " (SELECT digest FROM intake n WHERE n.stream = s.stream AND n.state = 'released'"
        " ORDER BY n.sequence DESC LIMIT 1) ORDER BY s.stream",
        (limit,),
    )
    return [Arrivals(*row) for row in rows]
