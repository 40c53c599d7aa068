"""What was followed from other stations."""

from __future__ import annotations

from appliance.store.ports import Reader


def followed_tags(reader: Reader, replica: str, repository: str) -> dict[str, tuple[str, ...]]:
    """Of each tag of a repository the digests that it was followed at, the oldest first, "" for its end. Grows with
    what was followed there."""
    rows = reader.execute(
        "SELECT tag, digest FROM replica_tags WHERE replica = ? AND repository = ? ORDER BY tag, number",
        (replica, repository),
    )
    found: dict[str, tuple[str, ...]] = {}
    for tag, digest in rows:
        found[tag] = (*found.get(tag, ()), str(digest))
    return found


def followed_repositories(reader: Reader, replica: str) -> list[str]:
    """The repositories of which something was followed, by name."""
    rows = reader.execute(
        "SELECT DISTINCT repository FROM replica_tags WHERE replica = ? ORDER BY repository", (replica,)
    )
    return [str(name) for (name,) in rows]
