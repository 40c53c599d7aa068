"""The note that tells a copy of a trust folder from the station's own: `README.txt`, for people first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import LockgateError
from bundles.io.files import read_small

NOTE: Final = "README.txt"
_TEXT: Final = """\
A copy of the trust folder of {site}, made at {at}.

It does not follow the station: keys that were pinned or revoked since are not so here. Have it made anew before it is
used again: lockgate key export-trust DIR
"""
_FIRST: Final = re.compile(r"A copy of the trust folder of [a-z0-9-]{1,32}, made at ([0-9TZ:-]{20})\.\n")


def note_of(site: str, at: str) -> bytes:
    """The note's bytes, for a copy of the trust folder of `site` that is made at `at`."""
    return _TEXT.format(site=site, at=at).encode()


def copied_at(folder: Path) -> str:
    """When a trust folder says that it was copied; "" where it does not."""
    try:
        said = _FIRST.match(read_small(folder / NOTE, limits.KEY_FILE).decode("ascii", "replace"))
    except LockgateError:
        return ""
    return said[1] if said is not None else ""
