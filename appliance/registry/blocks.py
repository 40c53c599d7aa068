"""`/v2/_lockgate/blocks`: what people have blocked here, a page at a time, for stations that follow this one
(docs/reference/registry.md).

A block is told to who may pull from a repository that shows its digest, or where none shows it any more: who follows
this station may hold what was taken away here.
"""

from __future__ import annotations

from itertools import islice
from urllib.parse import urlencode

from aiohttp import web

from appliance.limits import registry as limits
from appliance.registry.call import Call
from appliance.registry.routes import BLOCKS
from appliance.store.reads.blocks import why_blocked
from bundles.errors import MalformedError
from bundles.oci.digest import Digest


async def list_blocks(call: Call) -> web.StreamResponse:
    """GET: this station's side, and digests in bytewise order after `last`, with why; `Link` where there are more."""
    call.require("list")
    every, after = why_blocked(call.services.metadata.connection), call.request.query.get("last", "")
    told = (digest for digest in sorted(every) if digest > after and _may_be_told(call, digest))
    found = list(islice(told, limits.PAGE + 1))
    page = found[: limits.PAGE]
    headers = {}
    if len(found) > len(page):
        headers["Link"] = f'<{BLOCKS}?{urlencode({"last": page[-1]})}>; rel="next"'
    blocks = [{"digest": digest, "why": every[digest][: limits.BLOCK_TOLD]} for digest in page]
    side = "inside" if call.keeps_released else "outside"
    return web.json_response({"side": side, "blocks": blocks}, headers=headers)


def _may_be_told(call: Call, text: str) -> bool:
    try:
        digest = Digest.parse(text)
    except MalformedError:  # a damaged row: the check of the metadata names it
        return False
    metadata = call.services.metadata
    shown = [*metadata.shown_anywhere(digest, "blob", -1), *metadata.shown_anywhere(digest, "manifest", -1)]
    return not shown or any(call.may("pull", name) for name in shown)
