"""Whether the audit log explains an account, for whoever logs in: one process's answer
(docs/adr/0043-accounts-by-the-log.md).

The log is read once, and what came since for each epoch, and where a row says more than was read. Whatever takes
something away from an account changes the epoch, so that an earlier row which is put back by hand counts no more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from appliance.audit.acts import mark
from appliance.audit.reading import own_heads, own_since
from appliance.limits import lifecycle as limits
from appliance.paths import StationPaths
from appliance.release_check.account_record import ABOUT, AccountRecord, Accounts
from appliance.release_check.changed_accounts import Wrong, wrong_in
from appliance.release_check.log_record import read_log
from appliance.store.epoch import epoch_of
from appliance.store.ports import Reader
from appliance.store.reads.account_rows import AccountRow, account_row

_NONE: Final = b""
"""No epoch."""
_KEPT: Final = 256
"""Accounts that are remembered as refused; the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the log said under an epoch. `record`: None where it has no base yet, or where it is damaged, which
    `lockgate audit verify` says; `heads`: how far each lane was read, at the least; `until`: the monotonic time up to
    which it counts."""

    epoch: bytes
    record: AccountRecord | None
    heads: Mapping[int, int]
    until: float = math.inf
    stands: Accounts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stands", Accounts() if self.record is None else self.record.stands())

    def wrong(self, row: AccountRow) -> Wrong | None:
        """The first thing in an account's rows that the log does not explain."""
        if self.record is None or row.name in self.record.unsure:
            return None
        return next(iter(wrong_in(row, self.stands)), None)


class ExplainedAccounts:
    """Holds accounts against the log. Of one event loop; `reader` is read on it."""

    def __init__(self, paths: StationPaths, site: str, reader: Reader) -> None:
        self._paths, self._site, self._reader = paths, site, reader
        self._epoch = epoch_of(paths.database)
        self._known: _Known | None = None
        self._refused: OrderedDict[str, tuple[str, float, Wrong]] = OrderedDict()
        self._turn = asyncio.Lock()

    def forget(self) -> None:
        """Read what is new in the log before the next answer: an account was changed."""
        if self._known is not None:
            self._known = replace(self._known, epoch=_NONE)
        self._refused.clear()

    async def wrong(self, name: str, *, waits: bool = False) -> Wrong | None:
        """The first row of an account that no event explains, as what it is and `unexplained` or `changed`; None for
        an account that is explained, or that is none. `waits`: changes that wait are held against the log too.

        Never blocks the loop. Raises FailedError where the log cannot be read.
        """
        row = account_row(self._reader, name)
        if row is None:
            return None
        if not waits:
            row = replace(row, waits=())
        seal = row.seal()
        refused = self._refused.get(name)
        if refused is not None and refused[0] == seal and time.monotonic() < refused[1]:
            return refused[2]  # who is refused does not make the station read its log with each attempt
        seen = self._known
        if self._is_right(row):
            return None
        async with self._turn:
            if self._known is not seen and self._is_right(row):
                return None
            epoch = self._epoch.seen()
            self._known = known = await asyncio.to_thread(self._read, epoch, self._known)
        wrong = known.wrong(row)
        if wrong is not None:
            self._refused[name] = (seal, time.monotonic() + limits.UNEXPLAINED_KEPT, wrong)
            self._refused.move_to_end(name)
            while len(self._refused) > _KEPT:
                self._refused.popitem(last=False)
        return wrong

    def _is_right(self, row: AccountRow) -> bool:
        known = self._known
        return (
            known is not None
            and time.monotonic() < known.until
            and known.epoch == self._epoch.seen()
            and known.wrong(row) is None
        )

    def _read(self, epoch: bytes, known: _Known | None) -> _Known:
        if known is not None and known.record is not None:
            heads = own_heads(self._paths)
            record = known.record.with_newer(own_since(self._paths, known.heads, map(mark, ABOUT)))
            if record is not None:
                return _Known(epoch, record, heads)
        heads = own_heads(self._paths)
        log = read_log(self._paths, self._site, acts=ABOUT)
        if log.lost or log.damaged:
            return _Known(epoch, None, heads, time.monotonic() + limits.UNEXPLAINED_KEPT)
        if not log.deeds.accounts.known:  # the base is recorded at a start: who came before it is looked at again
            return _Known(epoch, None, heads, 0.0)
        return _Known(epoch, log.deeds.accounts, heads)
