"""What an artifact is made of, as far as its repository shows it: the digests whose blocks are blocks of the whole."""

from __future__ import annotations

from appliance.limits import admission as limits
from appliance.registry.call import Call
from appliance.registry.manifests import bytes_of
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, parse_manifest


async def require_none_blocked(call: Call, repository: str, digest: Digest) -> None:
    """Go on only where nobody has blocked a manifest, nor anything that it names, however deep. Raises RefusedError,
    also for what names too much or is not whole here; MalformedError for what is no manifest."""
    seen, todo = {digest}, [digest]
    while todo:
        one = todo.pop()
        found = await bytes_of(call, one)
        if found is None:
            raise RefusedError("a manifest of it is not whole here", thing=str(one), remedy="lockgate scrub")
        manifest = parse_manifest(found.body)
        below = {child.digest for child in manifest.manifests if child.media_type in MANIFEST_TYPES} - seen
        named = {part.digest for part in (*manifest.blobs, *manifest.foreign, *manifest.manifests)} - seen
        if len(seen) + len(named) > limits.ADMISSION_REACHED:
            raise RefusedError(
                "it names too much to be let in", thing=str(digest), remedy=f"at most {limits.ADMISSION_REACHED} parts"
            )
        for part in sorted(named, key=str):
            if (why := call.services.metadata.blocked(part)) is not None:
                raise RefusedError(f"a part of it is blocked ({part}): {why}", remedy="run another digest")
        seen |= named
        find = call.services.metadata.linked_manifest
        todo += [child for child in sorted(below, key=str) if find(repository, child) is not None]
