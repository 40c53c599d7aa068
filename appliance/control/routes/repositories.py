"""/v1/repositories, /v1/artifact, /v1/sbom: what the station serves, for people to look at."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from appliance.api.content import (
    Artifact,
    Component,
    Components,
    Layer,
    Platform,
    Referrer,
    Repository,
    SbomRef,
    Tag,
    UntaggedManifest,
)
from appliance.control.api import Control, answer, get, page, page_of, require
from appliance.control.artifact_sizes import ArtifactSizes
from appliance.control.request_fields import query_number, query_text
from appliance.control.retired import retired_of
from appliance.control.threads import on_own_station
from appliance.control.visibility import shown_prefixes, shows
from appliance.lifecycle.untagged import ManifestReferences, Untagged, count, untagged
from appliance.limits import archives as archives_limits
from appliance.limits import sbom as sbom_limits
from appliance.station import Station
from appliance.store.reads.content import ManifestFacts, TagFacts
from appliance.store.reads.repositories import find_repositories
from bundles import limits
from bundles.errors import LockgateError, MalformedError, NotFoundError
from bundles.io import strict_json
from bundles.oci.digest import Digest
from bundles.oci.kinds import SBOM_TYPES, kind_of, kind_of_manifest
from bundles.oci.left_out import left_out_by
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference, check_repository, moved_tag

_REFERRERS: Final = 1000


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    metadata = control.station.metadata
    sizes = ArtifactSizes(control.station.blobs)

    names = ManifestReferences(control.station.blobs)

    async def repositories(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)
        entries = find_repositories(metadata.connection, limit, after, text, shows(request), shown_prefixes(request))
        counting = [entry.name for entry in entries]
        counts = await asyncio.to_thread(on_own_station, control.station, lambda own: _untagged(own, names, counting))
        found = [
            Repository(
                name=entry.name, tags=entry.tags, manifests=entry.manifests, bytes=entry.bytes,
                untagged=counts[entry.name], retired=retired_of(control.station, entry.name),
            )
            for entry in entries
        ]  # fmt: skip
        return page(found, limit, lambda entry: str(entry.name))

    async def without_tag(request: web.Request) -> web.Response:
        name = check_repository(request.match_info["name"])
        await require(request, "pull", name)
        if not metadata.repository_exists(name):
            raise NotFoundError("no such repository", thing=name, remedy="see: lockgate repo list")
        limit, after, _ = page_of(request)
        found = await asyncio.to_thread(on_own_station, control.station, lambda own: untagged(own, names, name))
        rows = sorted((one for one in found if one.shown.digest > after), key=lambda one: one.shown.digest)
        return page([_without_tag(one) for one in rows[:limit]], limit, lambda entry: str(entry.digest))

    async def tags(request: web.Request) -> web.Response:
        name = check_repository(request.match_info["name"])
        await require(request, "pull", name)
        if not metadata.repository_exists(name):
            raise NotFoundError("no such repository", thing=name, remedy="see: lockgate repo list")
        limit, after, text = page_of(request)
        found = metadata.tags(name, limit, after, text)
        described = await asyncio.to_thread(
            on_own_station, control.station, lambda own: [_tag(own, name, entry, sizes) for entry in found]
        )
        return page(described, limit, lambda entry: str(entry.tag))

    async def artifact(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        return answer(await asyncio.to_thread(_read, control, sizes, *_look_up(control, reference)))

    async def sbom(request: web.Request) -> web.Response:
        digest = Digest.parse(query_text(request, "digest"))
        limit, _, text = page_of(request)
        components = await asyncio.to_thread(_components, control, _sbom_of(control, digest, shows(request)))
        wanted = [entry for entry in components if text.lower() in f"{entry.name} {entry.version}".lower()]
        start = query_number(request, "after", 0)
        shown = wanted[start : start + limit]
        more = start + limit if start + limit < len(wanted) else None
        following = None if more is None else str(more)
        return answer(Components(items=tuple(shown), total=len(wanted), next=following))

    return [
        get("/v1/repositories", "pull", repositories),
        get("/v1/repositories/{name:.+}/tags", "pull", tags),
        get("/v1/repositories/{name:.+}/untagged", "pull", without_tag),
        get("/v1/artifact", "pull", artifact),
        get("/v1/sbom", "pull", sbom),
    ]


def _untagged(station: Station, names: ManifestReferences, repositories: list[str]) -> dict[str, int | None]:
    """How many manifests of each repository no tag leads to; None where one of them cannot be read."""
    counts: dict[str, int | None] = {}
    for name in repositories:
        counts[name] = None
        with contextlib.suppress(LockgateError):
            counts[name] = count(station, names, name)
    return counts


def _without_tag(one: Untagged) -> UntaggedManifest:
    shown = one.shown
    return UntaggedManifest(
        digest=shown.digest, kind=kind_of(shown.media_type, shown.artifact_type), media_type=shown.media_type,
        artifact_type=shown.artifact_type, size=shown.size, since=shown.since, kept=one.kept,
    )  # fmt: skip


def _look_up(
    control: Control, reference: Reference
) -> tuple[Reference, ManifestFacts, list[ManifestFacts], list[str], str, str | None]:
    metadata = control.station.metadata
    if reference.digest is not None:
        facts = metadata.linked_manifest(reference.repository, reference.digest)
    else:
        facts = metadata.tagged_manifest(reference.repository, reference.tag or "")
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    referrers = metadata.referrers(reference.repository, facts.digest, _REFERRERS)
    note = ""
    if reference.tag is not None and reference.digest is not None:
        there = metadata.tagged_manifest(reference.repository, reference.tag)
        note = moved_tag(reference, None if there is None else there.digest)
    tags, blocked = metadata.tags_of(reference.repository, facts.digest), metadata.blocked(facts.digest)
    return reference, facts, list(referrers), tags, note, blocked


def _tag(station: Station, repository: str, entry: TagFacts, sizes: ArtifactSizes) -> Tag:
    return Tag(
        tag=entry.tag,
        digest=str(entry.digest),
        media_type=entry.media_type,
        kind=kind_of(entry.media_type, entry.artifact_type),
        size=entry.size,
        total_size=sizes.of(entry.digest, entry.media_type, entry.size),
        updated=entry.updated,
        retired=retired_of(station, repository, entry.digest),
    )


def _read(
    control: Control,
    sizes: ArtifactSizes,
    reference: Reference,
    facts: ManifestFacts,
    referrers: list[ManifestFacts],
    tags: list[str],
    note: str,
    blocked: str | None,
) -> Artifact:
    """The artifact document (docs/reference/control-api.md, Artifact); reads blobs, so it runs in a thread."""
    raw = _blob(control, facts.digest, limits.OCI_MANIFEST)
    manifest = parse_manifest(raw, facts.media_type)
    left: dict[Digest, str] = {}
    for entry in referrers:
        left |= left_out_by(entry.artifact_type, entry.annotations)
    states: dict[Digest, str] = {}
    if manifest.manifests:
        states = on_own_station(control.station, lambda own: _states(own, reference.repository, manifest, left))
    config = None
    if (
        manifest.config is not None
        and manifest.config.media_type.endswith("json")
        and manifest.config.size < limits.MIB
    ):
        config = _shown_config(_blob(control, manifest.config.digest, limits.MIB))
    return Artifact(
        reference=str(reference),
        note=note,
        blocked=blocked,
        retired=on_own_station(control.station, lambda own: retired_of(own, reference.repository, facts.digest)),
        digest=str(facts.digest),
        media_type=facts.media_type,
        artifact_type=facts.artifact_type,
        kind=kind_of_manifest(manifest),
        size=facts.size,
        total_size=sizes.of(facts.digest, facts.media_type, facts.size),
        raw=raw.decode(),
        config=config,
        annotations=dict(manifest.annotations),
        platforms=tuple(
            Platform(
                platform=str(child.platform or ""),
                digest=str(child.digest),
                size=child.size,
                state=states[child.digest],
            )
            for child in manifest.manifests
        ),
        layers=tuple(
            Layer(media_type=layer.media_type, digest=str(layer.digest), size=layer.size) for layer in manifest.layers
        ),
        referrers=tuple(
            Referrer(
                digest=str(entry.digest),
                artifact_type=entry.artifact_type,
                kind=kind_of(entry.media_type, entry.artifact_type),
                size=entry.size,
                annotations=dict(entry.annotations),
            )
            for entry in referrers
        ),
        sboms=tuple(
            SbomRef(digest=str(entry.digest), subject=str(facts.digest))
            for entry in referrers
            if entry.artifact_type in SBOM_TYPES
        ),
        tags=tuple(tags),
    )


def _states(station: Station, repository: str, manifest: Manifest, left: Mapping[Digest, str]) -> dict[Digest, str]:
    """Whether each of what an index names is here. What it lists under another type than a manifest's is a blob."""
    states = {}
    for child in manifest.manifests:
        if child.media_type in MANIFEST_TYPES:
            is_here = station.metadata.linked_manifest(repository, child.digest) is not None
        else:
            is_here = station.metadata.linked_blob(repository, child.digest) is not None
        states[child.digest] = "here" if is_here else "left-out" if child.digest in left else "missing"
    return states


