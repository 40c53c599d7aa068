"""Which parameters of requests stand for a path: read by the client, which opens them, and by the station, which takes
them. It loads nothing else, so that a command that names no path starts fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bundles.errors import UsageError

Makes = Literal["", "file", "nothing"]

MISSING: Final = "mount the medium, or make the folder first (mkdir)"
"""What to do about a medium's folder that is not there: it is never made, so that a name that was mistyped, or a stick
that is not mounted, does not become a folder of the system's disk."""


@dataclass(frozen=True, slots=True)
class PathParam:
    """A parameter that is a path: `at` is where it stands (`out[]`, `sources[].path`), `failing` what is said where the
    client cannot open it. `makes`: what will be made below the folder that it hands over; with `nothing` the path
    may be missing, and then the folder it would be in is meant."""

    at: str
    writes: bool
    failing: str
    makes: Makes = ""


JOB_PATHS: Final[Mapping[str, tuple[PathParam, ...]]] = {
    "collect": (PathParam("sources[].path", False, "the source cannot be read"),),
    "build": (PathParam("out[]", True, "the medium cannot be used"),),
    "recut": (PathParam("out[]", True, "the medium cannot be used"),),
    "import": (PathParam("paths[]", False, "the bundle cannot be read"),),
    "advisories": (PathParam("path", False, "the advisories cannot be read"),),
    "sftp-push": (PathParam("paths[]", False, "the bundle cannot be read"),),
    "sftp-pull": (PathParam("out", True, "the folder cannot be used"),),
    "diode-send": (PathParam("paths[]", False, "the bundle cannot be read"),),
    "receipt": (PathParam("out", True, "the receipt cannot be written", "file"),),
}
"""By kind of job; a kind that is not here takes no path."""

PLAN_PATHS: Final = (PathParam("media[].path", True, "the medium cannot be used"),)
"""Of POST /v1/plans."""


def places(document: Any, at: str) -> Iterator[tuple[Any, Any]]:
    """Where the parameter `at` stands: each container with the key or index in it. What is not there is left out."""
    name, _, rest = at.partition(".")
    many = name.endswith("[]")
    name = name.removesuffix("[]")
    if not isinstance(document, dict) or document.get(name) is None:
        return
    if not many:
        if rest:
            yield from places(document[name], rest)
        else:
            yield document, name
        return
    if not isinstance(document[name], list):
        raise UsageError("malformed parameters", thing=f"`{name}` is a list", remedy="see: lockgate --help")
    for index, one in enumerate(document[name]):
        if rest:
            yield from places(one, rest)
        else:
            yield document[name], index
