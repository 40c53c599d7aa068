"""Why a database of PostgreSQL is not worked with: one line each, with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from appliance.store.postgres.faults import PostgresRefusedError
from bundles.errors import FailedError

_OLDEST: Final = 150000
_DURABLE: Final = ("fsync", "full_page_writes")
_LET_IN: Final = "see that the server runs and lets the station in, then try again"
_REMEDIES: Final = (
    ("too many clients", "give the server more connections (max_connections), or end some of others"),
    ("too many connections", "give the station's account more connections: ALTER ROLE ACCOUNT CONNECTION LIMIT 100"),
    ("remaining connection slots", "give the server more connections (max_connections), or end some of others"),
    ("password", "give the right password as the credential metadata-password, or in keys/metadata.secret (mode 600)"),
    ("authentication failed", "let the station's account in by pg_hba.conf, or name another one in metadata.url"),
    ("permission denied", "make the station's account the owner of the database: ALTER DATABASE NAME OWNER TO ACCOUNT"),
    ("does not exist", "make it: createdb --template=template0 --encoding=UTF8 --locale=C --owner=ACCOUNT NAME"),
)
"""What the server says before it lets anybody in, for which there is no code (libpq), and what to do about it. A server
that says it in another language gets the remedy for all of them."""


class Asked(Protocol):
    """A connection as it is asked here."""

    @property
    def server(self) -> int: ...

    def run(self, statement: str, parameters: Sequence[Any] = ...) -> Any: ...


def cannot_be(what: str, error: Any) -> FailedError:
    """The error for somebody who needs the metadata: it cannot be `what`."""
    if isinstance(error, PostgresRefusedError):
        return error.refusal
    said = " ".join(str(error).split())[:300]
    remedy = next((how for word, how in _REMEDIES if word in said), _LET_IN)
    return FailedError(f"the metadata in PostgreSQL cannot be {what}", thing=said, remedy=remedy)


def another(row: Any) -> FailedError:
    """For a database that is not the station's: of its row, or of nobody."""
    if row is None:
        return FailedError(
            "the database in PostgreSQL holds no station's metadata",
            thing="metadata.url",
            remedy="name the database of this station in config.toml, or restore it from its own backup",
        )
    return FailedError(
        "the database in PostgreSQL is another station's",
        thing=f"of site {str(row[1])[:40]}, id {str(row[0])[:32]}",
        remedy="name this station's own database in config.toml; a new station needs an empty one",
    )


def moved_away(row: Any) -> FailedError:
    """For a database whose metadata was moved to another place: of its row in `moved`."""
    site, place, at = row or ("", "", "")
    return FailedError(
        "the metadata was moved out of this database, and is in it no more",
        thing=f"of site {str(site)[:40]}, at {str(at)[:40]} to {str(place)[:200]}",
        remedy="name the place where it is; for another station, or to move it back, name an empty database",
    )


def another_writes() -> FailedError:
    """For a database whose station runs elsewhere."""
    return FailedError(
        "another process writes to the station's database",
        thing="the advisory lock of its writer is held",
        remedy="stop the station that runs on another machine from a copy of this folder, then try again",
    )


def went_back() -> FailedError:
    """For a database that no longer has what it had confirmed."""
    return FailedError(
        "the database in PostgreSQL has lost what it had confirmed, so nothing is written",
        thing="the station's last transaction is not in it",
        remedy="stop the station, bring the server back that has all of it, and start the station again",
    )


def require(db: Asked) -> None:
    """Raises FailedError for a server or database on which an answer could be wrong, or a write be lost."""
    if db.server < _OLDEST:
        raise FailedError(
            "the PostgreSQL server is too old",
            thing=f"{db.server // 10000}",
            remedy=f"use version {_OLDEST // 10000} or a newer one",
        )
    encoding, collation, letters = db.run(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    if encoding != "UTF8" or collation not in ("C", "POSIX") or letters not in ("C", "POSIX"):
        raise FailedError(
            "the database in PostgreSQL orders texts in another way than the station",
            thing=f"encoding {encoding}, collation {collation}, letters {letters}",
            remedy="make another one: createdb --template=template0 --encoding=UTF8 --locale=C NAME",
        )
    for setting in _DURABLE:
        if db.run("SELECT current_setting($1)", (setting,)).fetchone()[0] != "on":
            raise FailedError(
                "the PostgreSQL server may lose what it has confirmed",
                thing=f"{setting} is off",
                remedy=f"set {setting} = on in postgresql.conf and restart the server",
            )
    if db.run("SELECT current_setting('transaction_read_only')").fetchone()[0] != "off":
        raise FailedError(
            "the PostgreSQL server takes no writes",
            thing="it is a standby, or default_transaction_read_only is on",
            remedy="name the primary in metadata.url, or let the station's account write",
        )


def require_checkable(db: Asked) -> None:
    """Raises FailedError where no index could be held against its table: nothing would ever be deleted then."""
    found = db.run(
        "SELECT bool_or(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc WHERE proname = 'bt_index_check'"
    ).fetchone()[0]
    if not found:
        raise FailedError(
            "the indexes in PostgreSQL could not be checked by the station's account",
            thing="the extension amcheck is missing, or others alone may call it",
            remedy="as the administrator: CREATE EXTENSION amcheck; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO"
            " ACCOUNT",
        )
