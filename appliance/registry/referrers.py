"""end-12: what refers to a manifest (specification: Listing Referrers).

Every manifest's subject is recorded when it becomes known, by push or by release, so an index that older clients
keep under the fallback tag `sha256-<hex>` lists nothing that is not listed here; the tag itself stays an ordinary
tag (specification: Enabling the Referrers API).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from appliance import limits
from appliance.registry.call import Call
from appliance.store.metadata import ManifestFacts
from bundles.oci.manifest import OCI_INDEX


async def list_referrers(call: Call) -> web.StreamResponse:
    """GET: 200 with an index, empty where nothing refers to the digest or the repository is unknown.

    `artifactType` filters, and the answer says so. An answer is at most about 4 MiB; `Link` leads on.
    """
    call.require("pull")
    kind = call.request.query.get("artifactType", "")
    after = call.request.query.get("last", "")
    found = call.services.metadata.referrers(call.name, call.digest, limits.REFERRERS_PAGE + 1, after, kind)
    page = _fit(found)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(facts) for facts in page]}
    headers = {}
    if kind:
        headers["OCI-Filters-Applied"] = "artifactType"
    if len(page) < len(found):
        query = {"last": str(page[-1].digest)} | ({"artifactType": kind} if kind else {})
        headers["Link"] = f'<{call.request.rel_url.raw_path}?{urlencode(query)}>; rel="next"'
    return web.Response(body=json.dumps(index).encode(), headers=headers, content_type=OCI_INDEX)


def _fit(found: list[ManifestFacts]) -> list[ManifestFacts]:
    """As many as one answer takes, and at least one."""
    page: list[ManifestFacts] = []
    size = 0
    for facts in found[: limits.REFERRERS_PAGE]:
        size += len(json.dumps(_descriptor(facts)))
        if page and size > limits.REFERRERS_BYTES:
            break
        page.append(facts)
    return page


def _descriptor(facts: ManifestFacts) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": facts.media_type,
        "digest": str(facts.digest),
        "size": facts.size,
    }
    if facts.artifact_type:
        descriptor["artifactType"] = facts.artifact_type
    if facts.annotations:
        descriptor["annotations"] = dict(facts.annotations)
    return descriptor
