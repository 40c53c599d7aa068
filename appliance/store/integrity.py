"""Whether the metadata is what was written: its structure, its references, and the checksum of each row.

`findings` takes a reader's connection, and reads everything: some ten seconds for a million blobs. What it finds
is of two kinds. Damage of the structure hides rows that nobody can name, so that nothing is collected or deleted. A
row that is not what was written is named; a collection goes round what it may stand for (docs/adr/0047).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from zlib import crc32

from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import store as limits
from appliance.store.engine import engine_of
from appliance.store.errors import DamagedEngineError
from appliance.store.ports import Reader
from appliance.store.raw_rows import RawLink, RawTag, sum_of
from appliance.store.rows import Rows, as_text
from bundles.errors import FailedError

State = Literal["", "checking", "ok", "rows", "damaged"]
"""`rows`: the structure is whole, and rows that are named are not what was written."""

_OWN_TABLES: Final = frozenset({"tags", "links", "manifests"})
"""Tables whose rows have checksums and are put right one by one: one of them that stands on nothing is no damage of the
structure. Nothing is taken because of it."""

_STEPS: Final = 20_000
"""Steps of SQLite's machine between two calls of `attend`; some milliseconds."""

_TEXT: Final = "COALESCE(CAST(? AS TEXT), '')"
"""Bytes as a text to go on behind. A cast alone would keep SQLite from using more of a key than its first column (an
expression with an affinity does), and each page would read its repository from the beginning."""


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row whose checksum is another one. `repository` is "" for the facts of a manifest or blob, and for the
    database itself, of which `item` says what is wrong."""

    rows: Rows
    repository: str
    item: str

    def __str__(self) -> str:
        if self.rows == "database":
            return f"the metadata cannot be read: {self.item}"
        if self.rows == "blob":  # its bytes may well be whole
            return f"the row of the blob {self.item} is not what was written"
        mark = {"tag": ":", "link": "@"}.get(self.rows, "")
        return f"the {self.rows} {self.repository}{mark}{self.item} is not what was written"


@dataclass(slots=True)
class IntegrityFindings:
    """What a check found: nothing, where `texts` is empty. `structure` is damage that hides what nobody can name;
    `loose` are rows of tags, links and manifests that stand on nothing. `tags` and `links` are their damaged rows as
    they are. `unsummed` counts rows without a checksum, which this program did not write. `described` are manifests
    that had no row, and got one since."""

    structure: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    wrong: list[WrongRow] = field(default_factory=list)
    tags: list[RawTag] = field(default_factory=list)
    links: list[RawLink] = field(default_factory=list)
    wrong_count: int = 0
    unsummed: int = 0
    described: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """What was found, a sentence each; the first of many."""
        every = [*self.structure, *map(str, self.wrong), *self.loose]
        return [text[: limits.METADATA_TEXT] for text in every[: limits.METADATA_NAMED]]

    def add(self, text: str) -> None:
        """Add damage of the structure."""
        if len(self.structure) < limits.METADATA_NAMED:
            self.structure.append(text)

    def add_wrong(self, row: WrongRow, raw: RawTag | RawLink | None) -> None:
        """Add a damaged row."""
        self.wrong_count += 1
        if len(self.wrong) < limits.METADATA_NAMED:
            self.wrong.append(row)
        if isinstance(raw, RawTag) and len(self.tags) < limits.METADATA_ROWS:
            self.tags.append(raw)
        if isinstance(raw, RawLink) and len(self.links) < limits.METADATA_ROWS:
            self.links.append(raw)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the last check of a station said, and when; `rows` are damaged rows that readers met since."""

    state: State
    at: str
    found: list[str]
    rows: list[WrongRow]


class NotCheckedError(FailedError):
    """Nothing is taken away while the metadata is not known to be whole."""


def findings(reader: Reader, attend: Callable[[], object] = lambda: None) -> IntegrityFindings:
    """Compare every index with its table, every reference with its target, and every row of tags, links, manifests,
    blobs and blocks with its checksum.

    A damaged index hides links and tags, and what they stand for would be taken as garbage: each is compared with
    its table. `attend` is called often; what it raises is passed on.
    """
    found, raised = IntegrityFindings(), list[BaseException]()

    def step() -> bool:
        try:
            attend()
        except BaseException as error:
            raised.append(error)
        return bool(raised)

    reader.set_progress_handler(step, _STEPS)
    try:
        _structure(reader, found)
        _rows(reader, found)
    except DamagedEngineError as error:
        if not raised:
            found.add(f"the metadata cannot be read: {error}")
    finally:
        reader.set_progress_handler(None, 0)
    if raised:
        raise raised[0]
    return found


