"""The one way to take the parameters that stand for a path or a document out of a request.

A parameter that is a path is `{"handle": id, "path": text}`: what stands for it is a descriptor that the client sent
(`appliance.handles.giving`, `appliance.control.handle_socket`). Taken out, it is the text, and a grant beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, Protocol, TypeVar

import msgspec

from appliance.handles.granted import Grant
from appliance.handles.path_params import PathParam, places
from appliance.limits import control as limits
from bundles.documents.statement import StatementFiles
from bundles.errors import UsageError

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
"""A receipt or want-list in the schema of the API (bundles.documents.statement.StatementFiles)."""


class Taken(Protocol):
    """What stands behind a handle (appliance.control.handle_socket.Handle)."""

    @property
    def root(self) -> str:
        """The absolute path of the folder or file itself."""
        ...

    def grant(self, path: str) -> Grant:
        """The record of it, for a path at or below its root."""
        ...


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
