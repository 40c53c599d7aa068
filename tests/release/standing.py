"""A closed station's stream of seven bundles, deltas among them, and what clients do between their releases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteBlob, LinkBlob, PutManifest, PutTag
from bundles import build
from bundles.format.manifest import Artifact, Required
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey
from tests.bundles.small import MemoryStore, manifest_of, sign
from tests.intake.inside import Inside

REPOSITORY = "team/arm"


CONFIG = "application/vnd.oci.image.config.v1+json"


LAYER = "application/vnd.oci.image.layer.v1.tar"


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


@dataclass(frozen=True)
class Image:
    """An image, or an index above some."""

    name: str
    raw: bytes = field(repr=False)
    blobs: tuple[bytes, ...] = field(default=(), repr=False)
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        return str(Digest.of(self.raw))

    @property
    def named(self) -> set[str]:
        return {str(Digest.of(blob)) for blob in self.blobs}

    @property
    def media_type(self) -> str:
        return OCI_INDEX if self.children else OCI_MANIFEST

    def whole(self) -> list[bytes]:
        return [*self.blobs, self.raw]


def image(name: str, *layers: bytes) -> Image:
    config = canonical({"architecture": "arm64", "os": "linux", "name": name})
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
    }  # fmt: skip
    return Image(name, canonical(manifest), (config, *layers))


def index(*children: Image) -> Image:
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [descriptor(child.raw, OCI_MANIFEST) for child in children],
    }  # fmt: skip
    return Image("index", canonical(manifest), (), children)


BASE, SHARED, OWN, NEXT, EXTRA, MORE = (
    bytes(8) + name for name in (b"base", b"shared", b"own", b"next", b"extra", b"more")
)


ONE, TWO, THREE = image("one", BASE), image("two", BASE, SHARED), image("three", BASE, NEXT)


BOTH = index(ONE, TWO)


PUSHED = image("pushed", OWN)


FOUR, FIVE = image("four", EXTRA), image("five", EXTRA, MORE)


EVERY = {one.digest: one for one in (ONE, TWO, THREE, BOTH, PUSHED, FOUR, FIVE)}


BUNDLES: dict[int, dict[Image, tuple[str, ...]]] = {
    1: {ONE: ("1",), TWO: ("2",)},
    2: {ONE: ("1", "latest")},
    3: {THREE: ("1",)},
    4: {BOTH: ("latest",), ONE: (), TWO: ("2",)},
    5: {TWO: ("1", "latest")},
    6: {FOUR: ("4",)},
    7: {FIVE: ("latest",), THREE: ()},
}


DELTAS = {3: (BASE,), 5: (BASE, SHARED), 7: (EXTRA, BASE)}


def bundle(root: Path, number: int, previous: str | None, key: PrivateKey) -> build.Signed:
    """Bundle `number` of the stream, on one medium."""
    store, required = MemoryStore(), DELTAS.get(number, ())
    for one in BUNDLES[number]:
        for data in one.whole():
            if data not in required:
                store.add(data)
    artifacts = [
        Artifact(
            repository=REPOSITORY, digest=one.digest, mediaType=one.media_type,
            kind="index" if one.children else "image", size=len(one.raw), tags=sorted(tags),
        )
        for one, tags in BUNDLES[number].items()
    ]  # fmt: skip
    content = build.Content(
        sorted(artifacts, key=lambda artifact: artifact.digest),
        [(digest, len(data)) for digest, data in store.blobs.items()],
        requires=sorted(
            (Required(digest=str(Digest.of(data)), size=len(data)) for data in required), key=lambda one: one.digest
        ),
    )
    laid_out = build.lay_out(content, build.plan_volumes(content, 2_000_000, [None]), store, no_progress)
    manifest = manifest_of(
        content, laid_out, [key.public.keyid], sequence=number, previous=previous, created=clock.now(),
        not_after=clock.after(24 * 3600),
    )  # fmt: skip
    signed = sign(manifest, [key])
    root.mkdir()
    build.write(signed, store, [root], no_progress)
    return signed


Released = Callable[..., Inside]


def tags(inside: Inside) -> dict[str, str]:
    return {row[1]: EVERY[row[2]].name for row in inside.visible()["tags"]}


def blobs(inside: Inside) -> set[str]:
    return {row[1] for row in inside.visible()["links"] if row[2] == "blob"}


def put_tag(inside: Inside, tag: str, one: Image) -> None:
    inside.writer.submit(PutTag(repository=REPOSITORY, tag=tag, digest=one.digest, at=clock.now()))


def record(inside: Inside, act: str, digest: str, **detail: object) -> None:
    inside.station.audit.record(AuditEvent(act, "tester(0)", f"{REPOSITORY}@{digest}", "done", detail))


def delete_blob(inside: Inside, digest: str) -> None:
    record(inside, "delete-blob", digest)
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=digest))


def push(inside: Inside, one: Image, mounted: Mapping[str, str] = MappingProxyType({})) -> None:
    """A client pushes an image, and mounts those of its blobs that `mounted` names from another repository."""
    for data in one.blobs:
        row = BlobRow(digest=str(Digest.of(data)), size=len(data), crc32=0)
        if row.digest in mounted:
            record(inside, "mount-blob", row.digest, source=mounted[row.digest])
        else:
            record(inside, "push-blob", row.digest)
        inside.writer.submit(LinkBlob(repository=REPOSITORY, blob=row, at=clock.now()))
    shown = ManifestRow(blob=BlobRow(digest=one.digest, size=len(one.raw), crc32=0), media_type=one.media_type)
    record(inside, "push-manifest", one.digest, tags="mine")
    inside.writer.submit(PutManifest(repository=REPOSITORY, manifest=shown, at=clock.now(), tags=("mine",)))


def show_by_hand(inside: Inside, digest: str, kind: str = "blob") -> None:
    """A row of `links`, by whoever has the database's file."""
    number = inside.station.reader.execute("SELECT id FROM repositories WHERE name = ?", (REPOSITORY,)).fetchone()[0]
    with closing(sqlite3.connect(inside.station.paths.database)) as database:
        row = (number, digest, kind, clock.now())
        database.execute("INSERT INTO links (repository_id, digest, kind, created) VALUES (?, ?, ?, ?)", row)
        database.commit()
