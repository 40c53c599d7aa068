"""Registries that a collection asks."""

from __future__ import annotations

from appliance.api.common import Shape


class AskedRegistry(Shape, frozen=True, kw_only=True):
    """A registry, `host[:port]`, and the repository that is read there."""

    host: str
    repository: str


class AskedRegistries(Shape, frozen=True, kw_only=True):
    """POST /v1/upstreams: every registry that is asked for some references, mirrors first."""

    items: tuple[AskedRegistry, ...]