def _sbom_of(control: Control, digest: Digest, shown: Callable[[str], bool]) -> Digest:
    """The SBOM manifest that `digest` is, or that refers to it. Visible ones alone."""
    metadata = control.station.metadata
    for repository in filter(shown, metadata.shown_anywhere(digest, "manifest", -1)):
        facts = metadata.linked_manifest(repository, digest)
        if facts is not None and facts.artifact_type in SBOM_TYPES:
            return digest
        for referrer in metadata.referrers(repository, digest, _REFERRERS):
            if referrer.artifact_type in SBOM_TYPES:
                return referrer.digest
    raise NotFoundError("no SBOM", thing=str(digest), remedy="it is made when the image is built into a bundle")


def _shown_config(raw: bytes) -> Any:
    """An image's configuration to be shown, None where it is not one that can be read."""
    try:
        return strict_json.loads(
            raw, ceiling=limits.MIB, nodes=archives_limits.CONFIG_NODES, what="the configuration", floats=True
        )
    except MalformedError:
        return None


def _components(control: Control, sbom: Digest) -> list[Component]:
    """The components of a CycloneDX document (specification 1.6, components)."""
    manifest = parse_manifest(_blob(control, sbom, limits.OCI_MANIFEST))
    document = strict_json.loads(
        _blob(control, manifest.layers[0].digest, sbom_limits.SBOM_DOCUMENT),
        ceiling=sbom_limits.SBOM_DOCUMENT,
        nodes=sbom_limits.SBOM_NODES,
        what="the SBOM",
        floats=True,
    )
    return [
        Component(
            name=str(entry.get("name", "")),
            version=str(entry.get("version", "")),
            type=str(entry.get("type", "")),
            purl=str(entry.get("purl", "")),
            licenses=tuple(_licence(licence) for licence in _objects(entry, "licenses")),
        )
        for entry in _objects(document, "components")
    ]


def _objects(document: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list that a carried document may hold under `name`; whatever else stands there is left out."""
    found = document.get(name) if isinstance(document, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _licence(entry: dict[str, Any]) -> str:
    found = entry.get("license")
    inner = found if isinstance(found, dict) else {}
    return str(entry.get("expression") or inner.get("id") or inner.get("name") or "")


def _blob(control: Control, digest: Digest, most: int) -> bytes:
    with control.station.blobs.open_blob(digest) as file:
        return file.read(most)
