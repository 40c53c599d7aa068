"""Brings SBOMs that repositories show into the index of packages: those that were pushed, imported or carried."""

from __future__ import annotations

import threading
import time
from typing import Final

from appliance import limits
from appliance.advisories.seals import index_key
from appliance.outgoing.sbom.index import index_write, unreadable
from appliance.station import Station
from appliance.store.reads.components import not_indexed
from bundles import limits as bundle_limits
from bundles.errors import LockgateError, MalformedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_turn: Final = threading.Lock()
"""One thread at a time: the others find what it brought in, and no two hold a large document."""


def bring_in(station: Station) -> bool:
    """Index what is shown and not indexed, some of it at a time; whether that was all. Blocking."""
    with _turn:
        return _bring_in(station)


def _bring_in(station: Station) -> bool:
    key = index_key(station.paths)
    waiting = not_indexed(station.reader, limits.SCAN_INDEXED)
    until = time.monotonic() + limits.SCAN_INDEX_TIME
    for sbom, image in waiting:
        if time.monotonic() > until:
            return False
        try:
            write = index_write(key, image, sbom, _document(station, Digest.parse(sbom)), "carried")
        except LockgateError as error:
            write = unreadable(key, image, sbom, error.what, "carried")
        station.writer.submit(write)
    return len(waiting) < limits.SCAN_INDEXED


def _document(station: Station, sbom: Digest) -> bytes:
    """An SBOM's bytes. Raises MalformedError for a manifest that holds none, and what reading raises."""
    with station.blobs.open_blob(sbom) as file:
        manifest = parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1))
    if len(manifest.layers) != 1 or manifest.layers[0].size > limits.SBOM_DOCUMENT:
        raise MalformedError("it is no SBOM of one document, or too large")
    with station.blobs.open_blob(manifest.layers[0].digest) as file:
        return file.read(limits.SBOM_DOCUMENT + 1)
