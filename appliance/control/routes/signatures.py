"""/v1/signatures: who signed an image, by the keys and roots that are pinned here; what a signer signs, and signatures
that signers hand in.

A signature is added where released content stands, too: it takes nothing from it. It is an act of whoever may sign, or
may push to the repository.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from appliance import clock
from appliance.api.signatures import (
    Attached,
    AttachedSignature,
    ImageSignature,
    Signable,
    Signatures,
    SignedImage,
    Subjects,
)
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recording_async
from appliance.control.api import Control, answer, audited, caller, get, may, post, require
from appliance.control.request_fields import Body, body_of, malformed, query_number, query_text
from appliance.control.threads import on_own_station
from appliance.control.waiting_turns import placing, turn
from appliance.image_signatures.attaching import (
    Attaching,
    Attachment,
    HandedIn,
    by_key_alone,
    event_of,
    write_of,
)
from appliance.image_signatures.search import Search
from appliance.image_signatures.states import Found, worst
from appliance.image_signatures.subjects import facts_of, subjects_of
from appliance.limits import image_signatures as limits
from appliance.settings.client_writes import ClientWrites
from appliance.station import Station
from bundles.errors import MalformedError, RefusedError
from bundles.image_signatures.making import Made
from bundles.image_signatures.pins import PURPOSE, Pins
from bundles.image_signatures.verdict import Refusal, Verdict
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, check_repository
from bundles.signing.keys import PublicKey


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def signatures(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        return answer(await asyncio.to_thread(on_own_station, control.station, lambda own: _look(own, reference)))

    async def subjects(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        recursive = query_number(request, "recursive", 0) > 0
        await require(request, "pull", reference.repository)
        found, absent = await asyncio.to_thread(
            on_own_station, control.station,
            lambda own: subjects_of(own.blobs, own.metadata, reference, recursive=recursive),
        )  # fmt: skip
        artifacts = (
            Signable(digest=str(one.digest), media_type=one.media_type, size=one.size, kind=one.kind,
                     platform=one.platform)
            for one in found
        )  # fmt: skip
        return answer(
            Subjects(
                reference=str(reference), repository=reference.repository, digest=str(found[0].digest),
                artifacts=tuple(artifacts), absent=tuple(map(str, absent)),
            )
        )  # fmt: skip

    signing = _Signing(control)
    return [
        get("/v1/signatures", "pull", signatures),
        get("/v1/signatures/subjects", "pull", subjects),
        post("/v1/signatures", "pull", signing.take),
    ]


@dataclass(frozen=True, slots=True)
class _Signing:
    control: Control

    async def take(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        name = check_repository(body.text("repository"))
        key, handed_in = _key(body), _handed_in(body)
        await require(request, "pull", name)
        await self._require_signer(request, name)
        thing = f"{name}@{handed_in[0].subject}"
        await audited(self.control, request, Act.SIGNATURE_ATTACH, thing, self._require_room())
        trust = await asyncio.to_thread(self.control.station.trust)
        pins = by_key_alone(key, self.control.station.config.site, clock.now())
        async with placing(self.control.station.blobs):
            placing_them = asyncio.to_thread(
                on_own_station, self.control.station,
                lambda own: Attaching(own.blobs, own.metadata, name, pins).attach(handed_in),
            )  # fmt: skip
            attached = await audited(self.control, request, Act.SIGNATURE_ATTACH, thing, placing_them)
            await self._show(caller(request), name, key, attached)
        record = trust.find(key.keyid)
        objection = None if record is None else record.objection(PURPOSE, pins.at)
        return answer(
            Attached(
                repository=name, keyid=key.keyid, fingerprint=key.fingerprint,
                owner="" if record is None else record.owner,
                objection=_objection(record is not None and record.revoked is not None, record is None, objection),
                reason=objection or "",
                signatures=tuple(_attached(one) for one in attached),
            ),
            status=201 if any(one.is_new for one in attached) else 200,
        )  # fmt: skip

    async def _require_signer(self, request: web.Request, name: str) -> None:
        """Go on only where the caller may sign, or may push to the repository as any client may.

        Raises RefusedError, and the refusal is an event."""
        if may(request, "sign"):
            return
        writes = ClientWrites.of(self.control.station.config)
        try:
            writes.require(name)
        except RefusedError:
            await require(request, "sign")
        if writes.keeps_released and self.control.station.metadata.holds_released(name):
            await require(request, "sign")
        await require(request, "push", name)

    async def _require_room(self) -> None:
        await asyncio.to_thread(self.control.station.blobs.require_room)

    async def _show(self, actor: str, name: str, key: PublicKey, attached: list[Attachment]) -> None:
        """Record each that is new, then show all of them in one transaction."""
        new = [one for one in attached if one.is_new]
        if not new:
            return
        write = write_of(name, new, clock.now())
        async with turn(self.control.station.blobs, write), AsyncExitStack() as recorded:
            for one in new:
                event = event_of(one, actor, name, key.keyid)
                await recorded.enter_async_context(recording_async(self.control.record, event))
            await self.control.writer.submit(write)


def _key(body: Body) -> PublicKey:
    """The signer's public key or root certificate in PEM. Raises UsageError."""
    try:
        return PublicKey.from_pem(body.text("public_key").encode())
    except MalformedError as error:
        raise malformed("public_key", error.what) from None


