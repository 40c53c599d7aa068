"""Custody: every step a bundle took, what was signed about it, what a release showed, and who handed it to whom."""

from __future__ import annotations

from sqlite_utils import Database

_STEPS = (
    ("", "received"),
    ("received", "received"),  # a refused import left nothing of it but this, and it came again
    ("verified", "received"),
    ("received", "verified"),
    ("verified", "verified"),  # volumes were lost before the quarantine, and came again
    ("verified", "quarantined"),
    ("quarantined", "inspected"),
    ("inspected", "approved"),
    ("inspected", "rejected"),
    ("approved", "rejected"),
    ("approved", "released"),
    ("released", "released"),  # further artifacts of a bundle that was released in part
    ("released", "withdrawn"),
    ("withdrawn", "approved"),
    ("withdrawn", "rejected"),
)


def append_only(table: str, what: str) -> tuple[str, str]:
    """Triggers that refuse to change or take away a table's rows."""
    return (  # constants, both
        f"CREATE TRIGGER {table}_is_not_updated BEFORE UPDATE ON {table} BEGIN"
        f" SELECT RAISE(ABORT, '{what} is append-only'); END",
        f"CREATE TRIGGER {table}_is_not_deleted BEFORE DELETE ON {table} BEGIN"
        f" SELECT RAISE(ABORT, '{what} is append-only'); END",
    )


_LAST = "coalesce((SELECT state FROM transitions WHERE digest = NEW.digest ORDER BY entry DESC LIMIT 1), '')"


def skips_nothing(more: tuple[tuple[str, str], ...] = ()) -> str:
    """The trigger that knows which step may follow which; `more` pairs came with later programs."""
    allowed = ", ".join(f"('{before}', '{after}')" for before, after in (*_STEPS, *more))
    return (
        f"CREATE TRIGGER transitions_skip_nothing BEFORE INSERT ON transitions WHEN ({_LAST}, NEW.state)"
        f" NOT IN (VALUES {allowed}) BEGIN SELECT RAISE(ABORT, 'a step was skipped'); END"
    )


_STATEMENTS = (
    "CREATE TABLE transitions (entry INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, id TEXT NOT NULL,"
    " state TEXT NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL) STRICT",
    "CREATE INDEX transitions_by_digest ON transitions (digest, entry)",
    *append_only("transitions", "the record of steps"),
    # No code path, and no slip in one, skips a step: the database itself knows which step may follow which.
    skips_nothing(),
    # What the bundle's signers signed, so that a release can be held against it and an export can show it.
    "CREATE TABLE intake_sums (digest TEXT PRIMARY KEY REFERENCES intake (digest), sums BLOB NOT NULL,"
    " readme BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE intake_signatures (digest TEXT NOT NULL REFERENCES intake (digest), name TEXT NOT NULL,"
    " signature BLOB NOT NULL, PRIMARY KEY (digest, name)) STRICT, WITHOUT ROWID",
    # `approvals` holds what counts now; every document that was ever handed in stays here.
    "CREATE TABLE decisions (entry INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, keyid TEXT NOT NULL,"
    " owner TEXT NOT NULL, document TEXT NOT NULL, signature BLOB NOT NULL, actor TEXT NOT NULL,"
    " created TEXT NOT NULL) STRICT",
    "CREATE INDEX decisions_by_digest ON decisions (digest, entry)",
    *append_only("decisions", "the record of decisions"),
    "ALTER TABLE approvals ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0",
    # What a release showed: `made` where it was not shown before, `previous` where a tag stood before.
    "CREATE TABLE released (digest TEXT NOT NULL REFERENCES intake (digest), repository TEXT NOT NULL,"
    " kind TEXT NOT NULL CHECK (kind IN ('blob', 'manifest', 'tag')), item TEXT NOT NULL, target TEXT NOT NULL,"
    " made INTEGER NOT NULL, previous TEXT, at TEXT NOT NULL, PRIMARY KEY (digest, repository, kind, item))"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX released_by_item ON released (target, repository, kind)",
    # A sealed key opens once.
    "CREATE TABLE sealed_keys_used (keyid TEXT PRIMARY KEY, digest TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL,"
    " actor TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE handovers (entry INTEGER PRIMARY KEY AUTOINCREMENT, bundle TEXT NOT NULL, at TEXT NOT NULL,"
    " giver TEXT NOT NULL, taker TEXT NOT NULL, medium TEXT NOT NULL, serial TEXT NOT NULL, seal TEXT NOT NULL,"
    " note TEXT NOT NULL, actor TEXT NOT NULL) STRICT",
    "CREATE INDEX handovers_by_bundle ON handovers (bundle, entry)",
    *append_only("handovers", "the record of hand-overs"),
)


def apply(db: Database) -> None:
    """Create the custody tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
