"""Every write of tags, links and manifests' facts goes through here, so that each row carries its checksum, each link
that goes leaves a trace for those who ask for it later, and each repository has another number after every change of
its manifests and tags (`Metadata.change_of`), in the transaction of the change.

The connection is the writer's: `appliance.store.database.open_writer` gives it the checksums as SQL functions. A row
that is there and damaged is written anew; one that is there and right, or has no checksum, stays.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Final, Literal

from appliance import clock
from appliance.store.ports import Connection, Reader
from appliance.store.raw_rows import RawLink, RawTag
from appliance.store.rows import CRC_UNKNOWN, WrongRowError, is_link, require_tag

Kind = Literal["blob", "manifest"]
Why = Literal["deleted", "unnamed", "untagged", "withdrawn"]
"""Why a link went: a client deleted it, no manifest of its repository named it, no tag led to it for as long as a
collection was told, or its release was withdrawn."""

Facts = tuple[str, str, str, str | None, int, str]
"""Of a manifest: digest, media type, artifact type, subject, size, and annotations as JSON text."""

_NAME: Final = "(SELECT name FROM repositories WHERE id = ?1)"
_LEAVE: Final = (
    "INSERT INTO untagged (repository_id, digest, since) SELECT repository_id, digest, ?3 FROM tags"
    " WHERE repository_id = ?1 AND tag = ?2"
)
_LEFT: Final = " ON CONFLICT (repository_id, digest) DO UPDATE SET since = max(untagged.since, excluded.since)"
_CHANGE: Final = "UPDATE repositories SET change = random() WHERE id = ?"
"""A number of 64 random bits: none is given twice, also not to a repository that went and came again."""
_CHANGE_ALL: Final = (
    "UPDATE repositories SET change = random() WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
)
_CHANGE_SHOWING: Final = (
    "UPDATE repositories SET change = random() WHERE id IN (SELECT repository_id FROM links WHERE kind = 'manifest'"
    " AND digest IN (SELECT value FROM json_each(?)))"
)
_WRONG: Final = (
    "DELETE FROM links WHERE repository_id NOT IN (SELECT id FROM repositories)"
    " OR digest NOT IN (SELECT digest FROM blobs) OR checksum <> link_sum_raw("
    "(SELECT name FROM repositories WHERE id = repository_id), CAST(digest AS BLOB), CAST(kind AS BLOB),"
    " CAST(created AS BLOB))",
    "DELETE FROM manifests WHERE digest NOT IN (SELECT digest FROM blobs)"
    " OR checksum <> manifest_sum_raw(CAST(digest AS BLOB), CAST(media_type AS BLOB), CAST(artifact_type AS BLOB),"
    " CAST(subject AS BLOB), size, CAST(annotations AS BLOB))",
    "DELETE FROM tags WHERE repository_id NOT IN (SELECT id FROM repositories)"
    " OR digest NOT IN (SELECT digest FROM manifests) OR checksum <> tag_sum_raw("
    "(SELECT name FROM repositories WHERE id = repository_id), CAST(tag AS BLOB), CAST(digest AS BLOB),"
    " CAST(updated AS BLOB))",
    "UPDATE repositories SET change = random()",
)


def put_manifests(db: Connection, manifests: Iterable[Facts], at: str) -> None:
    """Write manifests' facts, which follow from their bytes, where there are none, damaged or other ones."""
    every = list(manifests)
    db.executemany(
        "INSERT INTO manifests (digest, media_type, artifact_type, subject, size, annotations, created, checksum)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, manifest_sum(?1, ?2, ?3, ?4, ?5, ?6)) ON CONFLICT (digest) DO UPDATE"
        " SET media_type = excluded.media_type, artifact_type = excluded.artifact_type, subject = excluded.subject,"
        " size = excluded.size, annotations = excluded.annotations, checksum = excluded.checksum"
        " WHERE manifests.checksum <> manifest_sum_raw(manifests.digest, CAST(manifests.media_type AS BLOB),"
        " CAST(manifests.artifact_type AS BLOB), CAST(manifests.subject AS BLOB), manifests.size,"
        " CAST(manifests.annotations AS BLOB))"
        " OR (manifests.media_type, manifests.artifact_type, manifests.subject, manifests.size, manifests.annotations)"
        " IS NOT (excluded.media_type, excluded.artifact_type, excluded.subject, excluded.size, excluded.annotations)",
        ((*facts, at) for facts in every),
    )
    db.execute(_CHANGE_SHOWING, (json.dumps([facts[0] for facts in every]),))


def link(db: Connection, repository: int, digest: str, kind: Kind, at: str) -> None:
    """Show recorded content in a repository: from here on its clients may read it."""
    link_all(db, ((repository, digest, kind),), at)


