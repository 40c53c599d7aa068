"""A bundle with every type of artifact that stock tools take differently: Docker's, OCI's, and what has no tag."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bundles import build
from bundles.format.manifest import Artifact
from bundles.oci.digest import Digest
from bundles.oci.manifest import DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, create_private
from tests.bundles.small import MemoryStore, content_of, manifest_of, sign
from tests.peers.stock import Layout

LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def read(layout: Layout, described: Mapping[str, Any]) -> Any:
    """A document of the layout."""
    return json.loads((layout.folder / "blobs" / str(described["digest"]).replace(":", "/")).read_bytes())


def in_dockers_types(layout: Layout, image: Mapping[str, Any]) -> dict[str, Any]:
    """The same image as Docker Image Manifest V2, Schema 2."""
    document = read(layout, image)
    document["mediaType"] = DOCKER_MANIFEST
    document["config"]["mediaType"] = DOCKER_CONFIG
    for layer in document["layers"]:
        layer["mediaType"] = LAYER
    described = layout.blob(json.dumps(document).encode(), DOCKER_MANIFEST)
    return described | {"platform": image["platform"]}


def docker_list(layout: Layout, images: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fields = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": list(images)}
    return layout.blob(json.dumps(fields).encode(), DOCKER_LIST)


def referrer(layout: Layout, subject: Mapping[str, Any]) -> dict[str, Any]:
    """An artifact that refers to `subject`, as an SBOM does."""
    document = read(layout, layout.artifact({"sbom": b"{}"}))
    document["subject"] = {key: subject[key] for key in ("mediaType", "digest", "size")}
    return layout.blob(json.dumps(document).encode(), OCI_MANIFEST)


class TypedBundle:
    """What `docker save` pushed through skopeo gives, beside OCI's types; some blobs in parts, some in sha512."""

    def __init__(self, root: Path, key: PrivateKey | None = None, **changes: Any) -> None:
        layout = Layout(root / "source")
        images = [layout.image({"etc/arch": arch.encode() * 700_000}, arch) for arch in ("amd64", "arm64")]
        dockers = [in_dockers_types(layout, image) for image in images]
        self.tagged = {
            "team/app:1": images[0],
            "team/both:1": layout.index(images),
            "team/docker:1": dockers[0],
            "team/docker:stable": dockers[0],
            "team/list:1": docker_list(layout, dockers),
            "team/mixed:1": layout.index([images[0], dockers[1]]),
            "files/thing:1": layout.artifact({"thing": bytes(range(256)) * 6_000}),
        }
        self.untagged = {"team/app": referrer(layout, images[0])}
        self.children = {"team/both": images, "team/list": dockers, "team/mixed": [images[0], dockers[1]]}
        self.layout = layout
        self.store = MemoryStore()
        for path in sorted((layout.folder / "blobs/sha256").iterdir()):
            self.store.add(path.read_bytes())
        self.store.add(b"named by sha512", "sha512")
        self.artifacts = self._artifacts()
        self.key = key or create_private()
        content = content_of(self.store, self.artifacts)
        laid_out = build.lay_out(content, build.plan_volumes(content, 1_200_000, [None]), self.store, no_progress)
        self.manifest = manifest_of(content, laid_out, [self.key.public.keyid], **changes)
        self.signed = sign(self.manifest, [self.key] if isinstance(self.key, PrivateKey) else [])
        out = root / "medium"
        out.mkdir()
        (self.folder,) = build.write(self.signed, self.store, [out], no_progress)

    def _artifacts(self) -> list[Artifact]:
        tags: dict[tuple[str, str], list[str]] = {}
        described: dict[str, Mapping[str, Any]] = {}
        listed = [(name.rpartition(":")[0], name.rpartition(":")[2], one) for name, one in self.tagged.items()]
        listed += [(repository, "", one) for repository, one in self.untagged.items()]
        listed += [(repository, "", one) for repository, found in self.children.items() for one in found]
        for repository, tag, one in listed:
            described[one["digest"]] = one
            tags.setdefault((repository, one["digest"]), []).extend([tag] if tag else [])
        return [
            Artifact(
                repository=repository, digest=digest, mediaType=described[digest]["mediaType"], kind="artifact",
                size=described[digest]["size"], tags=sorted(names),
            )
            for (repository, digest), names in sorted(tags.items())
        ]  # fmt: skip

    def digest(self, name: str) -> Digest:
        return Digest.parse(self.tagged[name]["digest"])