def _structure(reader: Reader, found: IntegrityFindings) -> None:
    engine = engine_of(reader)
    for text in engine.damage(reader, limits.METADATA_NAMED):
        found.add(text)
    for table, other in engine.orphans(reader, limits.METADATA_NAMED):
        text = f"a row of {table} stands on one of {other} that is missing"
        if table not in _OWN_TABLES:
            found.add(text)
        elif text not in found.loose:
            found.loose.append(text)


def _rows(reader: Reader, found: IntegrityFindings) -> None:
    for rows, repository, item, summed, raw in _not_right(reader):
        if summed:
            found.add_wrong(WrongRow(rows, as_text(repository), as_text(item)), raw)
        else:
            found.unsummed += 1


_NotRight = tuple[Rows, bytes, bytes, bool, RawTag | RawLink | None]
"""Of which rows, the repository, the item, whether it has a checksum, and the row where that is needed to fix it."""


def _not_right(reader: Reader) -> Iterator[_NotRight]:
    """Each row that has another checksum than its fields, or none. Texts are read as bytes: a flipped bit makes some of
    them no text. A page of rows is compared at a time: there are millions."""
    for page in _pages(
        reader,
        f"SELECT {_bytes('r.name')}, {_bytes('t.tag')}, {_bytes('t.digest')}, {_bytes('t.updated')}, t.checksum,"  # noqa: S608
        " t.repository_id FROM tags t LEFT JOIN repositories r ON r.id = t.repository_id"
        f" WHERE (t.repository_id, t.tag) > (?, {_TEXT}) ORDER BY t.repository_id, t.tag LIMIT ?",
        (-(1 << 62), b""), (5, 1),
    ):  # fmt: skip
        for name, tag, digest, updated, checksum, repository in [
            row for row in page
            if crc32(b"tag\n%b\n%b\n%b\n%b" % (row[0] or b"", row[1], row[2], row[3])) != row[4]
        ]:  # fmt: skip
            one = RawTag(repository, name or b"", tag, digest, updated, checksum)
            yield "tag", name or b"None", tag, checksum is not None, one
    for page in _pages(
        reader,
        f"SELECT {_bytes('r.name')}, {_bytes('l.digest')}, {_bytes('l.kind')}, {_bytes('l.created')}, l.checksum,"  # noqa: S608
        " l.repository_id FROM links l LEFT JOIN repositories r ON r.id = l.repository_id"
        f" WHERE (l.repository_id, l.digest, l.kind) > (?, {_TEXT}, {_TEXT})"
        " ORDER BY l.repository_id, l.digest, l.kind LIMIT ?",
        (-(1 << 62), b"", b""), (5, 1, 2),
    ):  # fmt: skip
        for name, digest, kind, created, checksum, repository in [
            row for row in page
            if crc32(b"link\n%b\n%b\n%b\n%b" % (row[0] or b"", row[1], row[2], row[3])) != row[4]
        ]:  # fmt: skip
            link = RawLink(repository, name or b"", digest, kind, created, checksum)
            yield "link", name or b"None", digest, checksum is not None, link
    for page in _pages(
        reader,
        f"SELECT {_bytes('digest')}, {_bytes('media_type')}, {_bytes('artifact_type')}, {_bytes('subject')}, size,"  # noqa: S608
        f" {_bytes('annotations')}, checksum FROM manifests WHERE digest > CAST(? AS TEXT) ORDER BY digest LIMIT ?",
        (b"",), (0,),
    ):  # fmt: skip
        for row in page:
            subject = b"None" if row[3] is None else row[3]
            if sum_of(row[0], row[1], row[2], subject, b"%d" % row[4], row[5]) != row[6]:
                yield "manifest", b"", row[0], row[6] is not None, None
    for page in _pages(
        reader,
        f"SELECT {_bytes('digest')}, size, crc32, checksum FROM blobs"  # noqa: S608
        " WHERE digest > CAST(? AS TEXT) ORDER BY digest LIMIT ?",
        (b"",), (0,),
    ):  # fmt: skip
        for row in [row for row in page if crc32(b"blob\n%b\n%d\n%d" % row[:3]) != row[3]]:
            yield "blob", b"", row[0], row[3] is not None, None
    yield from _blocks_not_right(reader)


