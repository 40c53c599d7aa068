"""What the metadata says, read on a connection that cannot write: point reads for requests, pages for lists.

Every method is one statement and sees what was committed before it began, from whichever process. A point read
costs about 10 µs and runs inline in an event loop; methods that grow with the store say so. Nothing is cached here:
a tag moved or a link taken away through one worker is so in the next request to any other. What shows content compares
its rows with their checksums, and raises WrongRowError for one that is damaged (appliance.store.rows).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from appliance.limits import registry as registry_limits
from appliance.limits import store as limits
from appliance.store.database import open_reader
from appliance.store.engine import Source, engine_of
from appliance.store.epoch import CommitCount
from appliance.store.placement import Placement
from appliance.store.ports import Reader
from appliance.store.reads import absence
from appliance.store.reads.content import BlobFacts, Kind, ManifestFacts, TagFacts
from appliance.store.reads.repositories import like
from appliance.store.rows import (
    CRC_UNKNOWN,
    WrongRowError,
    is_link,
    manifest_sum,
    require_blob,
    require_link,
    require_tag,
    wrong_tag,
)
from appliance.store.sqlite_engine import DATA_VERSION, SQLITE
from bundles.errors import NotFoundError
from bundles.oci.digest import Digest

_MANIFEST = "m.digest, m.media_type, m.artifact_type, m.subject, m.size, m.annotations, m.checksum"
_LINK = "l.created, l.checksum"
_BLOB_OF = (
    f"SELECT b.size, b.crc32, b.checksum, {_LINK} FROM repositories r"  # noqa: S608  the columns are a constant
    " JOIN links l ON l.repository_id = r.id AND l.digest = ? AND l.kind = 'blob'"
    " JOIN blobs b ON b.digest = l.digest WHERE r.name = ?"
)
_MANIFEST_OF = (
    f"SELECT {_MANIFEST}, {_LINK} FROM repositories r"  # noqa: S608
    " JOIN links l ON l.repository_id = r.id AND l.digest = ? AND l.kind = 'manifest'"
    " JOIN manifests m ON m.digest = l.digest WHERE r.name = ?"
)
_TAGGED = (
    f"SELECT {_MANIFEST}, {_LINK}, t.updated, t.checksum FROM repositories r"  # noqa: S608
    " JOIN tags t ON t.repository_id = r.id AND t.tag = ?"
    " JOIN links l ON l.repository_id = r.id AND l.digest = t.digest AND l.kind = 'manifest'"
    " JOIN manifests m ON m.digest = t.digest WHERE r.name = ?"
)
_BLOCKED = (
    "SELECT why FROM blocks INDEXED BY sqlite_autoindex_blocks_1 WHERE digest = ?1"
    " UNION ALL SELECT why FROM blocks INDEXED BY blocks_again WHERE digest = ?1 LIMIT 1"
)


def _manifest(row: tuple[str, str, str, str | None, int, str, int | None]) -> ManifestFacts:
    """Raises WrongRowError."""
    digest, media_type, artifact_type, subject, size, annotations, checksum = row
    if checksum is not None and manifest_sum(*row[:6]) != checksum:
        raise WrongRowError("manifest", "", digest)
    return ManifestFacts(
        Digest.parse(digest),
        media_type,
        artifact_type,
        None if subject is None else Digest.parse(subject),
        size,
        annotations,
    )


class Metadata:
    """A read-only view of one station's database; one thread at a time."""

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """`path`: the station's database, or what the note beside it names (appliance.store.whereabouts); `source`:
        another place. Raises FailedError where there is no database yet, or it cannot be read."""
        self.path = path
        self.connection: Reader = open_reader(path) if source is None else source.open_reader()
        self.placement = Placement(path)
        self._is_sqlite = engine_of(self.connection) is SQLITE
        self._count: CommitCount | None = None
        self._right: dict[tuple[Any, ...], Any] = {}

    def close(self) -> None:
        self.connection.close()

    def epoch(self) -> int:
        """The number that revocations, blocks and policy changes bump. Point read."""
        return int(self.connection.execute("SELECT value FROM epoch").fetchone()[0])

    def version(self) -> int:
        """A number that is another one once anybody has committed anything since the last look, through whichever
        connection: SQLite's PRAGMA data_version, about half a point read. Of a database elsewhere what its server told
        this process. Raises appliance.store.heard.StaleError where that is too long ago."""
        if not self._is_sqlite:
            if self._count is None:
                self._count = CommitCount(self.path)
            return self._count.now()
        return int(self.connection.execute(DATA_VERSION).fetchall()[0][0])

    def change_of(self, repository: str) -> int:
        """A number that is another one after each change of the repository's manifests and tags, and which it never
        has again; 0 where there is no such repository. Point read."""
        row = self.connection.execute("SELECT change FROM repositories WHERE name = ?", (repository,)).fetchone()
        return 0 if row is None else int(row[0])

    # Visibility

    def repository_exists(self, name: str) -> bool:
        """Point read. Raises WrongRowError where the indexes of repositories differ."""
        row = self.connection.execute("SELECT 1 FROM repositories WHERE name = ?", (name,)).fetchone()
        return row is not None or absence.repository(self.connection, name) is not None

    def linked_blob(self, repository: str, digest: Digest) -> BlobFacts | None:
        """The blob, if the repository shows it. Point read. Raises WrongRowError, of the blob's own row only where the
        link's is right."""
        text = str(digest)
        row = self.connection.execute(_BLOB_OF, (text, repository)).fetchone()
        if row is None:
            row = self._link_again(_BLOB_OF, repository, text, "blob")
            if row is None:
                return None
        key = (repository, text, row)
        facts: BlobFacts | None = self._right.get(key)
        if facts is None:
            require_link(repository, text, "blob", *row[3:])
            require_blob(text, *row[:3])
            facts = BlobFacts(digest, *row[:2])
            self._keep(key, facts)
        return facts

    def _keep(self, key: tuple[Any, ...], facts: BlobFacts | ManifestFacts) -> None:
        """Keep what rows that were compared with their checksums say: a row that is read again is compared with the
        very values that were right, which takes a fifth of the time."""
        if len(self._right) >= limits.ROWS_KNOWN:
            self._right.clear()
        self._right[key] = facts

    def keep_pages(self, most: int) -> None:
        """Let this connection keep up to `most` bytes of the database's pages in memory, for who asks very often."""
        engine_of(self.connection).keep_pages(self.connection, most)

    def linked_sizes(self, repository: str, digests: Sequence[Digest]) -> list[int | None]:
        """The bytes of each of those blobs, None for one that the repository does not show. In one read: a point read
        each is ten times the work."""
        sizes: list[int | None] = [None] * len(digests)
        rows = self.connection.execute(
            f"SELECT wanted.key, b.size, b.crc32, b.checksum, {_LINK} FROM json_each(?) AS wanted"  # noqa: S608
            " CROSS JOIN links l ON l.digest = wanted.value AND l.kind = 'blob'"
            " AND l.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " CROSS JOIN blobs b ON b.digest = l.digest",
            (json.dumps([str(digest) for digest in digests]), repository),
        )
        for place, size, crc32, checksum, *linked in rows:
            require_link(repository, str(digests[place]), "blob", *linked)
            require_blob(str(digests[place]), size, crc32, checksum)
            sizes[place] = size
        return sizes

    def linked_manifest(self, repository: str, digest: Digest) -> ManifestFacts | None:
        """The manifest, if the repository shows it. Point read."""
        text = str(digest)
        row = self.connection.execute(_MANIFEST_OF, (text, repository)).fetchone()
        if row is None:
            row = self._link_again(_MANIFEST_OF, repository, text, "manifest")
        return None if row is None else self._shown_manifest(repository, row)

    def tagged_manifest(self, repository: str, tag: str) -> ManifestFacts | None:
        """The manifest a tag points at. Point read. A tag whose manifest is not linked shows nothing."""
        row = self.connection.execute(_TAGGED, (tag, repository)).fetchone()
        if row is None:
            row = self._again(
                _TAGGED, (tag, repository), lambda: absence.is_tag_absent(self.connection, repository, tag)
            )
            if row is None:
                return None
        key = (repository, tag, row)
        facts: ManifestFacts | None = self._right.get(key)
        if facts is None:
            require_tag(repository, tag, row[0], *row[9:])
            require_link(repository, row[0], "manifest", *row[7:9])
            facts = _manifest(row[:7])
            if len(facts.annotations_json) < limits.ROW_KNOWN:
                self._keep(key, facts)
        return facts

    def _link_again(self, statement: str, repository: str, digest: str, kind: Kind) -> tuple[Any, ...] | None:
        """A link that a first read did not find: None where it is not there. Raises WrongRowError where it is."""
        return self._again(
            statement,
            (digest, repository),
            lambda: absence.is_link_absent(self.connection, repository, digest, kind),
        )

    def _again(self, statement: str, names: tuple[str, str], is_absent: Callable[[], bool]) -> tuple[Any, ...] | None:
        """Read again what is there after all: it was written a moment ago, or what it stands on is damaged."""
        while not is_absent():
            row: tuple[Any, ...] | None = self.connection.execute(statement, names).fetchone()
            if row is not None:
                return row
            if not is_absent():
                raise WrongRowError("link", names[1], names[0])
        return None

    def _shown_manifest(self, repository: str, row: tuple[Any, ...]) -> ManifestFacts:
        """A manifest's row with its link's. Raises WrongRowError."""
        key = (repository, "", row)
        facts: ManifestFacts | None = self._right.get(key)
        if facts is None:
            require_link(repository, row[0], "manifest", *row[7:])
            facts = _manifest(row[:7])
            if len(facts.annotations_json) < limits.ROW_KNOWN:
                self._keep(key, facts)
        return facts

    def tag_target(self, repository: str, tag: str) -> str | None:
        """The digest that a tag names, whether its manifest is shown or not, and its row is damaged or not. Point
        read."""
        row = self.connection.execute(
            "SELECT t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ? AND t.tag = ?",
            (repository, tag),
        ).fetchone()
        return None if row is None else str(row[0])

    def unlinked(self, repository: str, digests: Iterable[Digest], kind: Kind) -> list[Digest]:
        """Those of `digests` that the repository does not show as `kind`, in their order. One point read each."""
        statement = (
            f"SELECT {_LINK} FROM repositories r JOIN links l ON l.repository_id = r.id"  # noqa: S608
            " AND l.digest = ? AND l.kind = ? WHERE r.name = ?"
        )

        def is_shown(digest: str) -> bool:
            row = self.connection.execute(statement, (digest, kind, repository)).fetchone()
            return row is not None and is_link(repository, digest, kind, *row)

        return [digest for digest in digests if not is_shown(str(digest))]

    def shown_anywhere(
        self, digest: Digest, kind: Kind = "blob", limit: int = registry_limits.MOUNT_SOURCES
    ) -> list[str]:
        """Repositories that show the digest, at most `limit` (-1: all). Grows with that number alone. A damaged row
        shows nothing."""
        text = str(digest)
        rows = self.connection.execute(
            f"SELECT r.name, {_LINK} FROM links l JOIN repositories r ON r.id = l.repository_id"  # noqa: S608
            " WHERE l.digest = ? AND l.kind = ? ORDER BY l.repository_id LIMIT ?",
            (text, kind, limit),
        )
        return [name for name, *linked in rows if is_link(name, text, kind, *linked)]

    def blocked(self, digest: Digest) -> str | None:
        """Why people have blocked the digest, or None. Two point reads, of the table and of the second copy: where a
        key of one is damaged the other blocks."""
        row = self.connection.execute(_BLOCKED, (str(digest),)).fetchone()
        return None if row is None else str(row[0])

    def holds_released(self, repository: str) -> bool:
        """Whether the repository holds content of a release. Point read."""
        row = self.connection.execute("SELECT 1 FROM released WHERE repository = ? LIMIT 1", (repository,)).fetchone()
        return row is not None

    # What is held, seen or not

    def blob(self, digest: Digest) -> BlobFacts | None:
        """A held blob or manifest's bytes, linked or not. Point read. Raises WrongRowError."""
        row = self.connection.execute(
            "SELECT size, crc32, checksum FROM blobs WHERE digest = ?", (str(digest),)
        ).fetchone()
        if row is None:
            return None
        require_blob(str(digest), *row)
        return BlobFacts(digest, row[0], CRC_UNKNOWN if row[2] is None else row[1])  # nothing vouches for it

    def knows_blob(self, digest: Digest) -> bool:
        """Whether a blob is held by the metadata, whatever else its row says. Point read."""
        row = self.connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (str(digest),)).fetchone()
        return row is not None

    def crc32(self, digest: Digest) -> int:
        """The CRC-32 of a held blob (bundles.ports.Crc32Source). Point read. Raises NotFoundError,
        WrongRowError."""
        facts = self.blob(digest)
        if facts is None:
            raise NotFoundError("no such blob", thing=str(digest))
        return facts.crc32

    def manifest(self, digest: Digest) -> ManifestFacts | None:
        """A held manifest, linked or not. Point read."""
        row = self.connection.execute(
            f"SELECT {_MANIFEST} FROM manifests m WHERE m.digest = ?",  # noqa: S608
            (str(digest),),
        ).fetchone()
        return None if row is None else _manifest(row)

    def totals(self) -> tuple[int, int]:
        """How many blobs are held, and their bytes. Reads the whole table of blobs: about 0.1 s per million."""
        row = self.connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM blobs").fetchone()
        return int(row[0]), int(row[1])

    def troubled(self) -> tuple[int, int]:
        """How many blobs are damaged and withdrawn, and how many could not be read. Grows with these alone."""
        row = self.connection.execute(
            "SELECT (SELECT count(*) FROM damage WHERE healed IS NULL), (SELECT count(*) FROM unread)"
        ).fetchone()
        return int(row[0]), int(row[1])

    def is_withdrawn(self, digest: Digest) -> bool:
        """Whether a blob is on record as damaged or lost, and not healed. Point read."""
        row = self.connection.execute("SELECT 1 FROM damage WHERE digest = ? AND healed IS NULL", (str(digest),))
        return row.fetchone() is not None

    # Lists, a page at a time

    def repository_names(self, limit: int, after: str = "") -> list[str]:
        """Names in bytewise order, after `after`. Grows with `limit` alone."""
        rows = self.connection.execute(
            "SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
        )
        return [name for (name,) in rows]

    def tag_names(self, repository: str, limit: int, after: str = "") -> list[str]:
        """Tags in bytewise order, after `after`. Grows with `limit` alone."""
        rows = self.connection.execute(
            "SELECT t.tag, t.digest, t.updated, t.checksum FROM tags t"
            " WHERE t.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " AND t.tag > ? ORDER BY t.tag LIMIT ?",
            (repository, after, limit),
        ).fetchall()
        wrong = wrong_tag(repository, rows)
        if wrong is not None:
            raise WrongRowError("tag", repository, wrong)
        return [row[0] for row in rows]

    def tags(self, repository: str, limit: int, after: str = "", text: str = "") -> list[TagFacts]:
        """Tags that contain `text`, after `after`, with what they point at.

        Grows with `limit`, and with all of the repository's tags where few contain `text`.
        """
        rows = self.connection.execute(
            "SELECT t.tag, m.digest, m.media_type, m.artifact_type, m.size, t.updated, t.checksum"
            " FROM tags t JOIN manifests m ON m.digest = t.digest"
            " WHERE t.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " AND t.tag > ? AND t.tag LIKE ? ESCAPE '\\' ORDER BY t.tag LIMIT ?",
            (repository, after, like(text), limit),
        )
        found = []
        for tag, digest, media_type, artifact_type, size, updated, checksum in rows:
            require_tag(repository, tag, digest, updated, checksum)
            found.append(TagFacts(tag, Digest.parse(digest), media_type, artifact_type, size, updated))
        return found

    def tags_of(self, repository: str, digest: Digest) -> list[str]:
        """The tags that point at a digest. Grows with their number alone."""
        rows = self.connection.execute(
            "SELECT tag FROM tags WHERE repository_id = (SELECT id FROM repositories WHERE name = ?) AND digest = ?"
            " ORDER BY tag",
            (repository, str(digest)),
        )
        return [tag for (tag,) in rows]

    def referrers(
        self, repository: str, subject: Digest, limit: int, after: str = "", artifact_type: str = ""
    ) -> list[ManifestFacts]:
        """Manifests the repository shows whose subject is `subject`, by digest, after `after`.

        Grows with `limit` (and the annotations of so many) and with the referrers that other repositories alone show.
        """
        return list(itertools.islice(self.each_referrer(repository, subject, after, artifact_type), limit))

    def each_referrer(
        self, repository: str, subject: Digest, after: str = "", artifact_type: str = ""
    ) -> Iterator[ManifestFacts]:
        """As `referrers`, one at a time, for who stops at a number of bytes. To be consumed without a pause."""
        rows = self.connection.execute(
            f"SELECT {_MANIFEST}, {_LINK} FROM manifests m"  # noqa: S608
            " JOIN links l ON l.digest = m.digest AND l.kind = 'manifest'"
            " AND l.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " WHERE m.subject = ? AND m.digest > ? AND (? = '' OR m.artifact_type = ?) ORDER BY m.digest",
            (repository, str(subject), after, artifact_type, artifact_type),
        )
        return (self._shown_manifest(repository, row) for row in rows)

    def manifests(self, repository: str, limit: int, after: str = "") -> list[ManifestFacts]:
        """Manifests the repository shows, by digest, after `after`. Grows with the repository's links up to there."""
        rows = self.connection.execute(
            f"SELECT {_MANIFEST}, {_LINK} FROM links l JOIN manifests m ON m.digest = l.digest"  # noqa: S608
            " WHERE l.repository_id = (SELECT id FROM repositories WHERE name = ?) AND l.kind = 'manifest'"
            " AND l.digest > ? ORDER BY l.digest LIMIT ?",
            (repository, after, limit),
        )
        return [self._shown_manifest(repository, row) for row in rows]