def link_all(db: Connection, links: Iterable[tuple[int, str, Kind]], at: str) -> None:
    """`link` each (repository, digest, kind)."""
    every = list(links)
    db.executemany(
        "INSERT INTO links (repository_id, digest, kind, created, checksum)"  # noqa: S608  a constant
        f" VALUES (?1, ?2, ?3, ?4, link_sum({_NAME}, ?2, ?3, ?4)) ON CONFLICT (repository_id, digest, kind) DO UPDATE"
        " SET created = excluded.created, checksum = excluded.checksum"
        f" WHERE links.checksum <> link_sum_raw({_NAME}, links.digest, links.kind, CAST(links.created AS BLOB))",
        ((*one, at) for one in every),
    )
    _change(db, (repository for repository, _, kind in every if kind == "manifest"))
    if db.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone() is not None:
        db.executemany(
            f"DELETE FROM tombstones WHERE repository = {_NAME} AND digest = ?2 AND kind = ?3",  # noqa: S608
            every,
        )


def is_linked(db: Reader, repository: int, digest: str, kind: Kind) -> bool:
    """Whether the repository shows the digest as a `kind`. A damaged row shows nothing."""
    row = db.execute(
        "SELECT r.name, l.created, l.checksum FROM links l JOIN repositories r ON r.id = l.repository_id"
        " WHERE l.repository_id = ? AND l.digest = ? AND l.kind = ?",
        (repository, digest, kind),
    ).fetchone()
    return row is not None and is_link(row[0], digest, kind, *row[1:])


def take_link(db: Connection, repository: int, digest: str, kind: Kind, why: Why) -> bool:
    """Show content in a repository no more; whether it was shown. What it was stays known for a while, so that a
    collection of it can be named to who asks."""
    key = (repository, digest, kind)
    taken = db.execute("DELETE FROM links WHERE repository_id = ? AND digest = ? AND kind = ?", key).rowcount > 0
    if taken:
        db.execute(
            "INSERT INTO tombstones (digest, repository, kind, unlinked, why, taken, job, asked)"  # noqa: S608
            f" VALUES (?2, {_NAME}, ?3, ?4, ?5, NULL, '', 0) ON CONFLICT (digest, repository, kind) DO UPDATE"
            " SET unlinked = excluded.unlinked, why = excluded.why, taken = NULL, job = '', asked = 0",
            (*key, clock.now(), why),
        )
        if kind == "manifest":
            db.execute(_CHANGE, (repository,))
            db.execute("DELETE FROM untagged WHERE repository_id = ? AND digest = ?", key[:2])
    return taken


def set_tag(db: Connection, repository: int, tag: str, digest: str, at: str) -> None:
    """Point a tag at a recorded manifest, moving it if it exists."""
    set_tags(db, ((repository, tag, digest),), at)


def set_tags(db: Connection, tags: Iterable[tuple[int, str, str]], at: str) -> None:
    """`set_tag` for each (repository, tag, digest). What the tag leaves counts as untagged from now on."""
    every = list(tags)
    db.executemany(f"{_LEAVE} AND digest <> ?4{_LEFT}", ((*one[:2], at, one[2]) for one in every))
    db.executemany(
        "INSERT INTO tags (repository_id, tag, digest, updated, checksum)"  # noqa: S608
        f" VALUES (?1, ?2, ?3, ?4, tag_sum({_NAME}, ?2, ?3, ?4)) ON CONFLICT (repository_id, tag) DO UPDATE"
        " SET digest = excluded.digest, updated = excluded.updated, checksum = excluded.checksum",
        ((*one, at) for one in every),
    )
    _change(db, (one[0] for one in every))


def _change(db: Connection, repositories: Iterable[int]) -> None:
    """Give each of these repositories another number."""
    changed = set(repositories)
    if changed:
        db.execute(_CHANGE_ALL, (json.dumps(sorted(changed)),))


def tag_target(db: Reader, repository: int, tag: str) -> str | None:
    """What a tag points at. Raises WrongRowError."""
    row = db.execute(
        "SELECT t.digest, t.updated, t.checksum, r.name FROM tags t JOIN repositories r ON r.id = t.repository_id"
        " WHERE t.repository_id = ? AND t.tag = ?",
        (repository, tag),
    ).fetchone()
    if row is None:
        return None
    require_tag(row[3], tag, *row[:3])
    return str(row[0])


