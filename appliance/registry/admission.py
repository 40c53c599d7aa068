"""Admission webhooks: whether a cluster may run what a workload names (docs/adr/0066-at-the-cluster.md).

`POST /admission/validate` and `/admission/resolve` take an AdmissionReview, `/admission/images` an ImageReview. An
image is let in where the account that asks could pull it now: by its digest, shown, not blocked, and as the policy
wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from appliance.admission import review
from appliance.admission.images import artifact_of
from appliance.admission.review import Named, Review
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.limits import admission as limits
from appliance.registry.block_check import require_none_blocked
from appliance.registry.call import Call
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.services import ACTOR, OpenAccess
from appliance.store.writes.workloads import SawWorkloads, WorkloadRow
from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.io.display import safe
from bundles.oci.reference import Reference


@dataclass(slots=True)
class _Verdict:
    """What stands against a workload, a line an image, and what is only warned of."""

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def review_workload(call: Call) -> web.StreamResponse | WireError:
    """200 with the review's answer, which says whether, and why not; 400 for what is no review, 401 without an account,
    413 for one that is too large."""
    _refuse_anonymous(call)
    raw, is_images = await _body(call), call.target.reference == "images"
    try:
        asked = review.read_image_review(raw) if is_images else review.read_review(raw)
    except RefusedError as error:
        await _record(call, error.thing, [error.what])
        return web.json_response(review.answer(review.uid_of(error), [f"{error.what} ({error.thing}); {error.remedy}"]))
    except MalformedError as error:
        return WireError(400, "UNSUPPORTED", error.what, error.thing)
    if call.target.reference == "resolve":
        return web.json_response(review.patched(asked.uid, _resolved(call, asked)))
    verdict = await _judge(call, asked.images)
    if verdict.refusals:
        await _record(call, asked.thing, verdict.refusals)
    elif not asked.is_trial:
        _remember(call, asked)
    if is_images:
        return web.json_response(review.image_answer(verdict.refusals))
    return web.json_response(review.answer(asked.uid, verdict.refusals, verdict.warnings))


def _refuse_anonymous(call: Call) -> None:
    if ACTOR not in call.request and not isinstance(call.services.access, OpenAccess):
        said = "reviews are answered to accounts alone: give the API server a robot's name and secret"
        refused = WireError(401, "UNAUTHORIZED", said).with_headers(WWW_Authenticate='Basic realm="lockgate"')
        raise RefusedRequestError(refused)


async def _body(call: Call) -> bytes:
    raw = bytearray()
    async for piece in call.request.content.iter_any():
        raw += piece
        if len(raw) > limits.ADMISSION_REVIEW:
            said = f"a review of more than {limits.ADMISSION_REVIEW} bytes"
            raise RefusedRequestError(WireError(413, "SIZE_INVALID", said))
    return bytes(raw)


async def _judge(call: Call, images: Sequence[Named]) -> _Verdict:
    verdict = _Verdict()
    for image in dict.fromkeys(one.image for one in images):
        try:
            warning = await _admit(call, image)
        except LockgateError as error:  # what cannot be found out is not let in
            said = f"{error.what}; {error.remedy}" if error.remedy else error.what
            verdict.refusals.append(safe(f"{image}: {said}"))
        else:
            verdict.warnings += [safe(f"{image}: {warning}")] if warning else []
    return verdict


async def _admit(call: Call, image: str) -> str:
    """What the policy warns of, "" for nothing. Raises RefusedError saying why an image is not let in."""
    found = artifact_of(image, call.services.settings.admission)
    repository, digest = found.repository, found.digest
    if not call.may("pull", repository):
        raise RefusedError(
            "the account that asks may not pull it", remedy=f"lockgate role grant NAME reader --on {repository}"
        )
    if digest is None:
        raise RefusedError("it is named by a tag, which can move", remedy=_by_digest(call, found))
    if call.services.metadata.linked_manifest(repository, digest) is None:
        raise RefusedError("the station does not show it", remedy="bring it in and release it first")
    if (why := call.services.metadata.blocked(digest)) is not None:
        raise RefusedError(f"it is blocked: {why}", remedy="run another digest")
    # A node may hold a part from before it was blocked, and would ask the station for nothing.
    await require_none_blocked(call, repository, digest)
    objection = await call.services.pull_policy.objection(repository, digest, "manifest")
    if objection is not None and objection.enforced:
        raise RefusedError(objection.what, remedy=objection.asks)
    return "" if objection is None else objection.what


def _by_digest(call: Call, found: Reference) -> str:
    stands = _tagged(call, found)
    return f"write @{stands} in its place" if stands else "the station does not show that tag"


def _tagged(call: Call, found: Reference) -> str:
    """The digest that a tag names now, "" for none that is shown to the caller."""
    if not call.may("pull", found.repository):
        return ""
    facts = call.services.metadata.tagged_manifest(found.repository, found.tag or "")
    return "" if facts is None else str(facts.digest)


def _resolved(call: Call, asked: Review) -> list[tuple[Named, str]]:
    """The images that are named by a tag of this station, each by its digest; of others nothing is said."""
    changed = list[tuple[Named, str]]()
    for one in asked.images:
        try:
            found = artifact_of(one.image, call.services.settings.admission)
        except RefusedError:
            continue
        if found.digest is None and (digest := _tagged(call, found)):
            changed.append((one, f"{one.image}@{digest}"))
    return changed


def _remember(call: Call, asked: Review) -> None:
    """Have it remembered what a cluster was told that it may run: a recall names it."""
    cluster, registries = call.request.get(ACTOR, "anonymous"), call.services.settings.admission
    found = {artifact_of(one.image, registries) for one in asked.images}
    rows = tuple(
        WorkloadRow(
            cluster=cluster, namespace=safe(asked.namespace), workload=safe(asked.workload), repository=one.repository,
            digest=str(one.digest),
        )
        for one in sorted(found, key=str)[: limits.ADMISSION_REMEMBERED]
    )  # fmt: skip
    if rows:
        thing = f"{cluster} {asked.thing} {','.join(row.digest for row in rows)}"
        call.worker.note_soon(SawWorkloads(rows=rows, at=call.services.now()), thing)


async def _record(call: Call, thing: str, refusals: Sequence[str]) -> None:
    """Say in the audit log what was refused."""
    actor = call.request.get(ACTOR, "anonymous")
    detail = {"admission": list(refusals)[: limits.ADMISSION_NAMED]}
    await call.worker.record(AuditEvent(Act.REGISTRY_REFUSE, actor, safe(thing), "refused", detail))
