"""Whether the rows were changed since they were read last."""

from __future__ import annotations

from appliance.store.engine import engine_of
from appliance.store.ports import Reader


def revision(reader: Reader) -> int:
    """Another number whenever another connection changed the database since this one asked last."""
    return engine_of(reader).revision(reader)