def _blocks_not_right(reader: Reader) -> Iterator[_NotRight]:
    for page in _pages(
        reader,
        f"SELECT {_bytes('b.digest')}, {_bytes('b.why')}, {_bytes('b.actor')}, {_bytes('b.created')}, s.checksum"  # noqa: S608
        " FROM blocks b INDEXED BY sqlite_autoindex_blocks_1"
        " LEFT JOIN block_sums s ON s.digest = b.digest WHERE b.digest > CAST(? AS TEXT) ORDER BY b.digest LIMIT ?",
        (b"",), (0,),
    ):  # fmt: skip
        for row in page:
            if sum_of(b"block", *row[:4]) != row[4]:
                yield "block", b"", row[0], row[4] is not None, None
    lost = (
        f"SELECT {_bytes('digest')} FROM block_sums s"  # noqa: S608
        " WHERE NOT EXISTS (SELECT 1 FROM blocks b INDEXED BY sqlite_autoindex_blocks_1 WHERE b.digest = s.digest)"
        " ORDER BY digest"
    )
    for (digest,) in reader.execute(lost):
        yield "block", b"", digest, True, None


def _bytes(column: str) -> str:
    return f"CAST({column} AS BLOB)"


def _pages(
    reader: Reader, statement: str, after: tuple[Any, ...], places: tuple[int, ...]
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, a page at a time; the next page goes on behind the last row's columns at `places`. Ends
    where rows are not in their order, which the structure's check names."""
    while page := reader.execute(statement, (*after, lifecycle_limits.GC_PAGE)).fetchall():
        yield page
        begun, after = after, tuple(page[-1][place] for place in places)
        if len(page) < lifecycle_limits.GC_PAGE or after <= begun:
            return


def last_check(reader: Reader) -> Checked:
    """What the last check said; the state is "" where there was none."""
    row = reader.execute("SELECT state, at, found FROM metadata_check").fetchone()
    rows = reader.execute(
        "SELECT rows, repository, item FROM wrong_rows ORDER BY rows, repository, item LIMIT ?",
        (limits.METADATA_NAMED,),
    )
    wrong = [WrongRow(*each) for each in rows]
    if row is None:
        return Checked("", "", [], wrong)
    return Checked(row[0], row[1], json.loads(row[2]), wrong)


def is_distrusted(reader: Reader) -> bool:
    """Whether the last check found the metadata damaged, a reader met a damaged row since, or it went back. Three point
    reads."""
    row = reader.execute(
        "SELECT EXISTS (SELECT 1 FROM metadata_check WHERE state IN ('rows', 'damaged'))"
        " OR EXISTS (SELECT 1 FROM wrong_rows) OR EXISTS (SELECT 1 FROM went_back)"
    ).fetchone()
    return bool(row[0])


def went_back(reader: Reader) -> str:
    """What the database forgot when an older copy took its place, and when that was seen; "" where nothing says so, or
    people have said that this is it."""
    row = reader.execute("SELECT at, what FROM went_back").fetchone()
    return "" if row is None else f"{row[1]}, seen at {row[0]}"


def has_doubtful_rows(reader: Reader) -> bool:
    """Whether a row of tags or links is damaged, by the last check or by who met it since. A point read."""
    row = reader.execute(
        "SELECT EXISTS (SELECT 1 FROM wrong_rows WHERE rows IN ('tag', 'link', 'database'))"
    ).fetchone()
    return bool(row[0])


def require_checked(db: Reader) -> None:
    """Raises NotCheckedError while the metadata is being checked after a start, and where its structure is damaged."""
    state = (db.execute("SELECT state FROM metadata_check").fetchone() or ("",))[0]
    if state == "checking":
        raise NotCheckedError(
            "the metadata is being checked after a start, so nothing is deleted", remedy="try again in a minute"
        )
    if state == "damaged":
        raise NotCheckedError("the metadata is damaged, so nothing is deleted", remedy="see: lockgate status")


def damaged(found: list[str], side: str) -> FailedError:
    """Why nothing is collected on a station of that side: damage of the structure, of which `found` tells."""
    remedy = "copy the folder as it is, stop the station, and run: lockgate rebuild"
    if side == "inside":
        remedy = "keep the folder as it is, and put the newest backup back: docs/howto/after-a-restore.md"
    return FailedError("the metadata is damaged, so nothing is collected", thing=found[0][:200], remedy=remedy)
