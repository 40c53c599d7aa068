"""What the demo's station holds, and its clock: what the modules of the demo read and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from appliance.api.bundles import Medium, OutgoingBundle
from appliance.api.errors import ErrorDocument
from appliance.api.intake import IntakeDetail
from appliance.api.people import AccountChange
from appliance.api.trust import OwnKey, TrustedKey
from tests.console.doubles import data
from tests.console.doubles.jobs import DemoJob


@dataclass
class Carried:
    """What both stations of the demo see: the media, and what builds put onto them (artifacts by bundle)."""

    media: list[Medium] = field(default_factory=data.media)
    artifacts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class DemoChange:
    """A change as it is shown, and what is done where it is confirmed."""

    shown: AccountChange
    body: Mapping[str, Any]


class DemoState:
    """A station's content. It begins empty, at 2026-05-04T14:00:00Z; `seconds` only goes forward."""

    def __init__(self, side: str, seconds: Callable[[], float], carried: Carried) -> None:
        self.side = side
        self.site = "bravo" if side == "inside" else "alpha"
        self.seconds = seconds
        self.began = seconds()
        self.start = datetime(2026, 5, 4, 14, 0, 0, tzinfo=UTC).timestamp()
        self.carried = carried
        self.entries: list[IntakeDetail] = []
        self.outgoing: list[OutgoingBundle] = []
        self.demo_jobs: list[DemoJob] = []
        self.said: set[str] = set()
        self.handovers: dict[str, list[dict[str, str]]] = {}
        self.trusted: list[TrustedKey] = []
        self.own_keys: list[OwnKey] = []
        self.accounts: list[dict[str, Any]] = []
        self.changes: list[DemoChange] = []
        self.passwords: dict[str, str] = {}
        self.account = ""
        self.blocked: list[dict[str, Any]] = []
        self.unblocked: set[str] = set()

    def now(self) -> str:
        """The demo's time as the wire writes it."""
        return self.time_of(self.seconds())

    def time_of(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(self.start + seconds - self.began, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def settle(self) -> None:
        """Let jobs that ended since the last call take effect."""
        now = self.seconds()
        for job in self.demo_jobs:
            if not job.settled and job.state(now) == "done" and not isinstance(job.end, ErrorDocument):
                job.result = job.end()
                job.settled = True

    def entries_now(self) -> list[IntakeDetail]:
        """The intake, with what is being read just now."""
        self.settle()
        now = self.seconds()
        arriving = [entry for job in self.demo_jobs if (entry := job.arriving(now)) is not None]
        return [*arriving, *self.entries]
