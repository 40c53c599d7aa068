"""The documents of each bundle in the intake: its signed manifest and this station's report, in a table of their own.

They are read as bytes: a text in the database need not be UTF-8, since others may have written to its file.
"""

from __future__ import annotations

from typing import Final

from appliance.store.errors import EngineError
from appliance.store.ports import Reader
from bundles import limits
from bundles.errors import FailedError

MANIFEST_JSON: Final = "CASE WHEN json_valid(d.manifest) THEN d.manifest ELSE '{}' END"
"""A manifest for a query over `intake_documents d`: one that was edited by hand into no JSON stops no look at the
others."""

_REMEDY: Final = "see: lockgate intake check; have the bundle carried in anew"


def has_manifest(db: Reader, digest: str) -> bool:
    """Whether the database has a manifest of the bundle. Point read."""
    return db.execute("SELECT 1 FROM intake_documents WHERE digest = ?", (digest,)).fetchone() is not None


def manifest_of(db: Reader, digest: str) -> bytes:
    """The manifest of the bundle with a digest, as it stands in the database: canonical JSON if nobody changed it.

    Raises FailedError where it is missing, cannot be read, or is larger than a manifest may be.
    """
    found = _read(db, "manifest", digest, limits.BUNDLE_MANIFEST)
    if found is None:
        raise FailedError("the bundle's manifest is missing from the database", thing=digest, remedy=_REMEDY)
    return found


def report_of(db: Reader, digest: str) -> str | None:
    """This station's report on the bundle, canonical JSON, or None before there is one. Raises FailedError where it
    cannot be read, is larger than a report may be, or is not UTF-8."""
    found = _read(db, "report", digest, limits.SIGNED_DOCUMENT)
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        raise FailedError("the bundle's report is damaged", thing=digest, remedy=_REMEDY) from None


def keep_report(db: Reader, digest: str, report: str) -> None:
    """Put a report in the place of an older one. Raises FailedError where the bundle's documents are missing."""
    kept = db.execute("UPDATE intake_documents SET report = ? WHERE digest = ?", (report, digest)).rowcount
    if not kept:
        raise FailedError("the bundle's manifest is missing from the database", thing=digest, remedy=_REMEDY)


def _read(db: Reader, column: str, digest: str, ceiling: int) -> bytes | None:
    """A document's bytes, its size looked at first; None where there is none."""
    try:
        row = db.execute(
            f"SELECT entry, {column} IS NULL FROM intake_documents WHERE digest = ?",  # noqa: S608  constants
            (digest,),
        ).fetchone()
        if row is None or row[1]:
            return None
        with db.blobopen("intake_documents", column, row[0], readonly=True) as blob:
            if len(blob) > ceiling:
                raise FailedError(f"the bundle's {column} is too large", thing=digest, remedy=_REMEDY)
            return blob.read()
    except EngineError as error:
        raise FailedError(
            f"the bundle's {column} cannot be read", thing=f"{digest} ({error})", remedy=_REMEDY
        ) from None
