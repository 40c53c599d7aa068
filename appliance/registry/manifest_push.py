"""end-7: manifests pushed, by tag or digest, with further tags (specification: Pushing Manifests)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.audit.acts import Act
from appliance.limits import registry as limits
from appliance.registry import errors
from appliance.registry.call import Call
from appliance.registry.conditional import etags
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.manifests import parse_reference
from appliance.registry.receiving import InterruptedBodyError, read_small
from appliance.registry.watch import phase
from appliance.settings.gates import staying
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import Condition, PutManifest
from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.limits import INDEX_DEPTH, OCI_MANIFEST
from bundles.oci.digest import Digest
from bundles.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.nesting import check_nesting, manifests_of
from bundles.oci.reference import check_tag


@dataclass(frozen=True, slots=True)
class _Pushed:
    """A manifest as it came: its bytes, what they say, their digest, and the tags that are to point at it."""

    body: bytes
    manifest: Manifest
    digest: Digest
    tags: tuple[str, ...]


async def put_manifest(call: Call) -> web.StreamResponse | WireError:
    """PUT: 201. 400 for content that is no manifest of its type, has another digest, or names what the repository
    does not show; 412 where an If-Match or If-None-Match does not hold; 413 above 4 MiB.

    The bytes are kept exactly; what a `subject` names need not exist.
    """
    stage = await call.require_write("push")
    reference = parse_reference(call.target.reference)
    tags = _tags(call, reference)
    try:
        body = await read_small(
            call.request, OCI_MANIFEST, errors.size_invalid(f"a manifest may have {OCI_MANIFEST} bytes", 413)
        )
    except InterruptedBodyError:
        return errors.size_invalid("the body broke off")
    pushed = await call.worker.in_thread(_read, body, reference, _announced(call), tags)
    blobs, manifests = _needs(call, pushed.manifest)
    call.refuse_blocked(pushed.digest)
    missing = call.services.metadata.unlinked(call.name, blobs, "blob")
    missing += call.services.metadata.unlinked(call.name, manifests, "manifest")
    missing += await call.worker.in_thread(_withdrawn, call, [*blobs, *manifests])
    if missing:
        return errors.manifest_blob_unknown(str(missing[0]))
    if pushed.manifest.is_index:
        await call.worker.in_thread(_check_nesting, call, pushed)
    async with call.placing():
        with phase(call.request, "store"):
            crc32 = await call.worker.in_thread(call.services.blobs.put, body, pushed.digest)
        write = _write(call, pushed, crc32, blobs, manifests, staying(stage, tags))
        thing, named = f"{call.name}@{pushed.digest}", " ".join(tags)
        outcome = await call.write(write, Act.PUSH_MANIFEST, thing, happened=_happened, tags=named)
    if outcome["missing"]:
        return errors.manifest_blob_unknown(outcome["missing"][0])
    if outcome["stale"]:
        return errors.precondition_failed(call.target.reference)
    return _created(call, pushed)


def _happened(outcome: Any) -> bool:
    """Whether the push changed what the repository shows, by the result of its transaction."""
    return not outcome["missing"] and not outcome["stale"]


def _tags(call: Call, reference: Digest | str) -> tuple[str, ...]:
    """The tags a push sets: the path's, or with a digest in the path those of its `tag` parameters (end-7b)."""
    if isinstance(reference, str):
        return (reference,)
    tags = tuple(dict.fromkeys(call.request.query.getall("tag", [])))
    if len(tags) > limits.PUSHED_TAGS:
        raise RefusedRequestError(
            WireError(414, "TAG_INVALID", f"too many tags in one push, at most {limits.PUSHED_TAGS}")
        )
    try:
        return tuple(check_tag(tag) for tag in tags)
    except MalformedError as error:
        raise RefusedRequestError(errors.tag_invalid(error.thing)) from None


def _announced(call: Call) -> str | None:
    """The Content-Type without parameters; None where the client said nothing of use."""
    header = call.request.headers.get("Content-Type", "").partition(";")[0].strip()
    return header if header not in ("", "application/octet-stream", "application/json") else None


def _read(body: bytes, reference: Digest | str, announced: str | None, tags: tuple[str, ...]) -> _Pushed:
    """The body, parsed and hashed. Blocking: 4 MiB take tens of milliseconds."""
    digest = Digest.of(body, reference.algorithm if isinstance(reference, Digest) else "sha256")
    if isinstance(reference, Digest) and digest != reference:
        refusal = MalformedError("the content has another digest", thing=f"{reference} (found {digest})")
        raise RefusedRequestError(errors.digest_invalid(refusal))
    try:
        return _Pushed(body, parse_manifest(body, announced), digest, tags)
    except MalformedError as error:
        raise RefusedRequestError(errors.manifest_invalid(error)) from None


