"""Puts damaged rows right by what proves them: the bytes they are about, their own checksum, or the audit log.

A blob's and a manifest's row follow from the bytes. A tag's, a link's and a repository's name follow from the checksum
where one flipped bit explains it (appliance.store.raw_rows), else a tag and a link from the log
(appliance.lifecycle.row_log). What nothing proves stays as it is: it is not served, it
is named, and collections go round it (appliance.lifecycle.doubtful).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, get_args
from zlib import crc32

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings
from appliance.lifecycle.row_log import RowsByLog, key_of
from appliance.outgoing.collect.collector import manifest_row
from appliance.release_check.replay import read_bytes
from appliance.station import Station
from appliance.store.integrity import IntegrityFindings
from appliance.store.raw_rows import RawLink, RawRow, RawTag, unflipped, unflipped_name
from appliance.store.reading import UnreadableError
from appliance.store.reads import row_repair as reads
from appliance.store.rows import as_text
from appliance.store.writes.content import BlobRow
from appliance.store.writes.outgoing import RecordBlobs
from appliance.store.writes.row_repair import (
    REMADE,
    DescribeAnew,
    PutLinkRight,
    PutNameRight,
    PutTagRight,
    RemakeIndexes,
    TakeUnknownRow,
)
from appliance.store.writes.rows import Kind
from appliance.store.writes.write import Write
from bundles.errors import LockgateError, MalformedError, NotFoundError
from bundles.io.display import some
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import check_tag

_INDEX: Final = re.compile(r"row [0-9]+ missing from index (?P<index>[a-z0-9_]+)|"
                           r"row [0-9]+ values differ from index (?P<other>[a-z0-9_]+)")  # fmt: skip


class RowHealing:
    """Acts for `actor` on what a check of the metadata found; `log` gets a line about each row, `attend` is called
    between two and may raise. `described` are manifests that had no row, and have one now."""

    def __init__(
        self, station: Station, actor: str, attend: Callable[[], object], log: Callable[[str], object]
    ) -> None:
        self._station, self._actor, self._attend, self._log = station, actor, attend, log
        self.described: list[str] = []

    def remake_indexes(self, found: IntegrityFindings) -> bool:
        """Make indexes anew where nothing else of the structure is damaged than that rows are missing from them: the
        rows have checksums, an index has none. Whether any was. Raises FailedError."""
        names = set[str]()
        for text in found.structure:
            match = _INDEX.fullmatch(text)
            if match is None:
                return False
            names.add(match["index"] or match["other"])
        if not names or not names <= REMADE:
            return False
        for name in sorted(names):
            self._submit(RemakeIndexes(names=(name,)), "index", name, {}, {}, "rows")
        self._log(
            f"{some(len(names), 'index of the metadata', 'indexes of the metadata')} differed from the rows: made anew"
        )
        return True

    def heal(self, found: IntegrityFindings) -> int:
        """Put right what can be; how many rows. Raises FailedError."""
        wrong = {rows: [one.item for one in found.wrong if one.rows == rows] for rows in ("blob", "manifest")}
        put = self._blobs(wrong["blob"])
        put += self._manifests(wrong["manifest"])
        if found.tags or found.links:
            put += self._names([*found.tags, *found.links])
            names = reads.repository_names(self._station.reader)
            rows: tuple[RawRow, ...] = (*found.links, *found.tags)
            for row in rows:  # links first: a tag counts where its manifest is shown
                self._attend()
                put += self._row(row, names)
        return put

    def _blobs(self, wrong: list[str]) -> int:
        """Rows of whole blobs, from their bytes; a row under a key that nothing knows goes."""
        looker = BlobExaminer(self._station.blobs)
        put = Findings(self._station, self._actor, self._log).put_rows_right(looker, wrong, lambda _: self._attend())
        for raw in reads.unrecorded(self._station.reader):
            self._attend()
            row = self._read(raw)
            if row is not None:
                self._submit(RecordBlobs(blobs=(row,), at=clock.now()), "blob", row.digest, {}, {}, "bytes")
                put += 1
        for item in wrong:
            if not self._has_file(item):
                put += self._take_unknown(item, is_manifest=False)
        return put

    def _take_unknown(self, item: str, *, is_manifest: bool) -> int:
        rows = "manifest" if is_manifest else "blob"
        write = TakeUnknownRow(digest=_raw(item), is_manifest=is_manifest)
        if is_manifest and self._has_file(item):
            return 0
        taken = self._submit(write, rows, item, {"digest": item}, {}, "key")
        if taken:
            self._log(f"the row of a {rows} had a digest that nothing knows, {item}: it is taken away")
        return int(bool(taken))

    def _has_file(self, item: str) -> bool:
        try:
            return self._station.blobs.has_blob(Digest.parse(item))
        except MalformedError:
            return False

    def _read(self, raw: bytes) -> BlobRow | None:
        try:
            digest = Digest.parse(raw.decode())
            facts = self._station.blobs.facts(digest)
        except (MalformedError, UnicodeDecodeError, NotFoundError, UnreadableError):
            return None
        return None if facts is None else BlobRow(digest=str(digest), size=facts[0], crc32=facts[1])

    def _manifests(self, wrong: list[str]) -> int:
        """Rows of whole manifests, from their bytes."""
        put = 0
        for item in dict.fromkeys([*wrong, *map(as_text, reads.undescribed(self._station.reader))]):
            self._attend()
            raw = read_bytes(self._station.blobs, item)
            if raw is None:
                put += self._take_unknown(item, is_manifest=True)
                continue
            try:
                row = manifest_row(Digest.parse(item), raw, parse_manifest(raw), crc32(raw))
            except LockgateError:  # taken in under other rules, by an earlier version
                continue
            event = AuditEvent(Act.DESCRIBE_MANIFEST, self._actor, item, "done", {"fields": ["row"]})
            with recording(self._station.audit, event):
                self._station.writer.submit(DescribeAnew(manifest=row, at=clock.now()))
            if item not in wrong:
                self.described.append(item)
            self._log(f"the row of the manifest {item} was not what was written: it is made anew from its bytes")
            put += 1
        return put

    def _names(self, rows: list[RawRow]) -> int:
        """Names of repositories none of whose rows is right."""
        put = 0
        for repository, name in {row.repository: row.name for row in rows if row.name}.items():
            every = reads.rows_of(self._station.reader, repository, name)
            if any(row.right for row in every):
                continue
            right = unflipped_name(name, every)
            with suppress(UnicodeDecodeError):
                if right is not None and (text := right.decode()).isprintable():
                    write = PutNameRight(repository=repository, wrong=name, right=text)
                    was, now = {"name": as_text(name)}, {"name": text}
                    put += bool(self._submit(write, "repository", text, was, now, "checksum"))
        return put

    def _row(self, row: RawRow, names: Mapping[int, bytes]) -> int:
        right = unflipped(row, names)
        if right is not None and self.is_possible(right):
            return self.exchange(row, right, "checksum")
        if not row.name:
            return 0
        every = reads.rows_of(self._station.reader, row.repository, row.name)
        there = {key_of(one) for one in every if type(one) is type(row)}
        for right in self._log_word.right(row, there):
            if self.is_possible(right):
                return self.exchange(row, right, "log")
        return 0

    @cached_property
    def _log_word(self) -> RowsByLog:
        return RowsByLog(self._station)

    def is_possible(self, row: RawRow) -> bool:
        """Whether a row could be right: it is about content that is held, and a tag's manifest is shown there."""
        try:
            fields = [field.decode() for field in row.fields]
            digest = str(Digest.parse(fields[1] if isinstance(row, RawTag) else fields[0]))
            if isinstance(row, RawTag):
                check_tag(fields[0])
        except (UnicodeDecodeError, LockgateError):
            return False
        if isinstance(row, RawTag):
            return reads.may_be_tagged(self._station.reader, row.repository, digest)
        return fields[1] in get_args(Kind) and reads.is_recorded(self._station.reader, digest)

    def exchange(self, wrong: RawRow, right: RawRow, by: str) -> int:
        """Put a row in a damaged one's place; whether that stood there as it was read. Raises FailedError."""
        was, now = _said(wrong), _said(right)
        if isinstance(wrong, RawTag) and isinstance(right, RawTag):
            rows, item = "tag", f"{as_text(right.name)}:{as_text(right.tag)}"
            put = self._submit(PutTagRight(wrong=wrong, right=right), rows, item, was, now, by)
        elif isinstance(wrong, RawLink) and isinstance(right, RawLink):
            rows, item = "link", f"{as_text(right.name)}@{as_text(right.digest)}"
            put = self._submit(PutLinkRight(wrong=wrong, right=right), rows, item, was, now, by)
        else:
            return 0
        if put:
            self._log(f"the {rows} {item} was not what was written: it is put right, as its {by} says")
        return int(bool(put))

    def _submit(self, write: Write, rows: str, item: str, was: dict[str, Any], now: dict[str, Any], by: str) -> Any:
        detail = {"rows": rows, "was": was, "now": now, "by": by}
        event = AuditEvent(Act.METADATA_REPAIR, self._actor, item, "done", detail)
        with recording(self._station.audit, event):
            return self._station.writer.submit(write)


def _raw(item: str) -> bytes:
    """The bytes of a row's key from how it is shown."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), item.encode())


def _said(row: RawRow) -> dict[str, Any]:
    names = ("tag", "digest", "updated") if isinstance(row, RawTag) else ("digest", "kind", "created")
    return {"repository": as_text(row.name)} | dict(zip(names, map(as_text, row.fields), strict=True))
