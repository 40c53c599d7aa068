"""The parameters of requests that stand for a path or a document, and the one way to take them out of a request.

A parameter that is a path is `{"handle": id, "path": text}`: what stands for it is a descriptor that the client sent
(`appliance.handles.giving`, `appliance.control.handles`). Taken out, it is the text, and a grant beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from appliance import limits
from appliance.handles.granted import Grant
from bundles.errors import UsageError
from bundles.statement import StatementFiles

Makes = Literal["", "folder", "file", "nothing"]


@dataclass(frozen=True, slots=True)
class PathParam:
    """A parameter that is a path: `at` is where it stands (`out[]`, `sources[].path`), `failing` what is said where the
    client cannot open it. `makes`: what the client makes, or will be made below the folder that it hands over; with
    `nothing` the path may be missing, and then the folder it would be in is meant."""

    at: str
    writes: bool
    failing: str
    makes: Makes = ""


JOB_PATHS: Final[Mapping[str, tuple[PathParam, ...]]] = {
    "collect": (PathParam("sources[].path", False, "the source cannot be read"),),
    "build": (PathParam("out[]", True, "the medium cannot be used", "folder"),),
    "recut": (PathParam("out[]", True, "the medium cannot be used", "folder"),),
    "import": (PathParam("paths[]", False, "the bundle cannot be read"),),
    "receipt": (PathParam("out", True, "the receipt cannot be written", "file"),),
}
"""By kind of job; a kind that is not here takes no path."""

PLAN_PATHS: Final = (PathParam("media[].path", True, "the medium cannot be used", "nothing"),)
"""Of POST /v1/plans."""

HANDLE_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["handle", "path"],
    "properties": {"handle": {"type": "string"}, "path": {"type": "string"}},
    "additionalProperties": False,
}
"""A path in the schema of the API."""

DOCUMENT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["name", "document", "keyid", "signatures"],
    "properties": {
        "name": {"type": "string"},
        "document": {"type": "string", "format": "byte"},
        "keyid": {"type": "string"},
        "signatures": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
    },
    "additionalProperties": False,
}
"""A receipt or want-list in the schema of the API (bundles.statement.StatementFiles)."""


class Taken(Protocol):
    """What stands behind a handle (appliance.control.handles.Handle)."""

    @property
    def root(self) -> str:
        """The absolute path of the folder or file itself."""
        ...

    def grant(self, path: str) -> Grant:
        """The record of it, for a path at or below its root."""
        ...


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


T = TypeVar("T", bound=Taken)


def take_paths(
    params: Mapping[str, Any], table: Sequence[PathParam], find: Callable[[str], T]
) -> tuple[dict[str, Any], list[tuple[Grant, T]]]:
    """The params with each path as its text, and what stands behind each. `find` gives a handle up, for good.

    Raises UsageError for a bare path, for a handle of another kind, and what `find` raises.
    """
    plain: dict[str, Any] = copy.deepcopy(dict(params))
    found: dict[str, T] = {}
    taken = []
    for param in table:
        for container, key in list(places(plain, param.at)):
            if container[key] == "":
                continue  # none is named: a medium that is not there yet has a capacity instead
            handle, text = _handle_at(container[key], param)
            if handle not in found:
                found[handle] = find(handle)
            grant = found[handle].grant(text)
            if grant.writes != param.writes:
                raise UsageError("the handle is not for this", thing=text, remedy=f"hand it over for {_verb(param)} it")
            _check_name(PurePosixPath(text), PurePosixPath(grant.root), param)
            container[key] = text
            taken.append((grant, found[handle]))
    return plain, taken


def _handle_at(value: Any, param: PathParam) -> tuple[str, str]:
    if isinstance(value, str):
        raise UsageError(
            "a request names no path",
            thing=value[:120],
            remedy=f"open it and hand it over: `{param.at}` is a handle (control-api.md, Handles)",
        )
    if (
        not isinstance(value, dict)
        or set(value) != {"handle", "path"}
        or not all(isinstance(text, str) for text in value.values())
    ):
        raise UsageError("malformed parameters", thing=f"`{param.at}` is a handle", remedy="see: lockgate --help")
    return value["handle"], value["path"]


def _check_name(path: PurePosixPath, root: PurePosixPath, param: PathParam) -> None:
    below = param.makes in ("file", "nothing") and path.parent == root and path.name != ".."
    if path == root and param.makes != "file":
        return
    if not below or len(path.name.encode()) > limits.FILE_NAME:
        raise UsageError("the path is not the one that was handed over", thing=str(path)[:120], remedy=f"it is {root}")


def _verb(param: PathParam) -> str:
    return "writing" if param.writes else "reading"


def take_document(params: dict[str, Any], name: str, words: Sequence[str] = ()) -> StatementFiles | None:
    """Take the document at `name` out of params, which then hold its name; None for one of `words`, or nothing.

    Raises UsageError for a bare path, and for what is no document.
    """
    value = params.get(name)
    if value is None or value in words:
        return None
    if isinstance(value, str):
        raise UsageError(
            "a request names no path",
            thing=value[:120],
            remedy=f"read it and send it: `{name}` is a document (control-api.md, Documents)",
        )
    try:
        files = msgspec.convert(value, StatementFiles)
    except msgspec.ValidationError as error:
        raise UsageError(
            "malformed parameters", thing=f"`{name}`: {error}"[:160], remedy="see: lockgate --help"
        ) from None
    files.check()
    params[name] = files.name
    return files
