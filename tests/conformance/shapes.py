"""Content of every shape the specification knows, as plain documents, and how to push one whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bundles.oci.digest import Digest
from bundles.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
)
from tests.registry_server import Server

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
EXAMPLE = "application/vnd.example.thing.v1+json"


def descriptor(body: bytes, media_type: str, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(body, algorithm)), "size": len(body), **more}


@dataclass
class Content:
    """A manifest, and what must be pushed before it: blobs, and other manifests in order."""

    manifest: bytes
    blobs: list[bytes] = field(default_factory=list)
    children: list[Content] = field(default_factory=list)
    algorithm: str = "sha256"

    @property
    def media_type(self) -> str:
        return str(json.loads(self.manifest)["mediaType"])

    @property
    def digest(self) -> Digest:
        return Digest.of(self.manifest, self.algorithm)

    def described(self, **more: Any) -> dict[str, Any]:
        """A descriptor of it."""
        return descriptor(self.manifest, self.media_type, self.algorithm, **more)

    def push(self, server: Server, repository: str, reference: str = "") -> Digest:
        """Everything beneath it, then itself, by tag or by digest."""
        for blob in self.blobs:
            server.push_blob(repository, blob, self.algorithm)
        for child in self.children:
            child.push(server, repository)
        answer = server.ask(
            "PUT",
            f"/v2/{repository}/manifests/{reference or self.digest}",
            self.manifest,
            {"Content-Type": self.media_type},
        )
        assert answer.status == 201, answer.body
        return self.digest


def document(fields: Mapping[str, Any]) -> bytes:
    """JSON with a layout of its own, so that a registry which writes it anew is found out."""
    return json.dumps(fields, indent=3).encode() + b"\n"


def image(
    layers: Iterable[str] = (LAYER, PLAIN_LAYER),
    *,
    media_type: str = OCI_MANIFEST,
    config: str = OCI_CONFIG,
    config_body: bytes | None = None,
    algorithm: str = "sha256",
    **more: Any,
) -> Content:
    """An image of random layers, one for each media type."""
    config_body = os.urandom(64) if config_body is None else config_body
    bodies = [os.urandom(256) for _ in layers]
    fields = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config_body, config, algorithm),
        "layers": [descriptor(body, kind, algorithm) for body, kind in zip(bodies, layers, strict=True)],
        **more,
    }
    held = [
        body for body, kind in zip(bodies, layers, strict=True) if kind not in (FOREIGN_LAYER, DOCKER_FOREIGN_LAYER)
    ]
    return Content(document(fields), [config_body, *held], algorithm=algorithm)


def index(
    children: Iterable[Content], *, media_type: str = OCI_INDEX, algorithm: str = "sha256", **more: Any
) -> Content:
    """An index of `children`, one platform each."""
    children = list(children)
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64", "riscv64", "s390x")]
    listed = [child.described(platform=platform) for child, platform in zip(children, platforms, strict=False)]
    fields = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed, **more}
    return Content(document(fields), children=children, algorithm=algorithm)


def artifact(artifact_type: str = EXAMPLE, layers: Iterable[str] = (EXAMPLE,), **more: Any) -> Content:
    """An artifact: an empty config, and layers of any type."""
    return image(layers, config=OCI_EMPTY, config_body=b"{}", artifactType=artifact_type, **more)


def inline_data(algorithm: str = "sha256") -> Content:
    """An artifact whose config stands in its descriptor as well."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": EXAMPLE,
        "config": descriptor(b"{}", OCI_EMPTY, algorithm, data="e30="),
        "layers": [descriptor(b"{}", OCI_EMPTY, algorithm, data="e30=")],
    }
    return Content(document(fields), [b"{}"], algorithm=algorithm)


def every_shape() -> dict[str, Content]:
    """By name, each of sha256 and of sha512; each call makes new content."""
    return {
        f"{name}{suffix}": content
        for algorithm, suffix in (("sha256", ""), ("sha512", " of sha512"))
        for name, content in _shapes(algorithm).items()
    } | {"index of mixed digests": index([image(), image(algorithm="sha512")])}


def _shapes(algorithm: str) -> dict[str, Content]:
    def an_image(*layers: str, **more: Any) -> Content:
        return image(layers, algorithm=algorithm, **more)

    def docker(*layers: str) -> Content:
        return an_image(*layers, media_type=DOCKER_MANIFEST, config=DOCKER_CONFIG)

    def an_artifact(*layers: str) -> Content:
        return artifact(layers=layers, algorithm=algorithm)

    def an_index(*children: Content, **more: Any) -> Content:
        return index(children, algorithm=algorithm, **more)

    plain = (LAYER, PLAIN_LAYER)
    large = {f"large-{number}": "A" * 10_000 for number in range(390)}
    return {
        "image": an_image(*plain),
        "image of uncompressed layers": an_image(PLAIN_LAYER),
        "image of foreign layers": an_image(FOREIGN_LAYER, LAYER),
        "image without layers": an_image(),
        "image with custom fields": an_image(*plain, **{"org.example.custom": {"nested": [1, 2.5, None]}}),
        "image with a large manifest": an_image(*plain, annotations=large),
        "docker image": docker(DOCKER_LAYER),
        "docker image of foreign layers": docker(DOCKER_FOREIGN_LAYER, DOCKER_LAYER),
        "docker list": an_index(docker(DOCKER_LAYER), media_type=DOCKER_LIST),
        "index": an_index(an_image(*plain), an_image(*plain)),
        "index with custom fields": an_index(an_image(*plain), **{"org.example.custom": [True]}),
        "nested index": an_index(
            an_index(an_image(*plain), an_image(*plain)), an_index(an_image(*plain), an_image(*plain))
        ),
        "empty index": an_index(),
        "artifact": an_artifact(EXAMPLE),
        "artifact without layers": an_artifact(),
        "artifact index": an_index(an_artifact(EXAMPLE), an_artifact(EXAMPLE), artifactType=EXAMPLE),
        "inline data": inline_data(algorithm),
    }
