"""Whether a bundle that was made here may be voided, and what goes with it."""

from __future__ import annotations

import re
from typing import Final

from appliance.store.ports import Reader
from appliance.store.reads.outgoing import inside_by_receipt, signed_after
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.io.display import safe

_BUNDLE: Final = re.compile(r"([a-z0-9-]{1,32})\.[a-z0-9-]{1,32}-[0-9]{6}")
_NAMED: Final = 5
"""Later bundles that a refusal names; the others are counted."""


def check_own_bundle(bundle: str, site: str) -> None:
    """Raises UsageError for what is no bundle's id, or is that of a bundle that another station made."""
    named = _BUNDLE.fullmatch(bundle)
    if named is None:
        raise UsageError(
            "not a bundle's id",
            thing=safe(bundle)[:160],
            remedy="write SOURCE.DESTINATION-NUMBER, as alpha.bravo-000001",
        )
    if named[1] != site:
        raise UsageError(
            f"a bundle that {named[1]} made, and this station is {site}",
            thing=bundle,
            remedy=f"void it at {named[1]}; what came in here is refused with: lockgate intake reject ID --why TEXT",
        )


def require_voidable(reader: Reader, bundle: str, *, with_later: bool) -> tuple[str, int]:
    """The bundle's stream and number.

    Raises NotFoundError for one that is not signed, or is void already; RefusedError where a receipt says that it, or
    a later one of its stream, is inside; UsageError where later ones would be void too and `with_later` is not said.
    """
    row = reader.execute("SELECT stream, sequence, state FROM bundles_out WHERE id = ?", (bundle,)).fetchone()
    if row is None or row[2] not in ("signed", "written"):
        raise NotFoundError("no signed bundle of this id", thing=bundle, remedy="see: lockgate bundle list")
    stream, sequence = str(row[0]), int(row[1])
    if inside := inside_by_receipt(reader, stream, sequence):
        raise RefusedError(
            "it is inside by the site's receipt, so nothing is to be voided"
            if inside[0] == bundle
            else f"the site's receipt says that a later one is inside: {inside[-1]}; voiding would void that too",
            thing=bundle,
            remedy="build what is still to be sent; see: lockgate bundle list",
        )
    later = signed_after(reader, stream, sequence)
    if later and not with_later:
        more = f" and {len(later) - _NAMED} more" if len(later) > _NAMED else ""
        raise UsageError(
            f"later bundles of the stream follow it and would be void too: {', '.join(later[:_NAMED])}{more}",
            thing=bundle,
            remedy="where none of them will come in, add --with-later; where one did, take the site's receipt first"
            " (lockgate receipt take FILE)",
        )
    return stream, sequence
