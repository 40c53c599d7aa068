"""Changes of duty that wait for a second person, and an index for pushes (docs/adr/0015-duties.md)."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # A push asks whether its repository holds released content.
    "CREATE INDEX released_by_repository ON released (repository)",
    # One row, once a first security-officer has called: from then on no administrator acts alone.
    "CREATE TABLE duties (one INTEGER PRIMARY KEY CHECK (one = 1), officer TEXT NOT NULL, since TEXT NOT NULL) STRICT",
    # A station that is older than this rule: an officer who has proved themselves, or decided, has confirmed.
    "INSERT INTO duties SELECT 1, a.name, coalesce(s.at, a.created) FROM accounts a"
    " JOIN grants g ON g.account = a.name AND g.role = 'security-officer'"
    " LEFT JOIN accounts_seen s ON s.account = a.name"
    " WHERE s.at IS NOT NULL OR EXISTS (SELECT 1 FROM decisions) ORDER BY s.at IS NULL, s.at, a.name LIMIT 1",
    # `change` is the write that is to be done, empty once nothing waits; `how`: alone, own, second, delay.
    # `shown`: the release that showed it.
    "CREATE TABLE account_changes (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (name),"
    " what TEXT NOT NULL, detail TEXT NOT NULL, change TEXT NOT NULL, state TEXT NOT NULL CHECK"
    " (state IN ('waits', 'done', 'cancelled', 'expired', 'failed')), asked_by TEXT NOT NULL, asked TEXT NOT NULL,"
    " starts TEXT NOT NULL, decided_by TEXT NOT NULL DEFAULT '', decided TEXT NOT NULL DEFAULT '',"
    " how TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '', shown TEXT NOT NULL DEFAULT '')"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX account_changes_by_account ON account_changes (account, state)",
    "CREATE INDEX account_changes_by_state ON account_changes (state, shown)",
)


def apply(db: Database) -> None:
    """Create the tables and the index."""
    for statement in _STATEMENTS:
        db.execute(statement)
