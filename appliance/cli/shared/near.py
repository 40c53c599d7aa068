"""What somebody probably meant who named a thing that the station does not have.

The station's own lists say what there is, asked for as whoever called: nobody learns a name here that a list would not
show them.
"""

from __future__ import annotations

import contextlib
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from bundles.errors import LockgateError, NotFoundError

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

_REPOSITORIES: Final = "see: lockgate repo list"
_STREAMS: Final = "see: lockgate intake stream show"
_LISTS: Final = {
    "see: lockgate user list": ("/v1/accounts", "name"),
    _REPOSITORIES: ("/v1/repositories", "name"),
    "see: lockgate bundle list": ("/v1/bundles", "id"),
    "see: lockgate intake list": ("/v1/intake", "id"),
    _STREAMS: ("/v1/streams", "stream"),
    "see: lockgate site list": ("/v1/sites", "site"),
}
"""The remedy of an error, and the list that it sends to: its path and the field of an item's name."""

_BUNDLE: Final = re.compile(r"(.+)-([0-9]{1,6})", re.ASCII)

_MOST: Final = 1_000
"""Names that are compared at most."""

_CLOSE: Final = 0.75


async def with_meant(client: ControlClient, error: NotFoundError) -> LockgateError:
    """The error, its remedy with the name that was probably meant; as it is where no name is close, and where whoever
    calls may not see the list."""
    path, field = _LISTS.get(error.remedy, ("", ""))
    if not path or not error.thing:
        return error
    names: list[str] = []
    with contextlib.suppress(LockgateError):
        items: list[dict[str, Any]] = (await client.get(path, limit=_MOST))["items"]
        names = [str(item[field]) for item in items]
    remedy = meant(error.thing, names, error.remedy)
    return NotFoundError(error.what, thing=error.thing, remedy=remedy, code=error.code)


def meant(thing: str, names: list[str], remedy: str) -> str:
    """The remedy, with the one of `names` that `thing` is close to. Of a reference the repository is compared, of a
    bundle's id the stream: the next number is another bundle, and not what was meant."""
    name, rest = thing, ""
    if any(map(_BUNDLE.fullmatch, names)):
        newest = max((one for one in names if one.startswith(f"{thing}-")), default="")
        if newest:
            return f"did you mean {newest}? {remedy}"
        number = _BUNDLE.fullmatch(thing)
        names = [one for one in names if number and int(one[-6:]) == int(number[2])]
    elif remedy == _STREAMS and (found := _BUNDLE.fullmatch(thing)):
        name, rest = found[1], f"-{found[2]}"
    elif remedy == _REPOSITORIES:
        head, colon, tag = thing.partition("@")[0].rpartition(":")
        name, rest = (head, f":{tag}") if colon and "/" not in tag else (tag, "")
        if name in names:
            return f"see: lockgate repo tags {name}"
    near = [one for one in get_close_matches(name, names, 1, _CLOSE) if one != name]
    return f"did you mean {near[0]}{rest}? {remedy}" if near else remedy
