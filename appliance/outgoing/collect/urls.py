"""References between URLs, as registries write them in redirects, realms and next pages."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

_PRINTABLE: Final = re.compile(r"[!-~]*\Z")


def joined(url: URL, target: str) -> URL | None:
    """A reference resolved against the URL it came from (RFC 3986, section 5), without a fragment; None for none.

    The host is normalised. Path and query stay as they are written: a signed URL holds for its very characters.
    """
    try:
        found = url.join(URL(target)).with_fragment(None)
        if not found.raw_host:
            return None
        if not _PRINTABLE.match(target):
            return found
        exact = url.join(URL(target, encoded=True))
        return URL.build(
            scheme=found.scheme, authority=found.raw_authority, path=exact.raw_path,
            query_string=exact.raw_query_string, encoded=True,
        )  # fmt: skip
    except ValueError:
        return None
