"""Known destinations: sites that people listed, and sites that bundles were signed for (docs/adr/0025-destinations.md).

A mistyped site takes a number of a stream that nobody reads. The first destination of a station needs no list; any
further one is named on purpose.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from appliance.api.states import FINAL_STATES
from appliance.store.ports import Reader
from bundles.errors import UsageError
from bundles.oci.reference import check_site

_FINAL: Final = ", ".join(f"'{state}'" for state in FINAL_STATES)
_SENT: Final = "b.digest IS NOT NULL OR b.state IN ('signed', 'written')"
_SITES: Final = (
    "WITH sent AS (SELECT substr(b.stream, instr(b.stream, '.') + 1) AS site,"  # noqa: S608  constants
    f" count(CASE WHEN {_SENT} THEN 1 END) AS bundles, max(CASE WHEN {_SENT} THEN b.id END) AS last,"
    f" max(CASE WHEN b.state = 'to-sign' AND j.state NOT IN ({_FINAL}) THEN 1 ELSE 0 END) AS waits"
    " FROM bundles_out b LEFT JOIN jobs j ON j.id = b.job_id GROUP BY 1),"
    " named AS (SELECT site FROM sent UNION SELECT site FROM sites)"
    " SELECT n.site, s.listed, coalesce(s.actor, ''), coalesce(s.at, ''), coalesce(o.bundles, 0), o.last"
    " FROM named n LEFT JOIN sent o ON o.site = n.site LEFT JOIN sites s ON s.site = n.site"
    " WHERE s.listed = 1 OR (s.listed IS NULL AND (o.bundles > 0 OR o.waits > 0)) ORDER BY 1"
)
_STREAMS: Final = (
    "SELECT o.stream FROM streams_out o WHERE NOT EXISTS (SELECT 1 FROM sites s WHERE s.listed = 0"  # noqa: S608
    " AND s.site = substr(o.stream, instr(o.stream, '.') + 1))"
    f" OR EXISTS (SELECT 1 FROM bundles_out b WHERE b.stream = o.stream AND ({_SENT}))"
)


@dataclass(frozen=True, slots=True)
class Site:
    """A known destination. `listed`: somebody named it (`actor`, `at`); `bundles` counts those signed for it, `last` is
    the newest one's id, or None."""

    site: str
    listed: bool
    actor: str
    at: str
    bundles: int
    last: str | None


def known_sites(db: Reader) -> list[Site]:
    """The known destinations by name; those too that a build waits for a signature for."""
    return [Site(site, bool(listed), *rest) for site, listed, *rest in db.execute(_SITES)]


def known_streams(db: Reader) -> set[str]:
    """The outgoing streams that took a number, without those of a removed site for which nothing was ever signed: a
    mistyped name."""
    rows = db.execute(_STREAMS)
    return {str(stream) for (stream,) in rows}


def require_known(db: Reader, site: str, *, new: bool = False) -> None:
    """Go on only for a known destination, for a station's first one, or where the caller says that it is `new`.

    Raises UsageError naming the known ones, MalformedError for what is no site's name.
    """
    check_site(site)
    if new:
        return
    known = [one.site for one in known_sites(db)]
    if not known or site in known:
        return
    close = difflib.get_close_matches(site, known, 1, 0.6)
    meant = f"did you mean {close[0]}? For" if close else f"known: {', '.join(known[:8])}; for"
    raise UsageError(
        "no bundle was ever made for this site, and it is not on the list",
        thing=site,
        remedy=f"{meant} a new site add --new-site, or first: lockgate site add {site}",
    )
