"""The lists of names that a registry gives, page by page: the tags of a repository (distribution specification, Listing
Tags), and its repositories (the catalog of the distribution project's API)."""

from __future__ import annotations

from collections.abc import Callable

from appliance.limits import collecting as limits
from appliance.outgoing.collect.registry_client import RegistryClient
from bundles import limits as format_limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.oci.reference import check_repository, check_tag


async def tags_of(place: RegistryClient) -> list[str]:
    """Every tag of a repository, each once. Raises MalformedError for what is no list of tags, too long or goes in a
    circle, and as RegistryClient.document: a list without its rest would be taken for whole."""
    return await _names(place, "tags/list", "tags", check_tag)


async def repositories_of(registry: RegistryClient) -> list[str]:
    """Every repository that a registry lists in its catalog. Raises as tags_of, NotFoundError where it has none."""
    return await _names(registry, "_catalog", "repositories", check_repository)


async def _names(place: RegistryClient, path: str, key: str, check: Callable[[str], str]) -> list[str]:
    found: dict[str, None] = {}
    seen: set[str] = set()
    empty = size = 0
    where, page = place.where(path), path
    while True:
        document = await place.document(page)
        before = len(found)
        found |= dict.fromkeys(_checked(document.raw, key, check, where))
        size += len(document.raw)
        empty = 0 if len(found) > before else empty + 1
        for what, count, most in (
            (f"too many {key}", len(found), limits.REMOTE_NAMES),
            (f"too many bytes of {key}", size, limits.REMOTE_NAMES_SIZE),
            (f"too many pages of {key}", len(seen) + 1, limits.REMOTE_PAGES),
            (f"pages without new {key}", empty, limits.REMOTE_PAGES_EMPTY),
        ):
            if count > most:
                raise MalformedError(f"the registry lists {what}", thing=where, remedy=f"at most {most} are taken")
        if not document.next:
            return list(found)
        if document.next in seen:
            raise MalformedError(
                f"the registry lists a page of {key} twice", thing=where, remedy="ask its administrator"
            )
        seen.add(document.next)
        page = document.next


def _checked(raw: bytes, key: str, check: Callable[[str], str], where: str) -> list[str]:
    malformed = MalformedError(f"the registry's list of {key} is none", thing=where, remedy="ask its administrator")
    try:
        document = strict_json.loads(
            raw, ceiling=format_limits.OCI_MANIFEST, nodes=limits.REMOTE_NAMES * 2, what=f"a list of {key}", floats=True
        )
        listed = document.get(key) if isinstance(document, dict) else 0
        if listed is None and key in document:
            return []  # what a repository without tags answers at some registries
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise malformed
        return [check(name) for name in listed]
    except MalformedError:
        raise malformed from None
