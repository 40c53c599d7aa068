"""What a new bundle is made of: what may be named, who may sign it, and whether the plan that was shown still holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.bundles import Plan, Site
from appliance.api.common import Page
from appliance.api.trust import OwnKey
from bundles.errors import LockgateError, UsageError
from bundles.format.media import capacity
from tui.station.port import Station

PINNED_HERE: Final = "a key that is pinned here: p on Trust pins its public half"
"""What a key must be that signs a bundle."""
_SITE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


async def signing_keys(station: Station) -> tuple[Sequence[OwnKey], frozenset[str]]:
    """The keys of the station's folder, and the ids of all that it knows: a build by another has no public half."""
    own = await station.keys()
    pinned = [key.keyid for key in await station.trust() if not key.revoked]
    return own, frozenset([*pinned, *(key.keyid for key in own)])


async def known_sites(station: Station) -> tuple[str, ...]:
    """The destinations that the station knows."""
    return tuple(one.site for one in (await station.fetch(Page[Site], "/v1/sites")).items)


def names_in_file(path: str) -> list[str]:
    """The references that a list names, as `bundle build -f` reads it. Blocking. Raises UsageError."""
    from appliance.reference_lists import names_in

    if path == "-":
        raise UsageError("the console reads no list from its terminal", thing=path, remedy="name a file")
    return names_in(path)


def check_names(text: str) -> str:
    """What is wrong with names and patterns of artifacts, apart by blanks; empty where nothing is."""
    from appliance.artifact_choice import Wish

    try:
        for name in text.split():
            Wish.parse(name)
    except LockgateError as error:
        return error.diagnostics()
    return "" if text.strip() else "this is needed"


def check_site(text: str) -> str:
    """What is wrong with the name of a site."""
    return "" if text and len(text) <= 32 and set(text) <= _SITE else "a site is named with a-z, 0-9 and - (at most 32)"


def check_path(text: str) -> str:
    """What is wrong with the path of a folder or file."""
    return "" if text.startswith("/") else "a path begins with /"


def check_medium(text: str) -> str:
    """What is wrong with the number of a medium."""
    whole = text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0
    return "" if whole else "a medium's number, 1 or more, as on its label"


def check_size(text: str) -> str:
    """What is wrong with the size of a volume file."""
    try:
        capacity(text)
    except LockgateError as error:
        return error.diagnostics()
    return ""


def carries(plan: Plan) -> tuple[object, ...]:
    """What a plan says of the bundle itself; what is free on media changes by itself."""
    return plan.artifacts, plan.chosen, plan.blobs, plan.bytes, plan.volumes, plan.requires, plan.base, plan.nothing
