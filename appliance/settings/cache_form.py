"""What the settings of a pull-through cache may be (appliance.settings.caches)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from appliance.limits import caching as limits
from appliance.permissions import check_pattern
from appliance.settings.caches import prefix_of, split_upstream
from appliance.settings.form_kinds import Form, passes, text, texts, whole
from bundles.oci.reference import check_repository

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")

_CACHE: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "upstream": Form('a registry, as "docker.io", or "registry.example:5000/team" for what stands below there',
                         passes(split_upstream)),
        "prefix": Form('where its repositories stand here, as "cache/hub", or "" for cache/NAME',
                       text(lambda value: value == "" or passes(check_repository)(value))),
        "repositories": texts('patterns of repositories as they are called upstream, as "library/*"',
                              passes(check_pattern)),
        "tag_minutes": whole(0, limits.CACHE_TAG_MINUTES, " of minutes"),
        "missing_seconds": whole(0, limits.CACHE_MISSING_SECONDS, " of seconds"),
    }
)  # fmt: skip

CACHES: Final = Form(
    f"a table for each of at most {limits.CACHES} caches, named by a-z, 0-9 and single -, as [caches.hub]",
    lambda value: isinstance(value, dict) and len(value) <= limits.CACHES,
    name=text(lambda name: _NAME.match(name) is not None and len(name) <= 32), inside=_CACHE,
)  # fmt: skip


def wrong_caches(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Caches that are right by themselves and not together: table, name, key, what is wrong and what to do."""
    seen: dict[str, str] = {}
    for name, cache in document.get("caches", {}).items():
        if not cache.get("upstream"):
            yield "caches", name, "upstream", "a setting is missing", f"write upstream = {_CACHE['upstream'].says}"
        prefix = prefix_of(name, cache.get("prefix", ""))
        for other, whose in seen.items():
            if f"{prefix}/".startswith(f"{other}/") or f"{other}/".startswith(f"{prefix}/"):
                yield (
                    "caches",
                    name,
                    "prefix",
                    f"a cache's prefix within another's (caches.{whose})",
                    "write another one",
                )
                break
        seen[prefix] = name
