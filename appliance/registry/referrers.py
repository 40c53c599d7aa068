"""end-12: what refers to a manifest (specification: Listing Referrers).

Every manifest's subject is recorded when it becomes known, by push or by release, so an index that older clients
keep under the fallback tag `sha256-<hex>` lists nothing that is not listed here; the tag itself stays an ordinary
tag (specification: Enabling the Referrers API).

Which manifests are looked at follows from rows; what is said of each follows from its bytes. A row that was changed by
hand shows nothing that the bytes do not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.registry.call import Call
from appliance.registry.manifests import bytes_of
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.manifest_facts import as_the_bytes_say
from bundles.oci.manifest import OCI_INDEX

_DESCRIPTOR: Final = 512
"""Bytes of a descriptor beside its annotations, at most about so many."""


async def list_referrers(call: Call) -> web.StreamResponse:
    """GET: 200 with an index, empty where nothing refers to the digest or the repository is unknown.

    `artifactType` filters, and the answer says so. An answer is at most about 4 MiB; `Link` leads on.
    """
    call.require("pull")
    # A media type holds no blank: one that is there was a plus sign, which the client forgot to escape.
    kind = call.request.query.get("artifactType", "").replace(" ", "+")
    after = call.request.query.get("last", "")
    version = call.worker.kept.look(anew=True)
    page, more = _page(call.services.metadata.each_referrer(call.name, call.digest, after, kind))
    headers = {}
    if kind:
        headers["OCI-Filters-Applied"] = "artifactType"
    if more:
        query = {"last": str(page[-1].digest)} | ({"artifactType": kind} if kind else {})
        headers["Link"] = f'<{call.request.rel_url.raw_path}?{urlencode(query)}>; rel="next"'
    body = await call.worker.in_thread(_index, await _said(call, page, kind))
    answer = web.Response(body=body, headers=headers, content_type=OCI_INDEX)
    if all(facts in call.worker.right for facts in page):  # else manifests are read for it each time
        call.worker.kept.keep_page(call.request.raw_path, version, answer)
    return answer


async def _said(call: Call, page: list[ManifestFacts], kind: str) -> list[ManifestFacts]:
    """Of a page, what refers to the digest by its bytes, as they say it. A manifest whose bytes are gone or rotted is
    left out, as a pull of it finds nothing. Raises UnreadableError."""
    found = []
    for facts in page:
        said = facts if facts in call.worker.right else await _by_bytes(call, facts)
        if said is not None and said.subject == call.digest and kind in ("", said.artifact_type):
            found.append(said)
    return found


async def _by_bytes(call: Call, facts: ManifestFacts) -> ManifestFacts | None:
    known = await bytes_of(call, facts.digest)
    if known is None:
        return None
    said = await call.worker.in_thread(as_the_bytes_say, facts, known.body)
    if said is facts and len(facts.annotations_json) < store_limits.ROW_KNOWN:
        call.worker.keep_right(facts)
    return said


def _page(referrers: Iterator[ManifestFacts]) -> tuple[list[ManifestFacts], bool]:
    """As many as one answer takes, at least one, and whether there are more. Reads no further than that: annotations
    may be megabytes each."""
    page: list[ManifestFacts] = []
    size = 0
    for facts in referrers:
        size += len(facts.annotations_json.encode()) + _DESCRIPTOR
        if page and (size > limits.REFERRERS_BYTES or len(page) == limits.REFERRERS_PAGE):
            return page, True
        page.append(facts)
    return page, False


def _index(page: list[ManifestFacts]) -> bytes:
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(facts) for facts in page]}
    return json.dumps(index, ensure_ascii=False).encode()


def _descriptor(facts: ManifestFacts) -> dict[str, Any]:
    descriptor: dict[str, Any] = {"mediaType": facts.media_type, "digest": str(facts.digest), "size": facts.size}
    if facts.artifact_type:
        descriptor["artifactType"] = facts.artifact_type
    if facts.annotations_json != "{}":
        descriptor["annotations"] = facts.annotations
    return descriptor