def _needs(call: Call, manifest: Manifest) -> tuple[list[Digest], list[Digest]]:
    """The blobs and the manifests that the repository must show. What an index lists under another type than a
    manifest's can only have been pushed as a blob."""
    blobs = [blob.digest for blob in manifest.blobs]
    if call.services.settings.sparse_indexes:
        return blobs, []
    children = {child.digest: child.media_type for child in manifest.manifests}
    blobs += [digest for digest, kind in children.items() if kind not in MANIFEST_TYPES]
    return blobs, [digest for digest, kind in children.items() if kind in MANIFEST_TYPES]


def _check_nesting(call: Call, pushed: _Pushed) -> None:
    """Raises RefusedRequestError (400) for indexes that are nested too deep, or too many. Blocking."""
    try:
        check_nesting(_named_beneath(call, pushed))
    except (RefusedError, MalformedError) as error:
        what = MalformedError(error.what, thing=error.thing, remedy=error.remedy)
        raise RefusedRequestError(errors.manifest_invalid(what)) from None


def _named_beneath(call: Call, pushed: _Pushed) -> dict[Digest, list[Digest]]:
    """What the pushed index and those beneath it name, read a level at a time and no further than the bound.

    Raises RefusedError, MalformedError."""
    named = {pushed.digest: manifests_of(pushed.manifest)}
    coming = _indexes_of(pushed.manifest)
    for _ in range(INDEX_DEPTH):
        level, coming = coming, set()
        for digest in level - named.keys():
            if len(named) > limits.PUSHED_INDEXES:
                raise RefusedError("an index names too many indexes", remedy=f"at most {limits.PUSHED_INDEXES}")
            try:
                body = call.worker.manifests.read(digest)
            except LockgateError:  # a sparse index, or damaged: it leads no further
                continue
            index = parse_manifest(body, None)
            named[digest] = manifests_of(index)
            coming |= _indexes_of(index)
    if not named.keys() >= coming:
        raise RefusedError("indexes are nested too deep", remedy=f"at most {INDEX_DEPTH} levels")
    return named


def _indexes_of(manifest: Manifest) -> set[Digest]:
    return {child.digest for child in manifest.manifests if child.media_type in INDEX_TYPES}


def _withdrawn(call: Call, digests: list[Digest]) -> list[Digest]:
    """Those whose file is gone: a scrub found it damaged. Named as missing, so that the client sends them again."""
    return [digest for digest in digests if not call.services.blobs.has_blob(digest)]


def _write(
    call: Call, pushed: _Pushed, crc32: int, blobs: list[Digest], manifests: list[Digest], stays: tuple[str, ...]
) -> PutManifest:
    manifest = pushed.manifest
    row = ManifestRow(
        blob=BlobRow(digest=str(pushed.digest), size=len(pushed.body), crc32=crc32),
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=str(manifest.subject.digest) if manifest.subject else None,
        annotations=manifest.annotations,
    )
    return PutManifest(
        repository=call.name,
        manifest=row,
        at=call.services.now(),
        tags=pushed.tags,
        needs_blobs=tuple(map(str, blobs)),
        needs_manifests=tuple(map(str, manifests)),
        condition=_condition(call),
        keeps_released=call.keeps_released,
        stays=stays,
    )


def _condition(call: Call) -> Condition | None:
    match, none_match = (call.request.headers.get(name) for name in ("If-Match", "If-None-Match"))
    if match is None and none_match is None:
        return None
    return Condition(
        tag="" if ":" in call.target.reference else call.target.reference,
        match=None if match is None else etags(match),
        none_match=None if none_match is None else etags(none_match),
    )


def _created(call: Call, pushed: _Pushed) -> web.Response:
    response = web.Response(status=201)
    response.headers["Location"] = f"/v2/{call.name}/manifests/{pushed.digest}"
    response.headers["Docker-Content-Digest"] = str(pushed.digest)
    if pushed.manifest.subject is not None:
        response.headers["OCI-Subject"] = str(pushed.manifest.subject.digest)
    if ":" in call.target.reference:
        for tag in pushed.tags:
            response.headers.add("OCI-Tag", tag)
    return response
