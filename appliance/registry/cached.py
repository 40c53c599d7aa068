"""Reads in the repositories of caches: what is here is served as anywhere, what is not is asked for upstream first.

Who may pull is decided before, and what nobody may pull is not asked for. A hit reads rows and one file's status, and
asks nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from appliance.registry import errors
from appliance.registry.call import Call, as_warning
from appliance.registry.errors import RefusedRequestError
from appliance.registry.passing_on import pass_on
from appliance.registry.pull_through import Outcome
from appliance.registry.watch import fetching
from appliance.store.reads.caches import tag_asked
from appliance.store.reads.content import BlobFacts, ManifestFacts
from appliance.store.writes.rows import Kind
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.reference import check_tag

_STALE = 110
"""The code of a warning that an answer is stale (RFC 7234, section 5.5.1)."""


async def manifest(
    call: Call, facts: ManifestFacts | None, find: Callable[[Call], ManifestFacts | None]
) -> tuple[ManifestFacts | None, dict[str, str]]:
    """The manifest that a request names, and headers that are said besides. `facts`: what `find` found of it here.
    Raises RefusedRequestError where it is not here and could not be fetched: 502, 503, 507; 403 where it is blocked."""
    reference = call.target.reference
    is_here = facts is not None and _has_file(call, facts.digest)
    if is_here and (":" in reference or is_fresh(call, reference)):
        call.worker.measures.cached("manifest", "hit")
        return facts, {}
    if ":" in reference:
        call.refuse_blocked(call.digest)
    else:
        try:
            check_tag(reference)
        except MalformedError:
            return facts, {}
    with fetching(call.request):
        outcome = await call.services.pull_through.manifest(call.name, reference)
    _count(call, "manifest", outcome)
    if outcome.state == "absent":
        return None, {}
    if outcome.state == "stale" and is_here:
        return facts, {"Warning": as_warning(_STALE, f"stale: {outcome.why}")}
    if outcome.state in ("stale", "failed"):
        raise RefusedRequestError(errors.upstream_failed(outcome))
    return find(call), {}


async def blob(call: Call, digest: Digest, facts: BlobFacts | None) -> BlobFacts | web.StreamResponse | None:
    """The blob that a request names, or its answer, sent while it arrived; `facts`: what was found of it here. Raises
    as `manifest`."""
    if facts is not None and _has_file(call, digest):
        call.worker.measures.cached("blob", "hit")
        return facts
    call.refuse_blocked(digest)
    with fetching(call.request):
        outcome = await pass_on(call, digest)
    if not isinstance(outcome, Outcome):
        call.worker.measures.cached("blob", "miss")
        return outcome
    _count(call, "blob", outcome)
    if outcome.state == "absent":
        return None
    if outcome.state == "failed":
        raise RefusedRequestError(errors.upstream_failed(outcome))
    return await call.worker.linked_blob(call.name, digest)


def is_fresh(call: Call, tag: str) -> bool:
    """Whether a tag was asked for upstream within its time; never one of a time that is still to come."""
    cached = call.services.pull_through.caches.find(call.name)
    asked = tag_asked(call.services.metadata.connection, call.name, tag)
    if cached is None or asked is None:
        return False
    return 0 <= time.time() - asked < cached.settings.tag_minutes * 60


def _has_file(call: Call, digest: Digest) -> bool:
    try:
        return call.services.blobs.size(digest) >= 0
    except NotFoundError:
        return False


def _count(call: Call, kind: Kind, outcome: Outcome) -> None:
    result = {"brought": "miss", "kept": "hit"}.get(outcome.state, outcome.state)
    call.worker.measures.cached(kind, result)
