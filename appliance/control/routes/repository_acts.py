"""/v1/repositories and /v1/copies: tags and manifests deleted, and artifacts shown in another repository, too.

What a client of the registry may not do, nobody does here: the same roles, the same rule of config.toml, and never in
a repository that holds released content. Each deletion and each link is an event of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from appliance import clock
from appliance.api.content import Copied, Deleted, DeletedTag, MovedTag
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording_async
from appliance.control.api import Control, act, answer, audited, caller, may, post, require
from appliance.control.request_fields import body_of, malformed
from appliance.control.threads import on_own_station
from appliance.control.waiting_turns import turn
from appliance.image_signatures.judge import Judge
from appliance.image_signatures.naming import Remembered
from appliance.image_signatures.policy_in_force import PolicyInForce, look
from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import registry as limits
from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.patterns import covers
from appliance.settings.client_writes import ClientWrites
from appliance.settings.gates import Stage, require_entry, staying
from appliance.station import Station
from appliance.store.writes.copies import CopyArtifacts, Item
from appliance.store.writes.registry import DeleteManifest, DeleteTag, holds_released
from appliance.store.writes.rows import Kind
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, check_repository, check_tag_pattern


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a copy shows: the root, and each digest by whether the target shows it already."""

    digest: Digest
    links: Sequence[Item]
    present: Sequence[Item]
    tags: Sequence[tuple[str, str]]


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    acts = _Acts(control)
    return [
        post("/v1/repositories/{name:.+}/delete", "delete", acts.delete),
        post("/v1/copies", "pull", acts.copy),
    ]


