"""What webhooks are still to be told, and how far each endpoint has heard the audit log."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Make the tables. `due` is in seconds since 1970."""
    db.execute(
        "CREATE TABLE webhook_outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL,"
        " event TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL,"
        " state TEXT NOT NULL CHECK (state IN ('waiting', 'dead')), error TEXT NOT NULL DEFAULT '',"
        " created TEXT NOT NULL, UNIQUE (endpoint, event)) STRICT"
    )
    db.execute("CREATE INDEX webhook_outbox_by_due ON webhook_outbox (endpoint, state, due)")
    db.execute(
        "CREATE TABLE webhook_cursors (endpoint TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " PRIMARY KEY (endpoint, lane)) STRICT, WITHOUT ROWID"
    )
