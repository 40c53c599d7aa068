"""Layers: what in every blob of every artifact gives power or leads out of it, whatever its type says it is.

Blobs are streamed through, decompressed under ceilings of size, ratio, entries, memory and time; nothing is unpacked by
its path (threats: zip-slip while scanning layers, decompression bomb).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.archives.contents import SEVEN_ZIP, look
from appliance.archives.findings import FAILING, NOTED, Looked, RuleFindings, Tally
from appliance.archives.tables import unmatched
from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Subject
from appliance.limits import archives as limits
from bundles.documents.signed import Section
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.work_threads import at_once
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import EVIDENCE, is_runnable

_LANES: Final = 2
"""Blobs that are unpacked at once; the machine's smallest size has two cores."""
_DOCUMENTS: Final = EVIDENCE | {"chart"}
"""Kinds whose blobs may be text; a chart's provenance file is."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A blob, and the artifact that names it. `config`: as its configuration."""

    artifact: Checked
    blob: Descriptor
    config: bool


def inspect(subject: Subject) -> Section:
    """Every distinct blob of every artifact that is no index. `fail` where something escapes, is read differently by
    different readers, is not what it is announced as, could not be looked through, or where a rule found more than is
    listed; `note` where something gives power or there is nothing to look into."""
    places = list(_places(subject.checked))
    counter = _Counter(places)
    deadline = time.monotonic() + limits.LAYERS_TIME
    fresh = []
    for blob in {place.blob.digest: place.blob for place in places}.values():
        known = subject.notebook.recall(str(blob.digest))
        if known is None:
            fresh.append(blob)
        else:
            counter.take(blob.digest, known)

    def look_at(blob: Descriptor) -> None:
        try:
            looked = look(subject.blobs.open_blob(blob.digest), blob.size, deadline)
        except LockgateError as error:
            looked = Looked(failed=error.diagnostics())
        if not looked.failed:
            subject.notebook.keep(str(blob.digest), looked)
        counter.take(blob.digest, looked)

    at_once(look_at, fresh, _LANES)
    return counter.section()


def _places(artifacts: Sequence[Checked]) -> Iterator[_Place]:
    """Where blobs stand: a blob once a way in which it is used, at the first artifact that uses it so."""
    seen = set()
    for checked in artifacts:
        manifest = checked.manifest
        config = [] if manifest.config is None else [(manifest.config, True)]
        for blob, is_config in (*config, *((layer, False) for layer in manifest.layers)):
            use = (blob.digest, checked.kind, is_runnable(manifest), is_config, *sorted(blob.annotations.items()))
            if use not in seen:
                seen.add(use)
                yield _Place(checked, blob, is_config)


class _Counter:
    """Takes in what was found in each blob, in any order and from any thread."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._turn = threading.Lock()
        self._tally = Tally()
        self._order: dict[Digest, int] = {}
        self._places: dict[Digest, list[_Place]] = {}
        for place in places:
            self._order.setdefault(place.blob.digest, len(self._order))
            self._places.setdefault(place.blob.digest, []).append(place)
        self._archives = self._entries = 0
        self._listings: dict[int, dict[str, Any]] = {}

    def take(self, digest: Digest, looked: Looked) -> None:
        """Count what is in a blob, at the first artifact that names it, and what each use of it makes of it."""
        places, order = self._places[digest], self._order[digest]
        with self._turn:
            self._archives += looked.content in ("archive", SEVEN_ZIP)
            self._entries += looked.entries
            if looked.names:
                self._listings[order] = {**_where(places[0]), "entries": looked.entries, "names": looked.names}
            for rule, found in looked.found.items():
                self._tally.add(order, rule, found, **_where(places[0]))
            for place in places:
                for rule, reason in _misfits(place, looked):
                    single = RuleFindings()
                    single.add(reason=reason)
                    self._tally.add(order, rule, single, **_where(place))

    def section(self) -> Section:
        """The section of everything that was taken in."""
        counts = self._tally.counts
        details = self._tally.details()
        counted = ", ".join(f"{count} {rule}" for rule, count in counts.items() if count)
        over = ", ".join(one["rule"] for one in details.get("over_cap", ()))
        more = f"; too many to list: {over}" if over else ""
        blobs = len(self._order)
        return Section(
            inspector="layers",
            outcome=_outcome(counts, details),
            summary=f"{self._archives} of {some(blobs, 'blob is an archive', 'blobs are archives')}, with"
            f" {some(self._entries, 'entry', 'entries')}: "
            f"{counted or 'nothing that gives power or leads out'}{more}",
            details={
                "blobs": blobs,
                "layers": self._archives,
                "entries": self._entries,
                **self._seven_zip(),
                **details,
            },
        )

    def _seven_zip(self) -> dict[str, Any]:
        """The 7z archives with their first entries, in the order of the blobs."""
        listed = [self._listings[order] for order in sorted(self._listings)[: limits.SEVEN_ZIP_LISTED]]
        return {"seven_zip": listed, "seven_zip_archives": len(self._listings)} if listed else {}


def _outcome(counts: dict[str, int], details: dict[str, Any]) -> str:
    if "over_cap" in details or any(counts[rule] for rule in FAILING):
        return "fail"
    return "note" if any(counts[rule] for rule in NOTED) else "ok"


def _where(place: _Place) -> dict[str, Any]:
    return {"image": place.artifact.name, "layer": str(place.blob.digest)}


def _is_document(place: _Place, content: str) -> bool:
    """Whether a blob is text where text belongs."""
    return content == "text" and (place.config or place.artifact.kind in _DOCUMENTS)


def _misfits(place: _Place, looked: Looked) -> Iterator[tuple[str, str]]:
    """What is wrong with a blob where it stands, by rule: it could not be looked through, it holds nothing that can be
    looked into, or it is an archive where none belongs."""
    kind, content = place.artifact.kind, looked.content
    runnable = is_runnable(place.artifact.manifest)
    if looked.failed:
        yield "unread", looked.failed
        return
    if reason := unmatched(place.blob.annotations, looked):
        yield "unread", reason
    if content == "archive":
        if place.config:
            yield "misnamed", "a configuration that is an archive"
        elif kind in EVIDENCE:
            yield "misnamed", f"an archive in a {kind}"
    elif content == SEVEN_ZIP and (place.config or kind in EVIDENCE):
        yield "misnamed", f"a 7z archive in a {kind}"
    elif content == "empty" or (content == SEVEN_ZIP and not runnable) or _is_document(place, content):
        return
    elif runnable:
        yield "unread", f"{content} in an image, neither an archive nor compressed as one"
    else:
        yield "opaque", f"{content} with no layers to look into"