@dataclass(frozen=True, slots=True)
class _Acts:
    control: Control

    @property
    def writes(self) -> ClientWrites:
        """What the station lets clients write to."""
        return ClientWrites.of(self.control.station.config)

    async def _allow(self, repository: str, *, takes_away: bool = False) -> Stage | None:
        """Go on only where clients may write to the repository, or take away from it; the stage that it is of. Raises
        RefusedError."""
        self.writes.require(repository, takes_away=takes_away)
        if self.writes.keeps_released and self.control.station.metadata.holds_released(repository):
            raise holds_released(repository, takes_away=takes_away)
        stage = (await self._standing()).stage(repository)
        require_entry(stage, repository, takes_away=takes_away)
        return stage

    async def _standing(self) -> PolicyInForce:
        """What the policy for images says now."""
        return await asyncio.to_thread(look, self.control.station.paths, self.control.policy)

    def _said(self, **detail: object) -> dict[str, object]:
        """What an event says besides: such an act cannot have happened where released content stands."""
        return detail | ({"keeps_released": True} if self.writes.keeps_released else {})

    async def delete(self, request: web.Request) -> web.Response:
        name = check_repository(request.match_info["name"])
        body = await body_of(request)
        await require(request, "delete", name)
        await audited(self.control, request, Act.DELETE_TAG, name, self._allow(name, takes_away=True))
        if not self.control.station.metadata.repository_exists(name):
            raise NotFoundError("no such repository", thing=name, remedy="see: lockgate repo list")
        dry_run = body.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise malformed("dry_run", "it is true or false")
        if "digest" in body:
            items = await self._delete_manifest(request, name, Digest.parse(body.text("digest")), dry_run=dry_run)
            return answer(Deleted(items=tuple(items), dry_run=dry_run))
        pattern = check_tag_pattern(body.text("tags"))
        after = body.text("after", "")
        looking = asyncio.to_thread(
            on_own_station, self.control.station, lambda own: _matching(own, name, pattern, after)
        )
        found, more = await looking
        gone = found if dry_run else [one for one in found if await self._delete_tag(request, name, str(one.tag))]
        return answer(Deleted(items=tuple(gone), next=more, dry_run=dry_run))

    async def _delete_tag(self, request: web.Request, name: str, tag: str) -> bool:
        event = AuditEvent(Act.DELETE_TAG, caller(request), f"{name}:{tag}", "done", self._said())
        return await self._happened(
            event, DeleteTag(repository=name, tag=tag, keeps_released=self.writes.keeps_released)
        )

    async def _delete_manifest(
        self, request: web.Request, name: str, digest: Digest, *, dry_run: bool
    ) -> list[DeletedTag]:
        if self.control.station.metadata.linked_manifest(name, digest) is None:
            raise NotFoundError("no such artifact", thing=f"{name}@{digest}", remedy="see: lockgate repo list")
        tags = self.control.station.metadata.tags_of(name, digest)
        items = [DeletedTag(tag=tag, digest=str(digest)) for tag in tags]
        if not dry_run:
            event = AuditEvent(Act.DELETE_MANIFEST, caller(request), f"{name}@{digest}", "done", self._said())
            keeps = self.writes.keeps_released
            if not await self._happened(
                event, DeleteManifest(repository=name, digest=str(digest), keeps_released=keeps)
            ):
                raise NotFoundError(
                    "it is not shown any more", thing=f"{name}@{digest}", remedy="see: lockgate repo list"
                )
        return [*items, DeletedTag(tag=None, digest=str(digest))]

    async def _happened(self, event: AuditEvent, write: DeleteTag | DeleteManifest) -> bool:
        """Do it; whether there was something to delete. Where there was not, the event is taken back."""
        async with turn(self.control.station.blobs, write):
            if await act(self.control, event, write):
                return True
            nothing = FailedError(
                "nothing was changed: something else changed meanwhile", remedy="look again, then run it again"
            )
            await self.control.record(refusal(event.act, event.actor, event.thing, nothing, recorded=True))
            return False

    async def copy(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        source = Reference.parse(body.text("source"))
        target = _target(body.text("target"), source)
        await require(request, "pull", source.repository)
        await require(request, "push", target.repository)
        stage = await audited(self.control, request, Act.COPY_MANIFEST, str(target), self._allow(target.repository))
        held = None if may(request, "push", source.repository) else await self._standing()
        reading = asyncio.to_thread(on_own_station, self.control.station, lambda own: _look(own, source, target, held))
        copied: _Copied = await audited(self.control, request, Act.COPY_MANIFEST, str(target), reading)
        stays = staying(stage, [tag for tag, _ in copied.tags])
        moved = await self._make(caller(request), source.repository, target.repository, copied, stays)
        manifests = sum(kind == "manifest" for _, kind in (*copied.links, *copied.present))
        made = Copied(
            reference=str(target),
            digest=str(copied.digest),
            manifests=manifests,
            blobs=len(copied.links) + len(copied.present) - manifests,
            linked=len(copied.links),
            moved=tuple(MovedTag(tag=tag, digest=digest) for tag, digest in moved),
        )
        return answer(made, status=201)

    async def _make(
        self, actor: str, source: str, target: str, copied: _Copied, stays: tuple[str, ...]
    ) -> list[list[str]]:
        """Record each link, and each tag with the manifest that it is set to, then make all of them in one transaction.
        Each is explained where its source's link is (appliance.release_check.log_record)."""
        tagged: dict[str, list[str]] = {}
        for tag, digest in copied.tags:
            tagged.setdefault(digest, []).append(tag)
        write = CopyArtifacts(
            repository=target, source=source, links=tuple(copied.links), present=tuple(copied.present),
            tags=tuple(copied.tags), at=clock.now(), keeps_released=self.writes.keeps_released,
            stays=stays,
        )  # fmt: skip
        new = dict(copied.links)
        async with turn(self.control.station.blobs, write), AsyncExitStack() as recorded:
            for digest, kind in (*copied.links, *((digest, "manifest") for digest in tagged if digest not in new)):
                named = {"tags": " ".join(tagged[digest])} if digest in tagged else {}
                made = Act.MOUNT_BLOB if kind == "blob" else Act.COPY_MANIFEST
                event = AuditEvent(made, actor, f"{target}@{digest}", "done", self._said(source=source, **named))
                await recorded.enter_async_context(recording_async(self.control.record, event))
            moved: list[list[str]] = await self.control.writer.submit(write)
        return moved


def _target(text: str, source: Reference) -> Reference:
    """Where a copy goes: `REPO:TAG`, or REPO with the source's tag or digest. Raises MalformedError, UsageError."""
    if "@" in text:
        raise UsageError("a copy keeps its digest", thing=text[:280], remedy="write REPO or REPO:TAG")
    if ":" in text:
        return Reference.parse(text)
    return Reference(text, source.tag, source.digest)


def _matching(station: Station, name: str, pattern: str, after: str) -> tuple[list[DeletedTag], str | None]:
    """Tags behind `after` that a pattern covers, `limits.TAGS_DELETED` at most, and where to go on."""
    found: list[DeletedTag] = []
    while page := station.metadata.tags(name, lifecycle_limits.GC_PAGE, after):
        for one in page:
            after = one.tag
            if covers(pattern, one.tag):
                found.append(DeletedTag(tag=one.tag, digest=str(one.digest)))
                if len(found) == limits.TAGS_DELETED:
                    return found, after
    return found, None


def _look(station: Station, source: Reference, target: Reference, held: PolicyInForce | None) -> _Copied:
    """What a reference reaches, with what speaks about it: SBOMs, signatures, attestations. Blocking. All of it must
    pass as at a pull by what stands in `held`, None for who may push at the source.

    Raises NotFoundError for one that is not shown, FailedError where it is not whole, RefusedError where people have
    blocked something of it, or the policy for images holds it back.
    """
    content = closure_of([source], StationContent(station.blobs, station.metadata)).content
    manifests = {artifact.digest for artifact in content.artifacts}
    items: list[Item] = [(digest, "manifest") for digest in sorted(manifests)]
    items += [(str(digest), "blob") for digest, _ in content.blobs if str(digest) not in manifests]
    if len(items) > limits.COPY_LINKS:
        raise RefusedError(
            "it reaches too much to be copied",
            thing=str(source),
            remedy=f"at most {limits.COPY_LINKS} manifests and blobs",
        )
    if held is not None:
        _require_pulled(station, source.repository, items, held)
    absent = _absent(station, target.repository, items)
    root = source.digest
    if root is None:
        facts = station.metadata.tagged_manifest(source.repository, source.tag or "")
        if facts is None:
            raise NotFoundError("no such artifact", thing=str(source), remedy="see: lockgate repo list")
        root = facts.digest
    evidence = {tag: one.digest for one in content.artifacts for tag in one.tags if tag != source.tag}
    tags = evidence | ({target.tag: str(root)} if target.tag is not None else {})
    return _Copied(
        root, [one for one in items if one in absent], [one for one in items if one not in absent], list(tags.items())
    )


def _require_pulled(station: Station, repository: str, items: Sequence[Item], standing: PolicyInForce) -> None:
    """Go on only where each of these would be given out by a pull, else a copy is a pull around the policy. Raises
    RefusedError."""
    if standing.fault:
        raise RefusedError(
            f"it is not known what the policy for images says ({standing.fault})", thing=repository,
            remedy="see: lockgate policy explain", code="image-policy",
        )  # fmt: skip
    if not standing.asks(repository):
        return
    judge = Judge(standing, Remembered())
    for digest, kind in items:
        found = judge.verdict(station.blobs, station.metadata, repository, Digest.parse(digest), kind).objection
        if found is not None and found.enforced:
            raise RefusedError(
                found.what, thing=f"{repository}@{digest}", remedy=found.asks or "see: lockgate policy explain",
                code="policy-gate" if found.by == "gate" else "image-policy",
            )  # fmt: skip


def _absent(station: Station, repository: str, items: Sequence[Item]) -> set[Item]:
    found: set[Item] = set()
    kinds: tuple[Kind, ...] = ("manifest", "blob")
    for kind in kinds:
        digests = [Digest.parse(digest) for digest, each in items if each == kind]
        found |= {(str(digest), kind) for digest in station.metadata.unlinked(repository, digests, kind)}
    return found
