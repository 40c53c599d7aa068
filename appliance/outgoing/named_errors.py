"""Errors of a build about a digest, told with the reference that it belongs to: nobody knows content by its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.station import Station
from bundles.errors import LockgateError
from bundles.oci.reference import Reference

_DIGEST: Final = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_LOOKED_AT: Final = 1_000
"""References that are followed to find whose a digest is; a build of more names the digest alone."""


@contextmanager
def naming(station: Station, references: Sequence[Reference]) -> Iterator[None]:
    """Where what is done here fails over a digest, name first which of `references` it belongs to."""
    try:
        yield
    except LockgateError as error:
        found = _DIGEST.search(error.thing)
        named = None if found is None else _whose(station, references[:_LOOKED_AT], found[0])
        if named is None or str(named) in error.thing:
            raise
        raise type(error)(error.what, thing=f"{named}: {error.thing}", remedy=error.remedy) from None


def _whose(station: Station, references: Sequence[Reference], digest: str) -> Reference | None:
    """The first of the references that holds a digest, or cannot be followed because of it."""
    shown = StationContent(station.blobs, station.metadata)
    for reference in references:
        try:
            content = closure_of([reference], shown).content
        except LockgateError as error:
            if digest in error.thing:
                return reference
            continue
        if any(str(held) == digest for held, _ in content.blobs):
            return reference
    return None
