"""What earlier inspections found in a layer: the same bytes, by their digest, hold the same.

The bytes are hashed again whenever they come in or are stood on, so a layer that was looked through need not be
looked through for every bundle that names it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.store.writes.intake import LayerRow

LOOK: Final = 1
"""Counts up when the looking changes: what an older program found does not count."""

_KEPT_MOST: Final = 1024 * 1024
"""Characters of findings that are kept of a layer; one with more is looked through again."""


@dataclass(slots=True)
class Looked:
    """A layer's count of entries, what was found in it, by name, and why it was not looked through to its end."""

    entries: int = 0
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failed: str = ""


class Notebook:
    """Findings by layer. What is new is in `rows`, to be kept when the report is made."""

    def __init__(self, reader: sqlite3.Connection | None = None) -> None:
        self._reader = reader
        self.rows: list[LayerRow] = []

    def recall(self, digest: str, media_type: str) -> Looked | None:
        """What was found in a layer, or None where this program never looked."""
        if self._reader is None:
            return None
        row = self._reader.execute(
            "SELECT found FROM layers_inspected WHERE digest = ? AND media_type = ? AND look = ?",
            (digest, media_type, LOOK),
        ).fetchone()
        if row is None:
            return None
        kept = json.loads(row[0])
        return Looked(int(kept["entries"]), kept["found"])

    def keep(self, digest: str, media_type: str, looked: Looked) -> None:
        """Note a layer that was looked through to its end."""
        text = json.dumps({"entries": looked.entries, "found": looked.found})
        if len(text) <= _KEPT_MOST:
            self.rows.append(LayerRow(digest=digest, media_type=media_type, look=LOOK, found=text))
