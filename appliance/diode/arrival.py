"""What has come of one transfer, in a folder of its own: it survives a kill, and is at no time larger than the bundle
and a hundredth.

| name | what |
|---|---|
| `head` | the head of the session that began it, signed |
| `table` | block 0, once it is whole |
| `spool/<block>` | symbols of a block that is not whole: records of 4 bytes (ESI) and a symbol |
| `bundle/` | the bundle's files in their sizes; blocks are written where they belong |
| `done` | the numbers of the blocks that are whole and synced, 4 bytes each |
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance.diode import table as tables
from appliance.diode.coding import Coder
from appliance.diode.geometry import ESI
from appliance.diode.missing import make_code
from appliance.diode.session import HEAD, Session
from appliance.limits import diode as limits
from bundles.errors import FailedError, MalformedError, RefusedError
from bundles.format import sums
from bundles.io.files import create_new, failures_named, read_small, sync_folder, write_atomic
from bundles.io.files import open_again as open_file

_NUMBER: Final = struct.Struct(">I")
_TABLE: Final = 0
_MORE: Final = 64
"""Symbols of a block that are kept beyond those that should suffice."""


@dataclass(slots=True)
class _Open:
    """A block that symbols come for: which it has, and those that are not in its spool yet."""

    seen: set[int]
    held: list[bytes] = field(default_factory=list)


class Arrival:
    """One transfer on its way in."""

    def __init__(self, folder: Path, session: Session) -> None:
        """What is in `folder`, which is this session's transfer's. Raises OSError."""
        self.folder, self.session, self.geometry = folder, session, session.geometry
        self.table: tables.Table | None = None
        self._done: set[int] = set()
        self._counts: dict[int, int] = {}
        self._need: dict[int, int] = {}
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._ready: dict[int, None] = {}
        self._asked: set[int] = set()
        self._load()

    @classmethod
    def begin(cls, folder: Path, head: bytes, session: Session) -> Arrival:
        """A transfer that begins, or goes on where another session left it. Raises LockgateError, OSError."""
        for made in (folder, folder / "spool"):
            made.mkdir(mode=0o700, exist_ok=True)
        if not (folder / "head").exists():
            write_atomic(folder / "head", head, 0o600)
        return cls(folder, session)

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            raw = (self.folder / "done").read_bytes()[: 8 * (self.geometry.blocks + 1)]
            whole = len(raw) - len(raw) % _NUMBER.size
            numbers = (number for (number,) in _NUMBER.iter_unpack(raw[:whole]))
            self._done = {number for number in numbers if number <= self.geometry.blocks}
        record = _NUMBER.size + self.session.symbol
        for path in (self.folder / "spool").iterdir():
            number = int(path.name) if path.name.isdecimal() and len(path.name) < 9 else -1
            if not 0 <= number <= self.geometry.blocks or number in self._done:
                path.unlink()
                continue
            size = path.stat().st_size
            self._counts[number] = size // record
            if self._counts[number] >= self._needed(number):
                self._ready[number] = None
            if size % record:
                os.truncate(path, size - size % record)
        if _TABLE in self._done:
            raw = read_small(self.folder / "table", self.session.table_size)
            if hashlib.sha256(raw).hexdigest() == self.session.table:
                self._take_table(raw)
            else:
                self._done.discard(_TABLE)
        if self.table is None:
            self._done.clear()  # nothing is where it belongs before its place is known

    @property
    def whole(self) -> bool:
        """Whether every block is."""
        return len(self._done) == self.geometry.blocks + 1

    def missing(self) -> list[int]:
        """The blocks, without the table, that are not whole."""
        return [number for number in range(1, self.geometry.blocks + 1) if number not in self._done]

    @property
    def lacks_table(self) -> bool:
        return self.table is None

    @property
    def done_bytes(self) -> int:
        """Bytes of the blocks that are whole."""
        done = len(self._done) - (_TABLE in self._done)
        last = self.geometry.blocks
        short = self.geometry.block - self.geometry.span(last)[1] if last in self._done else 0
        return done * self.geometry.block - short

    def code(self) -> str:
        """The code of what is missing; of a transfer that lacks its table alone, of its first block."""
        missing = self.missing() or ([1] if self.lacks_table else [])
        return make_code(self.session.transfer, missing, self.geometry.blocks)

    def length(self, number: int) -> int:
        """Bytes of a block."""
        return self.session.table_size if number == _TABLE else self.geometry.span(number)[1]

    def take(self, number: int, esi: int, symbol: bytes) -> bool:
        """Keep a symbol of a block; whether it was of use. Raises OSError."""
        if number > self.geometry.blocks or esi >= ESI or number in self._done or number in self._asked:
            return False
        block = self._opened(number)
        if esi in block.seen or len(block.seen) >= self._needed(number) + _MORE:
            return False
        block.seen.add(esi)
        block.held.append(_NUMBER.pack(esi) + symbol)
        self._counts[number] = len(block.seen)
        if is_enough := self._counts[number] == self._needed(number):
            self._ready[number] = None
        if is_enough or len(block.held) * len(symbol) >= limits.DIODE_HELD:
            self._flush(number, block)
        return True

    def _needed(self, number: int) -> int:
        return self._need.get(number) or self.geometry.count(self.length(number))

    def _opened(self, number: int) -> _Open:
        found = self._open.get(number)
        if found is not None:
            self._open.move_to_end(number)
            return found
        while len(self._open) >= limits.DIODE_OPEN:
            self._flush(*self._open.popitem(last=False))
        seen: set[int] = set()
        record = _NUMBER.size + self.session.symbol
        with contextlib.suppress(FileNotFoundError):
            spool = self._spool(number).read_bytes()
            seen = {_NUMBER.unpack_from(spool, at)[0] for at in range(0, len(spool) - record + 1, record)}
        self._open[number] = _Open(seen)
        return self._open[number]

    def _spool(self, number: int) -> Path:
        return self.folder / "spool" / f"{number:07d}"

    def _flush(self, number: int, block: _Open) -> None:
        if not block.held:
            return
        with self._spool(number).open("ab") as file:
            file.write(b"".join(block.held))
        block.held.clear()

    def flush(self) -> None:
        """Write down all that is in memory alone. Raises OSError."""
        for number, block in self._open.items():
            self._flush(number, block)

    def ask(self, coder: Coder) -> int | None:
        """Have a block decoded that has enough symbols, and say which; None where there is none now."""
        number = next(iter(self._ready), None) if self.table is not None else _TABLE
        if number is None or number not in self._ready:
            return None
        del self._ready[number]
        if (block := self._open.get(number)) is not None:
            self._flush(number, block)
        coder.decode(
            self.length(number), self.session.symbol, self._spool(number), self._sum(number), self._places(number)
        )
        self._asked.add(number)
        return number

    def _sum(self, number: int) -> str:
        if number == _TABLE or self.table is None:
            return self.session.table
        return self.table.blocks[number - 1]

    def _places(self, number: int) -> list[tuple[str, int, int]]:
        if number == _TABLE or self.table is None:
            with contextlib.suppress(FileExistsError):
                os.close(create_new(self.folder / "table", 0o600))
            return [(str(self.folder / "table"), 0, self.session.table_size)]
        return [
            (str(self.folder / "bundle" / piece.name), piece.offset, piece.size)
            for piece in tables.pieces(self.table.files, *self.geometry.span(number))
        ]

    def answered(self, number: int, state: str) -> None:
        """What became of a block. Raises MalformedError for a table that is none, OSError."""
        self._asked.discard(number)
        if state == "more":
            self._need[number] = self._counts.get(number, 0) + 1
            return
        self._open.pop(number, None)
        self._counts.pop(number, None)
        self._need.pop(number, None)
        self._spool(number).unlink(missing_ok=True)
        if state != "done":
            return
        if number == _TABLE:
            self._take_table(read_small(self.folder / "table", self.session.table_size))
        with (self.folder / "done").open("ab") as file:
            file.write(_NUMBER.pack(number))
        self._done.add(number)

    def _take_table(self, raw: bytes) -> None:
        table = tables.decode(raw, self.geometry)
        digest = self.session.digest
        if not digest.startswith("sha256:") or sums.NAME not in {file.name for file in table.files}:
            raise MalformedError("a table of no bundle", thing=self.session.bundle)
        for folder in (self.folder / "bundle", self.folder / "bundle" / "volumes"):
            folder.mkdir(mode=0o755, exist_ok=True)
        for file in table.files:
            descriptor = open_file(self.folder / "bundle" / file.name)
            try:
                if os.fstat(descriptor).st_size != file.size:
                    os.truncate(descriptor, file.size)
                os.fchmod(descriptor, 0o644)
            finally:
                os.close(descriptor)
        self.table = table

    def deliver(self, folder: Path) -> Path:
        """Give the whole bundle its name in `folder`. Raises RefusedError where another one has it, FailedError."""
        target = folder / self.session.bundle
        with failures_named(target, "the bundle cannot get its name"):
            if is_delivered(folder, self.session):
                self.forget()
                return target
            sync_folder(self.folder / "bundle" / "volumes")
            sync_folder(self.folder / "bundle")
            if not sum_is(self.folder / "bundle" / sums.NAME, self.session.digest):
                raise RefusedError(
                    "the bundle is not the one that was announced", thing=self.session.bundle,
                    remedy="ask who sent it; have it sent again",
                )  # fmt: skip
            try:
                (self.folder / "bundle").rename(target)
            except OSError as error:
                if not target.exists():
                    raise
                raise RefusedError(
                    "another folder of this name lies there", thing=str(target),
                    remedy="take it away; the bundle gets its name when it is sent again",
                ) from error  # fmt: skip
            sync_folder(folder)
        self.forget()
        return target

    def forget(self) -> None:
        """Remove all of it. Raises FailedError."""
        with failures_named(self.folder, "cannot be removed"):
            shutil.rmtree(self.folder)


def sum_is(path: Path, digest: str) -> bool:
    """Whether a small file has this sha256. Raises OSError."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest


def is_delivered(folder: Path, session: Session) -> bool:
    """Whether this very bundle lies there already, by its SHA256SUMS."""
    try:
        return sum_is(folder / session.bundle / sums.NAME, session.digest)
    except OSError:
        return False


def read_head(folder: Path) -> bytes | None:
    """The head that a transfer's folder was begun with, or None where it is none."""
    try:
        return read_small(folder / "head", HEAD)
    except (RefusedError, FailedError):
        return None
