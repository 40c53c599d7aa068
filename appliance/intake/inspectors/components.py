"""Which components two SBOMs differ in (CycloneDX 1.6, components; SPDX 2.3, packages), within a bounded memory.

An SBOM is made by whoever made the bundle. One document is decoded at a time, and of the other no more than a hash of
each component is held; the first document is read twice for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from appliance.limits import intake as limits
from appliance.limits import sbom as sbom_limits
from bundles.io import strict_json

Open = Callable[[], BinaryIO]
"""Opens an SBOM for reading, from its beginning."""


def compare(was: Open, coming: Open) -> dict[str, Any]:
    """`added` and `removed`, each the first `limits.SBOM_CHANGES` by the alphabet, with `<name>_left_out`.

    Raises MalformedError for a document that is no JSON or beyond a ceiling.
    """
    before = {_mark(name) for name in _named_in(was)}
    now, added, removed = set[bytes](), _First(), _First()
    for name in _named_in(coming):
        mark = _mark(name)
        if mark not in before and mark not in now:
            added.add(name)
        now.add(mark)
    before -= now
    if before:
        for name in _named_in(was):
            mark = _mark(name)
            if mark in before:
                before.discard(mark)
                removed.add(name)
    return added.details("added") | removed.details("removed")


class _First:
    """The first names by the alphabet, and how many there were."""

    def __init__(self) -> None:
        self._count, self._kept = 0, list[str]()

    def add(self, name: str) -> None:
        self._count += 1
        # A lone surrogate, which JSON can name, could stand in no report.
        self._kept.append(name[: limits.SBOM_COMPONENT].encode("utf-8", "replace").decode())
        if len(self._kept) > 2 * limits.SBOM_CHANGES:
            self._trim()

    def _trim(self) -> None:
        self._kept = sorted(self._kept)[: limits.SBOM_CHANGES]

    def details(self, name: str) -> dict[str, Any]:
        self._trim()
        left_out = self._count - len(self._kept)
        return {name: self._kept} | ({f"{name}_left_out": left_out} if left_out else {})


def _mark(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _named_in(document: Open) -> Iterator[str]:
    """`name version` of every component that an SBOM lists."""
    with document() as file:
        raw = file.read(sbom_limits.SBOM_DOCUMENT + 1)
    fields = strict_json.loads(
        raw, ceiling=sbom_limits.SBOM_DOCUMENT, nodes=sbom_limits.SBOM_NODES, what="an SBOM", floats=True,
        memory=sbom_limits.SBOM_DECODED,
    )  # fmt: skip
    del raw
    listing = fields.get("components", fields.get("packages")) if isinstance(fields, dict) else None
    for one in listing if isinstance(listing, list) else ():
        if isinstance(one, dict):
            yield f"{_text(one.get('name'))} {_text(one.get('version', one.get('versionInfo')))}".strip()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
