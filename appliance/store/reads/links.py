"""Reads of what is visible: links, and the tags of a repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from appliance.store.ports import Reader


def every_link(reader: Reader) -> Iterator[tuple[str, str]]:
    """Each link as (repository, digest), read as the caller goes."""
    yield from reader.execute("SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id")


def is_shown(reader: Reader, thing: str) -> bool:
    """Whether a repository shows a digest, as `repository@digest`."""
    repository, _, digest = thing.partition("@")
    row = reader.execute(
        "SELECT 1 FROM repositories r JOIN links l ON l.repository_id = r.id AND l.digest = ? WHERE r.name = ?",
        (digest, repository),
    ).fetchone()
    return row is not None


def is_linked_as_manifest(reader: Reader, digest: str) -> bool:
    """Whether some repository shows a digest as a manifest."""
    row = reader.execute("SELECT 1 FROM links WHERE digest = ? AND kind = 'manifest' LIMIT 1", (digest,)).fetchone()
    return row is not None


def tags_of(reader: Reader, repository: str) -> dict[str, str]:
    """Where each tag of a repository stands, by tag."""
    rows = reader.execute(
        "SELECT t.tag, t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ?",
        (repository,),
    )
    return {str(tag): str(digest) for tag, digest in rows}


def manifests_of(reader: Reader, repository: str) -> set[str]:
    """The manifests that a repository shows, by digest."""
    rows = reader.execute(
        "SELECT l.digest FROM links l JOIN repositories r ON r.id = l.repository_id"
        " WHERE r.name = ? AND l.kind = 'manifest'",
        (repository,),
    )
    return {str(digest) for (digest,) in rows}


def unlinked(reader: Reader, repository: str, digests: Iterable[str], kind: str) -> list[str]:
    """Those of `digests` that a repository does not show as `kind` ("blob" or "manifest"), in their order."""
    rows = reader.execute(
        "SELECT j.value FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM repositories r JOIN links l"
        " ON l.repository_id = r.id AND l.digest = j.value AND l.kind = ? WHERE r.name = ?) ORDER BY j.id",
        (json.dumps(list(digests)), kind, repository),
    )
    return [str(digest) for (digest,) in rows]


def showing(reader: Reader, digests: Iterable[str]) -> dict[str, set[str]]:
    """The repositories that show some of `digests`, with those that each shows."""
    found: dict[str, set[str]] = {}
    rows = reader.execute(
        "SELECT r.name, l.digest FROM json_each(?) j JOIN links l ON l.digest = j.value"
        " JOIN repositories r ON r.id = l.repository_id",
        (json.dumps(list(digests)),),
    )
    for repository, digest in rows:
        found.setdefault(str(repository), set()).add(str(digest))
    return found


def claimed_blobs(reader: Reader, bundle: str, repository: str) -> set[str]:
    """The blobs that a bundle's release claims in a repository. Rows, which anybody who writes the file can make."""
    rows = reader.execute(
        "SELECT item FROM released WHERE digest = ? AND repository = ? AND kind = 'blob'", (bundle, repository)
    )
    return {str(item) for (item,) in rows}


def tag_target(reader: Reader, repository: str, tag: str) -> str | None:
    """The digest that a tag stands at, or None where the repository has no such tag."""
    row = reader.execute(
        "SELECT t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ? AND t.tag = ?",
        (repository, tag),
    ).fetchone()
    return None if row is None else str(row[0])


def put_by(reader: Reader, repository: str, tag: str, digest: str) -> str | None:
    """The bundle whose standing release put a tag at a digest last, or ("" for the tag) showed the manifest first."""
    kind, item, order = ("tag", tag, "DESC") if tag else ("manifest", digest, "ASC")
    row = reader.execute(
        "SELECT i.id FROM released r JOIN intake i ON i.digest = r.digest WHERE r.repository = ? AND r.kind = ?"  # noqa: S608  constants
        f" AND r.item = ? AND r.target = ? ORDER BY r.entry {order} LIMIT 1",
        (repository, kind, item, digest),
    ).fetchone()
    return None if row is None else str(row[0])


def was_released(reader: Reader, bundle: str) -> bool:
    """Whether the bundle of that digest was ever released, whatever became of it."""
    row = reader.execute("SELECT 1 FROM transitions WHERE digest = ? AND state = 'released' LIMIT 1", (bundle,))
    return row.fetchone() is not None


def claimed_manifests(reader: Reader, bundle: str) -> set[tuple[str, str]]:
    """(repository, digest) of each manifest that a bundle's releases claim. Rows, which anybody who writes the file can
    make."""
    rows = reader.execute("SELECT repository, item FROM released WHERE digest = ? AND kind = 'manifest'", (bundle,))
    return {(str(repository), str(item)) for repository, item in rows}


def typed_manifests(reader: Reader, repository: str) -> list[tuple[str, str]]:
    """(digest, media type) of each manifest that a repository shows."""
    return reader.execute(
        "SELECT l.digest, m.media_type FROM links l JOIN repositories r ON r.id = l.repository_id"
        " JOIN manifests m ON m.digest = l.digest WHERE r.name = ? AND l.kind = 'manifest'",
        (repository,),
    ).fetchall()


def newest_manifests(reader: Reader, repository: str, media_types: Iterable[str]) -> list[tuple[str, int]]:
    """(digest, bytes) of each manifest of these types that a repository shows, what was linked last first."""
    return reader.execute(
        "SELECT l.digest, m.size FROM links l JOIN repositories r ON r.id = l.repository_id"
        " JOIN manifests m ON m.digest = l.digest AND m.media_type IN (SELECT value FROM json_each(?))"
        " WHERE r.name = ? AND l.kind = 'manifest' ORDER BY l.created DESC, l.digest",
        (json.dumps(sorted(media_types)), repository),
    ).fetchall()


def link_rows(reader: Reader) -> Iterator[tuple[str, str, str, str]]:
    """Repository, digest, kind (`blob`, `manifest`) and time (UTC text) of each link, as its row says, read as the
    caller goes."""
    return reader.execute(
        "SELECT r.name, l.digest, l.kind, l.created FROM links l JOIN repositories r ON r.id = l.repository_id"
    )


def repository_is_known(reader: Reader, name: str) -> bool:
    """Whether there is a repository of that name."""
    return reader.execute("SELECT 1 FROM repositories WHERE name = ?", (name,)).fetchone() is not None


ManifestRow = tuple[str, str, str | None, str | None, str | None, int | None, str | None]
"""Of a manifest that is linked: digest, the first repository that links it, and its row's media type, artifact type,
subject, size and annotations (JSON text); the media type is None where it has no row."""


def linked_manifest_rows(reader: Reader) -> Iterator[ManifestRow]:
    """Each manifest that is linked, once, read as the caller goes."""
    return reader.execute(
        "SELECT l.digest, min(r.name), min(m.media_type), min(m.artifact_type), min(m.subject), min(m.size),"
        " min(m.annotations)"
        " FROM links l JOIN repositories r ON r.id = l.repository_id LEFT JOIN manifests m ON m.digest = l.digest"
        " WHERE l.kind = 'manifest' GROUP BY l.digest"
    )
