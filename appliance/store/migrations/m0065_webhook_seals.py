"""What is kept of a message to a webhook is authenticated: whoever has the database's file has nothing signed."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add `seal`: a MAC in hex over endpoint, event and body, empty for a message of before."""
    db.execute("ALTER TABLE webhook_outbox ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
