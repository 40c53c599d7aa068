"""Sends the audit log to the collector (docs/adr/0067-syslog.md): the log itself is the outbox, and a file says how far
the collector has got with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.control.log_follower import report
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.syslog.messages import frame_of
from appliance.syslog.reading import Batch, LogReader
from appliance.syslog.sending import Collector, NotSentError
from bundles.errors import LockgateError
from bundles.io.display import safe, some
from bundles.io.files import read_small, write_atomic

_NAME: Final = "syslog"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of each lane that was sent; how many events the collector will never get, and since when that is
    known."""

    heads: dict[int, int] = {}
    lost: int = 0
    lost_at: int = 0


async def keep_trying(send: Callable[[], Awaitable[bool]], failed: Callable[[str], object]) -> None:
    """Send batch after batch until cancelled: at once where there is more, else after a moment, and after one that was
    not taken after longer and longer pauses. `failed` hears why."""
    attempts = 0
    while True:
        try:
            more = await send()
            attempts = 0
            if not more:
                await asyncio.sleep(limits.LOG_LOOK)
            continue
        except NotSentError as error:
            failed(str(error))
        except LockgateError as error:
            failed(error.diagnostics())
        await asyncio.sleep(limits.SYSLOG_PAUSES[min(attempts, len(limits.SYSLOG_PAUSES) - 1)])
        attempts += 1


@dataclass(slots=True)
class Shipper:
    """What a station sends. `told` hears of events that were sent, and that never will be."""

    config: Config
    paths: StationPaths
    told: Callable[[int, int], object]
    state: State = field(default_factory=State)
    _fails: str = ""
    _since: float = 0.0
    """Why nothing is taken, and since when (time.monotonic())."""

    async def keep_sending(self) -> None:
        """Until cancelled. A collector that has got nothing yet is sent all that is in the log."""
        self.state = await asyncio.to_thread(_load, self.paths)
        reader = LogReader(self.paths, dict(self.state.heads))
        collector = Collector(self.config.syslog, self.paths.root)
        try:
            await keep_trying(lambda: self._send_batch(reader, collector), self._failed)
        finally:
            collector.close()

    async def _send_batch(self, reader: LogReader, collector: Collector) -> bool:
        """Send what comes next, if anything; whether there is more. Raises NotSentError, LockgateError: the same is
        sent again then."""
        batch = await asyncio.to_thread(reader.read)
        if not batch.lines:
            reader.taken(batch)
            self._fails = ""
            return False
        site = self.config.site
        await asyncio.to_thread(_send, collector, batch, site)
        self._fails = ""
        state = State(heads=dict(batch.heads), lost=self.state.lost + batch.lost, lost_at=self.state.lost_at)
        if batch.lost:
            state = msgspec.structs.replace(state, lost_at=int(clock.seconds(clock.now())))
        self.state = state
        reader.taken(batch)
        await asyncio.to_thread(_keep, self.paths, state)
        self.told(len(batch.lines), batch.lost)
        return batch.more

    def _failed(self, why: str) -> None:
        if not self._fails:
            self._since = time.monotonic()
        if why != self._fails:
            report("the audit log is not sent to the collector", LockgateError(safe(why)))
        self._fails = why

    def waiting(self, heads: Mapping[int, int]) -> int:
        """How many events the collector has not got, where the log has got to `heads`; 0 without a collector."""
        if not self.config.syslog.host:
            return 0
        return sum(max(0, head - self.state.heads.get(lane, 0)) for lane, head in heads.items())

    def check(self) -> dict[str, Any] | None:
        """The check `syslog` of the station's health; None without a collector."""
        host = self.config.syslog.host
        if not host:
            return None
        if self._fails and time.monotonic() - self._since >= limits.SYSLOG_LATE:
            detail = f"{host} does not get the audit log: {safe(self._fails)}; nothing is lost while it is not pruned"
            return {"name": _NAME, "ok": False, "detail": detail}
        if self.state.lost and clock.seconds(clock.now()) - self.state.lost_at < limits.SYSLOG_LOST:
            gone = f"{some(self.state.lost, 'event')} of the audit log will never reach {host}"
            detail = f"{gone}: they were pruned, or changed, before they were sent; send the export that holds them"
            return {"name": _NAME, "ok": False, "detail": detail}
        return {"name": _NAME, "ok": True, "detail": f"{host} gets the audit log"}


def _send(collector: Collector, batch: Batch, site: str) -> None:
    collector.send([frame_of(line, site) for line in batch.lines])


def _load(paths: StationPaths) -> State:
    """How far the collector has got; from the beginning where that is not known: twice is better than never."""
    try:
        return msgspec.json.decode(read_small(paths.syslog, limits.SYSLOG_STATE), type=State)
    except (LockgateError, msgspec.DecodeError, OSError):
        return State()


def _keep(paths: StationPaths, state: State) -> None:
    """Blocking. A disk that takes no more stops nothing: events are sent again after a restart then."""
    try:
        write_atomic(paths.syslog, msgspec.json.encode(state), 0o600)
    except LockgateError as error:
        report("how far the collector has got was not written", error)
