"""end-8 and `_catalog`: tags of a repository and repositories of the station, a page at a time
(specification: Listing Tags; Docker Registry HTTP API V2: Catalog)."""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from appliance.limits import registry as limits
from appliance.registry import errors
from appliance.registry.call import Call
from appliance.registry.errors import RefusedRequestError, WireError

_NUMBER: Final = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


async def list_tags(call: Call) -> web.StreamResponse | WireError:
    """GET `tags/list`: names in bytewise order after `last`, at most `n`; `Link` where there are more."""
    call.require("pull")
    version = call.worker.kept.look(anew=True)
    if not call.services.metadata.repository_exists(call.name):
        return errors.name_unknown(call.name)
    wanted, after = _page(call)
    tags = call.services.metadata.tag_names(call.name, wanted + 1, after) if wanted else []
    answer = _answer({"name": call.name, "tags": tags[:wanted]}, _link(call, tags, wanted))
    call.worker.kept.keep_page(call.request.raw_path, version, answer)
    return answer


async def list_repositories(call: Call) -> web.StreamResponse:
    """GET `_catalog`: names the caller may pull in bytewise order after `last`, at most `n`; `Link` for more."""
    call.require("list")
    wanted, after = _page(call)
    names = await _seen(call, wanted + 1, after) if wanted else []
    return _answer({"repositories": names[:wanted]}, _link(call, names, wanted))


async def _seen(call: Call, wanted: int, after: str) -> list[str]:
    """So many names that the caller may pull; the pages between do not tell how many there are beside."""
    found: list[str] = []
    while len(found) < wanted:
        names = call.services.metadata.repository_names(limits.PAGE, after)
        found += [name for name in names if call.may("pull", name)]
        if len(names) < limits.PAGE:
            break
        after = names[-1]
        await asyncio.sleep(0)
    return found[:wanted]


def _page(call: Call) -> tuple[int, str]:
    """How many names, and after which. A number beyond the ceiling is lowered, since `Link` leads on."""
    number = call.request.query.get("n")
    if number is not None and not _NUMBER.match(number):
        raise RefusedRequestError(errors.page_invalid(number))
    wanted = limits.PAGE if number is None else min(int(number), limits.PAGE_MAXIMUM)
    return wanted, call.request.query.get("last", "")


def _link(call: Call, names: list[str], wanted: int) -> str | None:
    """The next page's link (RFC 8288), where one more name than wanted was found. It repeats the client's `n`."""
    if len(names) <= wanted or not wanted:
        return None
    query = {"last": names[wanted - 1]}
    if "n" in call.request.query:
        query["n"] = call.request.query["n"]
    return f'<{call.request.rel_url.raw_path}?{urlencode(query)}>; rel="next"'


def _answer(document: dict[str, object], link: str | None) -> web.Response:
    return web.json_response(document, headers={"Link": link} if link else None)
