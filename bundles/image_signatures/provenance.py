"""What the signer of a statement says of the subject beyond its type: when, which builder made it, and of which source.

Nothing here refuses: a field that is missing, of another type, too long, or a time that cannot be read is as if it were
not there, and a rule that asks for it is not satisfied. Fields by the predicates' own specifications: SLSA provenance
v1 and v0.2 and verification summary (slsa.dev/spec), in-toto vulns v0.2, cosign's vulnerability record, CycloneDX
(metadata.timestamp) and SPDX (creationInfo.created).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bundles.io.times import FORMAT

PROVENANCE: Final = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
"""The predicate types whose builder and sources are read."""
_Path = tuple[str, ...]
_TIMES: Final[Mapping[str, tuple[_Path, ...]]] = {
    "https://slsa.dev/provenance/v1": (("runDetails", "metadata", "finishedOn"),),
    "https://slsa.dev/provenance/v0.2": (("metadata", "buildFinishedOn"),),
    "https://slsa.dev/verification_summary/v1": (("timeVerified",),),
    "https://slsa.dev/verification_summary/v0.2": (("time_verified",),),
    "https://in-toto.io/attestation/vulns/v0.2": (("metadata", "scanFinishedOn"),),
    "https://cosign.sigstore.dev/attestation/vuln/v1": (("metadata", "scanFinishedOn"),),
    "https://cyclonedx.org/bom": (("metadata", "timestamp"),),
    "https://spdx.dev/Document": (("creationInfo", "created"),),
}
_BUILDERS: Final[Mapping[str, _Path]] = {
    "https://slsa.dev/provenance/v1": ("runDetails", "builder", "id"),
    "https://slsa.dev/provenance/v0.2": ("builder", "id"),
}
_SOURCES: Final[Mapping[str, tuple[_Path, ...]]] = {
    "https://slsa.dev/provenance/v1": (
        ("buildDefinition", "externalParameters", "workflow", "repository"),
        ("buildDefinition", "externalParameters", "configSource", "uri"),
        ("buildDefinition", "externalParameters", "buildConfigSource", "repository"),
        ("buildDefinition", "externalParameters", "source", "uri"),
        ("buildDefinition", "externalParameters", "source"),
    ),
    "https://slsa.dev/provenance/v0.2": (("invocation", "configSource", "uri"),),
}
"""Where builders name what they built: GitHub's workflows, BuildKit, Cloud Build, and builders with one `source`. What
was merely used (`resolvedDependencies`, `materials`) is no source: whoever builds another one may use it, too."""
_TEXT_MOST: Final = 2048
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_REVISION: Final = re.compile(r"(?:@refs/|@[0-9a-f]{40,64}\Z|#)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Provenance:
    """`at`: when, in UTC as `YYYY-MM-DDTHH:MM:SSZ`, "" where it is not said. `builder`: its id, "" for none. `sources`:
    repositories, without a revision and without `git+` before them."""

    at: str = ""
    builder: str = ""
    sources: tuple[str, ...] = ()


def provenance_of(predicate_type: str, predicate: Any) -> Provenance:
    """What a verified statement's predicate says of these. Never raises."""
    times = [_time(text) for text in _texts(predicate, _TIMES.get(predicate_type, ()))]
    builders = _BUILDERS.get(predicate_type)
    sources = (repository_of(text) for text in _texts(predicate, _SOURCES.get(predicate_type, ())))
    return Provenance(
        at=times[0] if times else "",
        builder=next(_texts(predicate, () if builders is None else (builders,)), ""),
        sources=tuple(dict.fromkeys(sources)),
    )


def _texts(document: Any, paths: tuple[_Path, ...]) -> Iterator[str]:
    """The texts at these paths, where there is one of at most `_TEXT_MOST` characters."""
    for path in paths:
        found = document
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str) and 0 < len(found) <= _TEXT_MOST:
            yield found


def _time(text: str) -> str:
    """A time of RFC 3339 in UTC, to the second that it is in; "" for what is none."""
    if not _TIME.match(text):
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime(FORMAT)
    except (ValueError, OverflowError):
        return ""


def repository_of(text: str) -> str:
    """A source's URI without `git+` and its revision (`@refs/…`, `@` and a commit, `#…`). What follows an `@` of
    another kind stays: it may be the host."""
    found = _REVISION.search(text)
    return (text if found is None else text[: found.start()]).removeprefix("git+")
