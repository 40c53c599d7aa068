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


def inline_data() -> Content:
    """An artifact whose config stands in its descriptor as well."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": EXAMPLE,
        "config": descriptor(b"{}", OCI_EMPTY, data="e30="),
        "layers": [descriptor(b"{}", OCI_EMPTY, data="e30=")],
    }
    return Content(document(fields), [b"{}"])


def every_shape() -> dict[str, Content]:
    """By name; each call makes new content."""
    return {
        "image": image(),
        "image of uncompressed layers": image([PLAIN_LAYER]),
        "image of foreign layers": image([FOREIGN_LAYER, LAYER]),
        "image without layers": image([]),
        "image with custom fields": image(**{"org.example.custom": {"nested": [1, 2.5, None]}}),
        "image with a large manifest": image(annotations={f"large-{number}": "A" * 10_000 for number in range(390)}),
        "image of sha512": image(algorithm="sha512"),
        "docker image": image([DOCKER_LAYER], media_type=DOCKER_MANIFEST, config=DOCKER_CONFIG),
        "docker image of foreign layers": image(
            [DOCKER_FOREIGN_LAYER, DOCKER_LAYER], media_type=DOCKER_MANIFEST, config=DOCKER_CONFIG
        ),
        "docker list": index(
            [image([DOCKER_LAYER], media_type=DOCKER_MANIFEST, config=DOCKER_CONFIG)], media_type=DOCKER_LIST
        ),
        "index": index([image(), image()]),
        "index of sha512": index([image(algorithm="sha512")], algorithm="sha512"),
        "index of mixed digests": index([image(), image(algorithm="sha512")]),
        "nested index": index([index([image(), image()]), index([image()])]),
        "empty index": index([]),
        "artifact": artifact(),
        "artifact without layers": artifact(layers=[]),
        "artifact index": index([artifact(), artifact()], artifactType=EXAMPLE),
        "inline data": inline_data(),
    }
