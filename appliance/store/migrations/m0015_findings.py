"""Cached findings carry an authentication code; what was kept without one no longer counts."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add `mac` (hex of HMAC-SHA256, appliance.intake.inspectors.layer_cache) and drop the rows from before it."""
    db.execute("DELETE FROM layers_inspected")
    db.execute("ALTER TABLE layers_inspected ADD COLUMN mac TEXT NOT NULL DEFAULT ''")
