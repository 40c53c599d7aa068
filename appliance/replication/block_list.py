"""The list of blocks that a primary gives (docs/reference/registry.md, `_lockgate/blocks`), page by page."""

from __future__ import annotations

from typing import Final

from appliance.limits import collecting as limits
from appliance.limits import registry as registry_limits
from appliance.outgoing.collect.registry_client import RegistryClient
from bundles import limits as format_limits
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.oci.digest import Digest

_PATH: Final = "_lockgate/blocks"


async def blocks_of(registry: RegistryClient, side: str) -> dict[str, str]:
    """Each digest that is blocked there, and why. Raises RefusedError for a station that is not on this `side` of the
    gap, MalformedError for what is no such list, is too long or goes in a circle, and as RegistryClient.document: a
    list without its rest would be taken for whole."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    page = _PATH
    while True:
        document = await registry.document(page)
        found |= _checked(document.raw, side)
        if not document.next:
            return found
        if document.next in seen or len(seen) > limits.REMOTE_PAGES or len(found) > limits.REMOTE_NAMES:
            raise _malformed("has no end")
        seen.add(document.next)
        page = document.next


def _checked(raw: bytes, side: str) -> dict[str, str]:
    try:
        document = strict_json.loads(
            raw, ceiling=format_limits.OCI_MANIFEST, nodes=limits.REMOTE_NAMES, what="a list of blocks"
        )
        there, listed = document["side"], document["blocks"]
        if there not in ("outside", "inside"):
            raise _malformed("is none")
        if there != side:
            raise RefusedError(
                f"the primary is an {there} station, and this one is {side}", thing=_PATH,
                remedy="follow a station of the same side: what crosses the gap goes by bundle", code="replica-side",
            )  # fmt: skip
        return {str(Digest.parse(one["digest"])): safe(str(one["why"])[: registry_limits.BLOCK_TOLD]) for one in listed}
    except (MalformedError, LookupError, TypeError, AttributeError):
        raise _malformed("is none") from None


def _malformed(what: str) -> MalformedError:
    return MalformedError(f"the primary's list of blocks {what}", thing=_PATH, remedy="ask its administrator")
