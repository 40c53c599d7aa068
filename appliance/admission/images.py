"""Images as workloads name them: of which registry, and which of this station's artifacts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bundles.errors import LockgateError, RefusedError
from bundles.oci.reference import Reference

DOCKER: Final = "docker.io"
"""Whose images need no name of a registry (distribution/reference, normalize.go)."""
_DOCKERS: Final = (DOCKER, "index.docker.io")


def artifact_of(image: str, registries: Collection[str]) -> Reference:
    """The artifact of this station that an image is, where its registry is one of those whose images are the station's.
    Raises RefusedError."""
    host, rest = _split(image)
    if host not in registries:
        raise RefusedError(
            "an image of another registry", thing=image[:300], remedy=f"use {', '.join(sorted(registries))}"
        )
    name, at, digest = rest.partition("@")
    if host == DOCKER and "/" not in name:
        name = f"library/{name}"
    if not at and ":" not in name.rpartition("/")[2]:
        name = f"{name}:latest"
    try:
        return Reference.parse(f"{name}{at}{digest}")
    except LockgateError:
        raise RefusedError(
            "not the name of an image", thing=image[:300], remedy="write REGISTRY/REPOSITORY@DIGEST"
        ) from None


def _split(image: str) -> tuple[str, str]:
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return DOCKER if first in _DOCKERS else first, rest
    return DOCKER, image
