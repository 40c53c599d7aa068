"""What the loaded VEX documents say of a vulnerability."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.advisories.vex.statements import Statement
from appliance.store.ports import Reader


def statements_of(reader: Reader, ids: Iterable[str], keys: Iterable[str]) -> list[tuple[str, Statement]]:
    """Each statement about one of these vulnerabilities that is looked up by one of these keys, with its source."""
    found = list[tuple[str, Statement]]()
    keys = list(dict.fromkeys(keys))
    for name in dict.fromkeys(ids):
        for key in keys:
            rows = reader.execute(
                "SELECT s.source, v.id, v.product, v.subcomponent, v.status, v.justification, v.why, v.at, v.document"
                " FROM vex_statements v JOIN advisory_sources s ON s.generation = v.generation"
                " WHERE v.id = ? AND v.key = ? ORDER BY v.number",
                (name, key),
            )
            found += [(row[0], Statement(*row[1:])) for row in rows]
    return found