def _handed_in(body: Body) -> list[HandedIn]:
    """The documents. Raises UsageError."""
    listed = body["signatures"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= limits.SIGNED_IMAGES:
        raise malformed("signatures", f"a list of 1 to {limits.SIGNED_IMAGES}")
    if not all(isinstance(one, dict) for one in listed):
        raise malformed("signatures", "each is an object")
    return [
        HandedIn(
            Digest.parse(one.text("subject")),
            Made(one.text("media_type"), one.raw("document"), one.text("signature", "")),
        )
        for one in map(Body, listed)
    ]


def _objection(is_revoked: bool, is_unknown: bool, objection: str | None) -> str:
    """Why what is pinned here does not believe a key, as a code."""
    if is_unknown:
        return Refusal.UNKNOWN_KEY.value
    if objection is None:
        return ""
    return (Refusal.KEY_REVOKED if is_revoked else Refusal.KEY_NOT_VALID).value


def _attached(one: Attachment) -> AttachedSignature:
    return AttachedSignature(
        subject=str(one.subject),
        format=one.verdict.format.value,
        claim=one.verdict.claim.value,
        predicate_type=one.verdict.predicate_type,
        carrier=str(one.carrier),
        tag="" if one.tag is None else one.tag.tag,
        is_new=one.is_new,
    )


def _look(station: Station, reference: Reference) -> Signatures:
    metadata = station.metadata
    facts = facts_of(metadata, reference)
    pins = Pins.of(station.trust(), clock.now())
    found = Search(station.blobs, metadata, reference.repository, pins).all_of(facts)
    return Signatures(
        reference=str(reference),
        digest=str(facts.digest),
        state=worst(found),
        images=tuple(map(_image, found)),
    )


def _image(found: Found) -> SignedImage:
    return SignedImage(
        digest=str(found.digest),
        kind=found.kind,
        platform=found.platform,
        state=found.state,
        signed_by=tuple(found.signed_by),
        through="" if found.through is None else str(found.through),
        signatures=tuple(map(_signature, found.verdicts)),
    )


def _signature(verdict: Verdict) -> ImageSignature:
    return ImageSignature(
        format=verdict.format.value,
        claim=verdict.claim.value,
        carrier=str(verdict.carrier),
        tag=verdict.tag,
        verified=verdict.verified,
        owner=verdict.owner,
        keyid=verdict.keyid,
        fingerprint=verdict.fingerprint,
        identity=verdict.identity,
        predicate_type=verdict.predicate_type,
        predicate=verdict.predicate,
        signed_at=verdict.signed_at,
        annotations=dict(verdict.annotations),
        builder=verdict.builder,
        sources=verdict.sources,
        refusal="" if verdict.refusal is None else verdict.refusal.value,
        reason=verdict.reason,
    )
