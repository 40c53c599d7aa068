"""Sends the program's log to the collector of the audit log, where `[syslog] program` of config.toml says so.

The files of the outbox are read in the order of their beginning; a file that was sent and that nobody writes to any
more is removed. What the collector has got is written behind each batch, so that a restart sends the last one twice at
most.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from appliance.control.syslog import keep_trying
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.syslog.program_log import ProgramBatch, read_outbox
from appliance.syslog.sending import Collector
from bundles.errors import LockgateError
from bundles.io.display import safe
from bundles.io.files import read_small, write_atomic

_NAME: Final = "program-log"


@dataclass(slots=True)
class ProgramLogSender:
    """What a station sends of its program's log."""

    config: Config
    paths: StationPaths
    _places: dict[str, int] = field(default_factory=dict)
    _fails: str = ""

    @property
    def is_on(self) -> bool:
        """Whether the settings say so."""
        return self.config.syslog.program and bool(self.config.syslog.host)

    async def keep_sending(self) -> None:
        """Until cancelled."""
        self._places = await asyncio.to_thread(self._load)
        collector = Collector(self.config.syslog, self.paths.root)
        try:
            await keep_trying(lambda: self._send_batch(collector), self._failed)
        finally:
            collector.close()

    async def _send_batch(self, collector: Collector) -> bool:
        """Send what comes next, if anything; whether there is more. Raises NotSentError, LockgateError."""
        batch = await asyncio.to_thread(read_outbox, self.paths.log_outbox, dict(self._places), self.config.site)
        if batch.frames:
            await asyncio.to_thread(collector.send, batch.frames)
        self._fails = ""
        if batch.places != self._places or batch.whole:
            await asyncio.to_thread(self._taken, batch)
        return batch.more

    def _taken(self, batch: ProgramBatch) -> None:
        for path in batch.whole:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        gone = {path.name for path in batch.whole}
        self._places = {name: place for name, place in batch.places.items() if name not in gone}
        with contextlib.suppress(LockgateError):  # a full disk: the last batch is sent again after a restart
            write_atomic(self.paths.log_outbox_sent, msgspec.json.encode(self._places), 0o600)

    def _load(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(read_small(self.paths.log_outbox_sent, limits.SYSLOG_STATE), type=dict[str, int])
        except (LockgateError, msgspec.DecodeError, OSError):
            return {}

    def _failed(self, why: str) -> None:
        self._fails = safe(why)

    def check(self) -> dict[str, Any] | None:
        """The check `program-log` of the station's health; None where it is not sent."""
        if not self.is_on:
            return None
        host = self.config.syslog.host
        if self._fails:
            kept = f"the newest {limits.LOG_OUTBOX // 1_000_000} MB of it wait"
            detail = f"{host} does not get the program's log: {self._fails}; {kept}"
            return {"name": _NAME, "ok": False, "detail": detail}
        return {"name": _NAME, "ok": True, "detail": f"{host} gets the program's log"}