def tag_targets(db: Connection, tags: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """Where each of the tags (repository, tag) points, of those that are there; None for a damaged one."""
    rows = db.execute(
        "SELECT r.name, t.tag, t.digest, t.updated, t.checksum FROM json_each(?) j"
        " CROSS JOIN repositories r ON r.name = json_extract(j.value, '$[0]')"
        " CROSS JOIN tags t ON t.repository_id = r.id AND t.tag = json_extract(j.value, '$[1]')",
        (json.dumps(list(tags)),),
    )
    found: dict[tuple[str, str], str | None] = {}
    for row in rows:
        name = str(row[0]), str(row[1])
        found[name] = None
        with contextlib.suppress(WrongRowError):
            require_tag(*row)
            found[name] = str(row[2])
    return found


def may_stand_at(db: Reader, repository: int, tag: str, target: str) -> bool:
    """Whether a tag points at `target`, or is damaged: what claims say of it then counts alone."""
    try:
        return tag_target(db, repository, tag) == target
    except WrongRowError:
        return True


def take_tag(db: Connection, repository: int, tag: str) -> bool:
    """Take a tag away; whether it was there. What it named counts as untagged from now on."""
    db.execute(f"{_LEAVE}{_LEFT}", (repository, tag, clock.now()))
    db.execute(_CHANGE, (repository,))
    return db.execute("DELETE FROM tags WHERE repository_id = ? AND tag = ?", (repository, tag)).rowcount > 0


def has_link(db: Reader, repository: int, digest: str, kind: Kind) -> bool:
    """Whether there is a link's row, damaged or not."""
    key = (repository, digest, kind)
    row = db.execute("SELECT 1 FROM links WHERE repository_id = ? AND digest = ? AND kind = ?", key).fetchone()
    return row is not None


def exchange_tag(db: Connection, wrong: RawTag, right: RawTag | None) -> bool:
    """Put a row in the place of a damaged one that still stands as it was read; None takes it away alone. A row that
    stands where the right one belongs is newer and stays. Whether the damaged one was there."""
    taken = db.execute(
        "DELETE FROM tags WHERE repository_id = ? AND tag = CAST(? AS TEXT) AND digest = CAST(? AS TEXT)"
        " AND updated = CAST(? AS TEXT) AND checksum IS ?",
        (wrong.repository, *wrong.fields, wrong.checksum),
    ).rowcount
    if taken and right is not None:
        db.execute(
            "INSERT INTO tags (repository_id, tag, digest, updated, checksum) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (right.repository, *(field.decode() for field in right.fields), right.checksum),
        )
    _change(db, (wrong.repository, *(() if right is None else (right.repository,))))
    return taken > 0


def exchange_link(db: Connection, wrong: RawLink, right: RawLink | None) -> bool:
    """As `exchange_tag`."""
    taken = db.execute(
        "DELETE FROM links WHERE repository_id = ? AND digest = CAST(? AS TEXT) AND kind = CAST(? AS TEXT)"
        " AND created = CAST(? AS TEXT) AND checksum IS ?",
        (wrong.repository, *wrong.fields, wrong.checksum),
    ).rowcount
    if taken and right is not None:
        db.execute(
            "INSERT INTO links (repository_id, digest, kind, created, checksum) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (right.repository, *(field.decode() for field in right.fields), right.checksum),
        )
    _change(db, (wrong.repository, *(() if right is None else (right.repository,))))
    return taken > 0


def write_manifest_anew(db: Connection, facts: Facts, at: str) -> None:
    """Write a manifest's facts, whatever its row says."""
    changed = db.execute(
        "UPDATE manifests SET media_type = ?2, artifact_type = ?3, subject = ?4, size = ?5, annotations = ?6,"
        " checksum = manifest_sum(?1, ?2, ?3, ?4, ?5, ?6) WHERE digest = ?1",
        facts,
    ).rowcount
    if changed:
        db.execute(_CHANGE_SHOWING, (json.dumps([facts[0]]),))
    else:
        put_manifests(db, (facts,), at)


def take_unknown_manifest(db: Connection, digest: bytes) -> bool:
    """Take a manifest's row away whose digest no blob has and no tag stands on: a bit of its key flipped."""
    return (
        db.execute(
            "DELETE FROM manifests WHERE digest = CAST(?1 AS TEXT)"
            " AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = manifests.digest)"
            " AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.digest = manifests.digest)",
            (digest,),
        ).rowcount
        > 0
    )


def take_wrong_rows(db: Connection) -> None:
    """Take every row away that is not what was written, or stands on none, for a rebuild; foreign keys are off. A blob
    whose row is damaged counts as one that was never read."""
    for statement in _WRONG:
        db.execute(statement)
    db.execute(
        "UPDATE blobs SET crc32 = ?1, checksum = blob_sum_raw(CAST(digest AS BLOB), size, ?1)"
        " WHERE checksum <> blob_sum_raw(CAST(digest AS BLOB), size, crc32)",
        (CRC_UNKNOWN,),
    )
