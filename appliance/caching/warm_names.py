"""What `lockgate warm` may be asked for: a tag or digest in the repository of a cache."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.limits import caching as limits
from appliance.settings.caches import Caches
from bundles.errors import UsageError
from bundles.oci.reference import Reference


def check_warm(caches: Caches, texts: object) -> list[Reference]:
    """The references, each once. Raises UsageError, MalformedError."""
    if not isinstance(texts, Sequence) or isinstance(texts, str) or not texts:
        raise UsageError("`references` is a list of references", remedy="see: lockgate warm --help")
    if len(texts) > limits.CACHE_WARMED:
        raise UsageError("too many references", thing=str(len(texts)), remedy=f"at most {limits.CACHE_WARMED} at once")
    return list(dict.fromkeys(_checked(caches, str(text)) for text in texts))


def _checked(caches: Caches, text: str) -> Reference:
    reference = Reference.parse(text)
    cached = caches.find(reference.repository)
    if cached is None:
        prefixes = ", ".join(caches.prefixes)
        raise UsageError(
            "not in a cache", thing=text,
            remedy=f"name what stands below {prefixes}" if prefixes
            else "name a cache in config.toml first ([caches.NAME]), and start the station again",
        )  # fmt: skip
    if not cached.is_offered:
        raise UsageError(
            f"the cache {cached.cache} does not offer it", thing=text,
            remedy=f"have {cached.repository} covered by its `repositories` in config.toml",
        )  # fmt: skip
    return reference
