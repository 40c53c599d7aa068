"""Release: every inspection report that ever was, inspections anew, and the other side's custody on receipts."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.m0008_custody import append_only, skips_nothing

_ANEW = (("inspected", "inspected"), ("approved", "inspected"), ("withdrawn", "inspected"))

_STATEMENTS = (
    "DROP TRIGGER transitions_skip_nothing",
    skips_nothing(_ANEW),
    # An approval names a report by its digest: the one it names must be shown later, too.
    "CREATE TABLE reports (digest TEXT NOT NULL, report_digest TEXT NOT NULL, report TEXT NOT NULL, at TEXT NOT NULL,"
    " PRIMARY KEY (digest, report_digest)) STRICT, WITHOUT ROWID",
    "INSERT INTO reports SELECT digest, report_digest, report, coalesce(decided, received) FROM intake"
    " WHERE report_digest IS NOT NULL",
    *append_only("reports", "the record of reports"),
    # Outside: what an inside said on its receipts happened to our bundles there. The latest word on a bundle counts.
    "CREATE TABLE custody_taken (site TEXT NOT NULL, bundle TEXT NOT NULL, digest TEXT NOT NULL,"
    " number INTEGER NOT NULL, receipt TEXT NOT NULL, head TEXT NOT NULL, keyid TEXT NOT NULL, owner TEXT NOT NULL,"
    " document TEXT NOT NULL, created TEXT NOT NULL, taken TEXT NOT NULL, PRIMARY KEY (bundle, site))"
    " STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Create the tables, and let an inspection follow an approval or a withdrawal."""
    for statement in _STATEMENTS:
        db.execute(statement)
