"""Ranges and conditions of requests (RFC 9110, sections 13 and 14). Pure: header text in, a decision out.

An entity tag is the quoted digest: bytes of a digest never change, so it is strong, and comparing is exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bundles.oci.digest import Digest

_RANGE: Final = re.compile(
    # Possessive: white space that may stand in several places is never tried in more than one of them.
    r"bytes=\s*+(?P<first>[0-9]{0,18}+)\s*+-\s*+(?P<last>[0-9]{0,18}+)\s*+\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `start + length - 1` of something."""

    start: int
    length: int


class UnsatisfiableError(Exception):
    """A range that lies outside what it asks of: 416."""


def etag(digest: Digest) -> str:
    """The entity tag of a digest's bytes, quoted."""
    return f'"{digest}"'


def etags(header: str) -> tuple[str, ...]:
    """The values of an If-Match or If-None-Match header, without quotes and weakness; `*` stands for itself.

    Quotes may be missing: clients have been seen to send bare digests.
    """
    values = (part.strip().removeprefix("W/").strip('"') for part in header.split(","))
    return tuple(value for value in values if value)


def matches(header: str | None, digest: Digest) -> bool:
    """Whether a header (None: not sent) names the digest, or anything with `*`."""
    return header is not None and bool({"*", str(digest)} & set(etags(header)))


def parse_range(header: str | None, if_range: str | None, digest: Digest, size: int) -> Span | None:
    """The span a Range header asks of `size` bytes, or None for the whole.

    Several ranges, other units and malformed headers are ignored, as the RFC allows; so is a range whose If-Range
    names other bytes. Raises UnsatisfiableError for a span outside, or one that ends before it starts.
    """
    if header is None or (if_range is not None and not matches(if_range, digest)):
        return None
    found = _RANGE.match(header.strip())
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        length = min(int(found["last"]), size)
        start = size - length
    else:
        start = int(found["first"])
        last = int(found["last"]) if found["last"] else size - 1
        length = min(last, size - 1) - start + 1
    if length <= 0:
        raise UnsatisfiableError
    return Span(start, length)
