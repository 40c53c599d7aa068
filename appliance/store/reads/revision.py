"""Whether the rows were changed since they were read last."""

from __future__ import annotations

from appliance.store.ports import Reader


def revision(reader: Reader) -> int:
    """Another number whenever another connection changed the database since this one asked last (SQLite, PRAGMA
    data_version)."""
    (found,) = reader.execute("PRAGMA data_version").fetchone()
    return int(found)
