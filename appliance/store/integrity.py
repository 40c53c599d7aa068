"""Whether the metadata is what was written: its structure, its references, and the checksum of each row.

`findings` takes a reader's connection, and reads everything: about fifteen seconds for a million blobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from appliance import limits
from appliance.store.errors import DamagedEngineError
from appliance.store.ports import Reader
from appliance.store.rows import Rows, blob_sum, block_sum, link_sum, manifest_sum, tag_sum
from bundles.errors import FailedError

State = Literal["", "checking", "ok", "damaged"]

_STEPS: Final = 20_000
"""Steps of SQLite's machine between two calls of `attend`; some milliseconds."""


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
    """What a check found: nothing, where `texts` is empty. `unsummed` counts rows without a checksum, which this
    program did not write."""

    texts: list[str] = field(default_factory=list)
    wrong: list[WrongRow] = field(default_factory=list)
    unsummed: int = 0

    def add(self, text: str) -> None:
        if len(self.texts) < limits.METADATA_NAMED:
            self.texts.append(text[: limits.METADATA_TEXT])


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

    A damaged index hides links and tags, and what they stand for would be taken as garbage. `quick_check` does not
    compare indexes with tables (SQLite, PRAGMA integrity_check). `attend` is called often; what it raises is passed on.
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
    for (text,) in reader.execute(f"PRAGMA integrity_check({limits.METADATA_NAMED})"):
        if text != "ok":
            found.add(str(text))
    for row in reader.execute("PRAGMA foreign_key_check").fetchmany(limits.METADATA_NAMED):
        found.add(f"a row of {row[0]} stands on one of {row[2]} that is missing")


def _rows(reader: Reader, found: IntegrityFindings) -> None:
    for rows, repository, item, right in _sums(reader):
        if right is None:
            found.unsummed += 1
        elif not right:
            wrong = WrongRow(rows, repository, item)
            found.add(str(wrong))
            if len(found.wrong) < limits.METADATA_NAMED:
                found.wrong.append(wrong)


def _sums(reader: Reader) -> Iterator[tuple[Rows, str, str, bool | None]]:
    """Each row, and whether it is right; None where it has no checksum."""
    for row in _pages(
        reader,
        "SELECT r.name, t.tag, t.digest, t.updated, t.checksum, t.repository_id, t.tag FROM tags t"
        " LEFT JOIN repositories r ON r.id = t.repository_id WHERE (t.repository_id, t.tag) > (?, ?)"
        " ORDER BY t.repository_id, t.tag LIMIT ?",
        (-(1 << 62), ""),
    ):
        yield "tag", str(row[0]), row[1], None if row[4] is None else tag_sum(*row[:4]) == row[4]
    for row in _pages(
        reader,
        "SELECT r.name, l.digest, l.kind, l.created, l.checksum, l.repository_id, l.digest, l.kind FROM links l"
        " LEFT JOIN repositories r ON r.id = l.repository_id WHERE (l.repository_id, l.digest, l.kind) > (?, ?, ?)"
        " ORDER BY l.repository_id, l.digest, l.kind LIMIT ?",
        (-(1 << 62), "", ""),
    ):
        yield "link", str(row[0]), row[1], None if row[4] is None else link_sum(*row[:4]) == row[4]
    for row in _pages(
        reader,
        "SELECT digest, media_type, artifact_type, subject, size, annotations, checksum, digest FROM manifests"
        " WHERE digest > ? ORDER BY digest LIMIT ?",
        ("",),
    ):
        yield "manifest", "", row[0], None if row[6] is None else manifest_sum(*row[:6]) == row[6]
    for row in _pages(
        reader,
        "SELECT digest, size, crc32, checksum, digest FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
        ("",),
    ):
        yield "blob", "", row[0], None if row[3] is None else blob_sum(*row[:3]) == row[3]
    for row in _pages(
        reader,
        "SELECT b.digest, b.why, b.actor, b.created, s.checksum, b.digest"
        " FROM blocks b INDEXED BY sqlite_autoindex_blocks_1"
        " LEFT JOIN block_sums s ON s.digest = b.digest WHERE b.digest > ? ORDER BY b.digest LIMIT ?",
        ("",),
    ):
        yield "block", "", row[0], None if row[4] is None else block_sum(*row[:4]) == row[4]
    lost = (
        "SELECT digest FROM block_sums s"
        " WHERE NOT EXISTS (SELECT 1 FROM blocks b INDEXED BY sqlite_autoindex_blocks_1 WHERE b.digest = s.digest)"
        " ORDER BY digest"
    )
    for (digest,) in reader.execute(lost):
        yield "block", "", digest, False


def _pages(reader: Reader, statement: str, after: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement, a page at a time; its last columns are where the next page goes on."""
    while page := reader.execute(statement, (*after, limits.GC_PAGE)).fetchall():
        yield from page
        if len(page) < limits.GC_PAGE:
            return
        after = page[-1][-len(after) :]


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
    """Whether the last check found the metadata damaged, or a reader met a damaged row since. Two point reads."""
    row = reader.execute(
        "SELECT EXISTS (SELECT 1 FROM metadata_check WHERE state = 'damaged') OR EXISTS (SELECT 1 FROM wrong_rows)"
    ).fetchone()
    return bool(row[0])


def require_checked(db: Reader) -> None:
    """Raises NotCheckedError while the metadata is being checked after a start, and where it is damaged."""
    state = (db.execute("SELECT state FROM metadata_check").fetchone() or ("",))[0]
    if state == "checking":
        raise NotCheckedError(
            "the metadata is being checked after a start, so nothing is deleted", remedy="try again in a minute"
        )
    if state == "damaged":
        raise NotCheckedError("the metadata is damaged, so nothing is deleted", remedy="see: lockgate status")


def damaged(found: list[str]) -> FailedError:
    """Why nothing is collected."""
    return FailedError(
        "the metadata is damaged, so nothing is collected",
        thing=found[0][:200],
        remedy="keep the folder as it is, and put the newest backup back: docs/howto/after-a-restore.md",
    )
