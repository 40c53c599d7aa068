"""Brings SBOMs that repositories show into the index of packages: those that were pushed, imported or carried, whatever
form they came in."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final
from weakref import WeakKeyDictionary

from appliance.advisories.seals import index_key
from appliance.limits import sbom as sbom_limits
from appliance.limits import scanning as limits
from appliance.outgoing.sbom.index import index_write, listed_write, unreadable
from appliance.scanning import carried
from appliance.station import Station
from appliance.store import commits
from appliance.store.reads.components import carried_sboms, not_indexed
from appliance.store.writes.write import Writer
from bundles import limits as bundle_limits
from bundles.errors import LockgateError, MalformedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_log: Final = logging.getLogger(__name__)
_NEVER: Final = frozenset({("", "")})
"""What is found in a manifest that was not looked into: nothing that the index can have."""


class _Looked:
    """What this process has looked into for SBOMs in other forms: each manifest with the images and documents found
    there, and how many commits there were when all of it had been looked into."""

    def __init__(self) -> None:
        self.found: dict[carried.Evidence, frozenset[tuple[str, str]]] = {}
        self.whole_at: int | None = None


_looked: Final[WeakKeyDictionary[Writer, _Looked]] = WeakKeyDictionary()
"""By the writer of a station, which all of a process's views of it share."""
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
    return len(waiting) < limits.SCAN_INDEXED and _bring_in_carried(station, key, until)


def _bring_in_carried(station: Station, key: bytes, until: float) -> bool:
    """Index SBOMs in other forms (appliance.scanning.carried); whether that was all. A manifest is looked into once by
    this process, and again where what was found in it is not in the index any more."""
    looked, written = _looked.setdefault(station.writer, _Looked()), commits.held(station.reader)
    if written is not None and looked.whole_at == written:
        return True
    known = carried_sboms(station.reader)
    for one in [one for one in carried.evidence(station) if not looked.found.get(one, _NEVER) <= known]:
        if time.monotonic() > until:
            return False
        found = set[tuple[str, str]]()
        try:
            for each in carried.beside(station, one.image) if one.image == one.manifest else [one]:
                found |= _index_carried(station, key, each, known)
        except LockgateError as error:  # a scrub tells of damage; it is read again after the next start
            _log.warning("what %s says of %s is not indexed: %s", one.manifest, one.image, error.diagnostics())
        looked.found[one] = frozenset(found)
    looked.whole_at = written
    return True


def _index_carried(
    station: Station, key: bytes, one: carried.Evidence, known: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    found = set[tuple[str, str]]()
    for sbom in carried.documents(station, one):
        found.add((one.image, sbom.digest))
        if (one.image, sbom.digest) in known:
            continue
        if sbom.listed is None:
            write = unreadable(key, one.image, sbom.digest, sbom.why, "carried")
        else:
            write = listed_write(key, one.image, sbom.digest, sbom.listed, "carried")
        station.writer.submit(write)
    return found


def _document(station: Station, sbom: Digest) -> bytes:
    """An SBOM's bytes. Raises MalformedError for a manifest that holds none, and what reading raises."""
    with station.blobs.open_blob(sbom) as file:
        manifest = parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1))
    if len(manifest.layers) != 1 or manifest.layers[0].size > sbom_limits.SBOM_DOCUMENT:
        raise MalformedError("it is no SBOM of one document, or too large")
    with station.blobs.open_blob(manifest.layers[0].digest) as file:
        return file.read(sbom_limits.SBOM_DOCUMENT + 1)
