"""Evidence in the repositories of caches, for the policy for images: it is told from an image by its documents, which
a cache does not have before somebody asks for them; and a node asks for no signature of what it pulls.

So the documents of a manifest that says it is evidence are fetched with it; and where an artifact would be held back,
what its upstream keeps below cosign's tags is fetched, once, to be judged. Referrers are not listed upstream (ADR 65).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from appliance.registry import cached
from appliance.registry.call import Call
from appliance.registry.manifest_cache import Known
from appliance.store.reads.content import ManifestFacts
from bundles import limits
from bundles.errors import MalformedError
from bundles.oci.attached_tags import cosign_tags
from bundles.oci.digest import Digest
from bundles.oci.kinds import evidence_of
from bundles.oci.manifest import Manifest, parse_manifest

_ASKED_FOR: Final = ("signature", "attestation")
"""What rules ask for."""

Read = Callable[[Call, Digest], Awaitable[Known | None]]
"""The bytes of a manifest that the repository shows; None where they are not there."""


async def complete(call: Call, facts: ManifestFacts, read: Read) -> None:
    """Fetch the documents of a manifest that says it is evidence, where they are not here yet."""
    if not call.services.pull_policy.stands(call.name, facts.digest, "manifest"):
        await _documents(call, facts, read)


async def bring(call: Call, digest: Digest, read: Read) -> bool:
    """Fetch what the upstream keeps below cosign's tags about an artifact; whether anything is new here. What cannot be
    fetched leaves the verdict as it is."""
    brought = False
    for tag in (tag for tag, kind in cosign_tags(digest).items() if kind in _ASKED_FOR):
        facts = call.services.metadata.tagged_manifest(call.name, tag)
        if facts is None or not cached.is_fresh(call, tag):
            outcome = await call.services.pull_through.manifest(call.name, tag)
            brought |= outcome.state == "brought"
            facts = call.services.metadata.tagged_manifest(call.name, tag)
        if facts is not None:
            brought |= await _documents(call, facts, read)
    return brought


async def _documents(call: Call, facts: ManifestFacts, read: Read) -> bool:
    """Whether a document is new here."""
    manifest, brought = await _evidence(call, facts, read), False
    for layer in {} if manifest is None else {layer.digest: layer for layer in manifest.layers}:
        if await call.worker.linked_blob(call.name, layer) is None:
            outcome = await call.services.pull_through.blob(call.name, layer)
            brought |= outcome.state == "brought"
    return brought


async def _evidence(call: Call, facts: ManifestFacts, read: Read) -> Manifest | None:
    """The manifest, where every type in it says evidence, nobody blocked it, and its documents are no more than are
    looked at."""
    if call.services.metadata.blocked(facts.digest) is not None:
        return None
    found = await read(call, facts.digest)
    if found is None:
        return None
    try:
        manifest = parse_manifest(found.body, facts.media_type)
    except MalformedError:
        return None
    size = sum(layer.size for layer in manifest.layers)
    fits = len(manifest.layers) <= limits.IMAGE_SIGNATURES and size <= limits.IMAGE_SIGNATURES_SIZE
    return manifest if fits and evidence_of(manifest) else None
