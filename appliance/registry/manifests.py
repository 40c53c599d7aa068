"""end-3 and end-9: manifests read by tag or digest, and taken away (specification: Pulling manifests, Deleting tags,
Deleting Manifests)."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.registry import cached, cached_evidence, errors
from appliance.registry.call import Call
from appliance.registry.conditional import etag, matches
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.manifest_cache import Known, RottedError, known
from appliance.registry.watch import phase
from appliance.store.reads.content import ManifestFacts
from appliance.store.rows import WrongRowError
from appliance.store.writes.registry import ClientWrite, DeleteManifest, DeleteTag
from bundles.errors import LockgateError, MalformedError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.reference import check_tag

_log: Final = logging.getLogger(__name__)


def parse_reference(reference: str) -> Digest | str:
    """A digest where there is a colon, else a tag; both valid. Raises RefusedRequestError, 400."""
    if ":" in reference:
        try:
            return Digest.parse(reference)
        except MalformedError as error:
            raise RefusedRequestError(errors.digest_invalid(error)) from None
    try:
        return check_tag(reference)
    except MalformedError:
        raise RefusedRequestError(errors.tag_invalid(reference)) from None


async def get_manifest(call: Call) -> web.StreamResponse | WireError:
    """GET: the stored bytes under their own type, whatever `Accept` says: nothing is ever converted.

    304 for a known digest, 403 where it is blocked or not signed as it should be, 404 where the repository does not
    show it.
    """
    call.require("pull")
    facts, said = _find(call), dict[str, str]()
    if call.is_cached:
        facts, said = await cached.manifest(call, facts, _find)
    if facts is None:
        return await _unknown(call)
    call.refuse_blocked(facts.digest)
    headers = _headers(facts) | said | await _held(call, facts)
    if matches(call.request.headers.get("If-None-Match"), facts.digest):
        return web.Response(status=304, headers=headers)
    found = await bytes_of(call, facts.digest)
    if found is None:
        return call.damaged(facts.digest, "manifest")
    await call.pulled(facts.digest)
    content_type = found.media_type or facts.media_type
    return web.Response(body=found.body, headers=headers, content_type=content_type)


async def head_manifest(call: Call) -> web.StreamResponse | WireError:
    """HEAD: 200 with the headers of a GET, or 404."""
    call.require("pull")
    try:
        facts = _find(call)
    except WrongRowError as error:
        if ":" not in call.target.reference:
            raise  # a tag's digest is what clients begin a pull with
        return await call.hurt(error, call.digest, "manifest")
    said = dict[str, str]()
    if call.is_cached:
        facts, said = await cached.manifest(call, facts, _find)
    if facts is None:
        return await _unknown(call)
    call.refuse_blocked(facts.digest)
    headers = _headers(facts) | said | await _held(call, facts)
    if matches(call.request.headers.get("If-None-Match"), facts.digest):
        return web.Response(status=304, headers=headers)
    found = await bytes_of(call, facts.digest)
    if found is None:
        return call.damaged(facts.digest, "manifest")
    headers |= {"Content-Length": str(len(found.body))}
    return web.Response(headers=headers, content_type=found.media_type or facts.media_type)


async def _unknown(call: Call) -> WireError:
    if ":" in call.target.reference and not call.is_cached:
        collected = await call.unknown(call.digest, "manifest")
        if collected is not None:
            return collected
        platform = await call.worker.in_thread(call.left_out, call.digest)
        if platform is not None:
            return errors.left_out(platform, call.digest)
    return errors.manifest_unknown(call.target.reference)


async def _held(call: Call, facts: ManifestFacts) -> dict[str, str]:
    """As Call.refuse_unsigned; in a cache what there is to be judged is fetched first."""
    if not call.is_cached or call.services.pull_policy.is_idle():
        return await call.refuse_unsigned(facts.digest, "manifest")
    await cached_evidence.complete(call, facts, bytes_of)
    try:
        return await call.refuse_unsigned(facts.digest, "manifest")
    except RefusedRequestError:
        if not await cached_evidence.bring(call, facts.digest, bytes_of):
            raise
    return await call.refuse_unsigned(facts.digest, "manifest")


async def bytes_of(call: Call, digest: Digest) -> Known | None:
    """A manifest's bytes and the type that follows from them, for HEAD as for GET; None where its file is gone, or has
    rotted and is withdrawn now. Raises UnreadableError."""
    worker = call.worker
    kept = worker.manifests.get(digest)
    worker.measures.manifest_read(kept is not None)
    if kept is not None:
        return kept
    try:
        with phase(call.request, "read"):
            found = await worker.in_thread(lambda: known(worker.manifests.read(digest)))
    except NotFoundError:
        await worker.note_unread(digest, "its file is missing")
        return None
    except RottedError as rotted:
        try:
            await worker.withdraw(digest, rotted.version)
        except LockgateError as error:
            _log.error("manifest %s is damaged and could not be withdrawn: %s", digest, error)
        return None
    worker.manifests.add(digest, found)
    return found


async def delete_manifest(call: Call) -> web.StreamResponse | WireError:
    """DELETE: by tag the tag goes, by digest the manifest and every tag on it: 202, and 404 in the next request."""
    await call.require_write("delete")
    reference = parse_reference(call.target.reference)
    try:
        if _find(call) is None:
            return errors.manifest_unknown(call.target.reference)
    except WrongRowError as error:
        if error.rows == "database":
            raise
        # Taking a damaged row away is what puts it right.
    keeps = call.keeps_released
    if isinstance(reference, Digest):
        write: ClientWrite = DeleteManifest(repository=call.name, digest=str(reference), keeps_released=keeps)
        deleted = await call.write(write, Act.DELETE_MANIFEST, f"{call.name}@{reference}")
    else:
        write = DeleteTag(repository=call.name, tag=reference, keeps_released=keeps)
        deleted = await call.write(write, Act.DELETE_TAG, f"{call.name}:{reference}")
    return web.Response(status=202) if deleted else errors.manifest_unknown(call.target.reference)


def _find(call: Call) -> ManifestFacts | None:
    """What the path names. What can be no tag points at nothing: a reader is told 404, as of any other (the
    specification's own suite asks for such a one); who pushes or deletes it is told what is wrong with it."""
    try:
        reference = parse_reference(call.target.reference)
    except RefusedRequestError as refusal:
        if refusal.error.code == "TAG_INVALID":
            return None
        raise
    if isinstance(reference, Digest):
        return call.services.metadata.linked_manifest(call.name, reference)
    return call.services.metadata.tagged_manifest(call.name, reference)


def _headers(facts: ManifestFacts) -> dict[str, str]:
    return {"Docker-Content-Digest": str(facts.digest), "ETag": etag(facts.digest)}
