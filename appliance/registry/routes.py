"""Paths of the API, taken apart by hand: repository names hold slashes, so no pattern of segments fits.

A path is read from its right end. It is taken as the client sent it: escapes are resolved once, and an escaped
slash is refused, so that a proxy in front and this registry never see two different repositories in one path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from appliance.registry import errors
from appliance.registry.errors import RefusedRequestError
from bundles.errors import MalformedError
from bundles.oci.reference import check_repository

Resource = Literal[
    "base", "catalog", "blocks", "blob", "uploads", "upload", "manifest", "tags", "referrers", "admission"
]

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[Ff]|%5[Cc]|%00")
_PREFIX: Final = "/v2/"
BLOCKS: Final = "/v2/_lockgate/blocks"
"""What people have blocked here, for stations that follow this one (appliance.registry.blocks)."""

ADMISSION: Final = ("/admission/validate", "/admission/resolve", "/admission/images")
"""Paths of admission webhooks (appliance.registry.admission)."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names. `name` is a valid repository name, or "" where the resource has none; `reference` is the
    last segment (a digest, a tag, an upload id), not yet looked at."""

    resource: Resource
    name: str = ""
    reference: str = ""


def parse(raw_path: str) -> Target:
    """The target of a request's path, still escaped and without its query.

    Raises RefusedRequestError: 404 for what is no path of the API, 400 NAME_INVALID for a malformed name.
    """
    if _BAD_ESCAPE.search(raw_path):
        raise RefusedRequestError(errors.name_invalid(raw_path))
    path = unquote(raw_path, errors="replace")
    if path in ("/v2", _PREFIX):
        return Target("base")
    if path in ADMISSION:
        return Target("admission", reference=path.rpartition("/")[2])
    if not path.startswith(_PREFIX):
        raise RefusedRequestError(errors.no_such_route(path))
    if path == BLOCKS:
        return Target("blocks")
    rest = path.removeprefix(_PREFIX)
    if rest == "_catalog":
        return Target("catalog")
    resource, name, reference = _split(rest)
    try:
        return Target(resource, check_repository(name), reference)
    except MalformedError:
        raise RefusedRequestError(errors.name_invalid(name)) from None


def _split(rest: str) -> tuple[Resource, str, str]:
    head, _, last = rest.rpartition("/")
    name, _, middle = head.rpartition("/")
    if middle == "tags" and last == "list":
        return "tags", name, ""
    if middle == "manifests":
        return "manifest", name, last
    if middle == "referrers":
        return "referrers", name, last
    if middle == "blobs":
        return ("uploads", name, "") if last == "uploads" else ("blob", name, last)
    if middle == "uploads" and name.endswith("/blobs"):
        return ("upload" if last else "uploads"), name.removesuffix("/blobs"), last
    raise RefusedRequestError(errors.no_such_route(f"{_PREFIX}{rest}"))
