"""A primary and its stand-by in folders, with an exchange between them; no servers."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.paths import StationPaths
from appliance.standby.documents import Role
from appliance.standby.joining import join
from appliance.standby.role import changed, find_role
from appliance.standby.sending import Sender
from appliance.standby.taking import Taker
from appliance.store.writes.lifecycle import Block
from bundles.signing.keys import PrivateKey
from tests.intake.inside import Inside

LONG_AGO = "2026-01-01T00:00:00Z"


class Pair:
    """The primary is `inside`, open; `officers` hold its release keys."""

    def __init__(self, folder: Path) -> None:
        self.root, self.copy, self.exchange = folder / "bravo", folder / "standby", folder / "exchange"
        self.exchange.mkdir()
        self.inside = Inside(self.root, open_=False)
        self.inside.station.audit.record(AuditEvent(Act.INIT, "tester(0)", "bravo", "done", {}))
        self.officers: list[PrivateKey] = [self.inside.officer("Anna"), self.inside.officer("Boris")]
        self.sender = Sender(self.root, self.exchange)

    def make_standby(self) -> None:
        """A copy of the primary's folder, as a person makes it, that joins."""
        self.sender.send()
        self.stop()
        shutil.copytree(self.root, self.copy, ignore=shutil.ignore_patterns("*.sock"))
        self.start()
        join(self.copy, self.exchange)

    def stop(self) -> None:
        self.inside.__exit__()

    def start(self) -> None:
        self.inside = Inside(self.root)

    def send(self) -> Role:
        return self.sender.send()

    def take(self) -> Role:
        return Taker(self.copy, self.exchange).take()[0]

    def role(self, root: Path | None = None) -> Role:
        found = find_role(StationPaths(root or self.copy), "bravo")
        assert found is not None
        return found

    def block(self, digest: str) -> None:
        """Recorded, then done."""
        said = {"why": "bad", "at": LONG_AGO}
        self.inside.station.audit.record(AuditEvent(Act.BLOCK, "tester(0)", digest, "done", said))
        self.inside.writer.submit(Block(digest=digest, why="bad", actor="tester(0)", at=LONG_AGO))

    def silence(self) -> None:
        """The primary was last heard of long ago."""
        changed(StationPaths(self.copy), self.role(), heard=LONG_AGO)
