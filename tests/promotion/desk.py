"""A station with the stages dev, staging and production, served, and content that passes or does not."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from aiohttp import web

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.reading import tail
from appliance.control.api import CONTROL
from appliance.image_signatures.applied import sign
from appliance.paths import StationPaths
from appliance.permissions import Caller, Grant, Role, Rules
from appliance.settings.gates import Gate, Stage
from appliance.settings.image_policy import PolicyRules
from appliance.store.writes.write import Write, under_event
from bundles.signing.keys import PrivateKey, create_private
from tests.conformance.shapes import Content, image
from tests.control.test_openapi import serving
from tests.control.test_repository_acts import Somebody, push
from tests.gates.known import harmless, load, scan
from tests.intake.inside import Inside

RULES = PolicyRules(
    gate=[Gate(repositories=["production/**", "staging/**"], max_severity="medium")],
    stage=[
        Stage(name="dev", entry="any", immutable=True, moving=["latest"]),
        Stage(name="staging", sources=["dev"], entry="promotion"),
        Stage(name="production", sources=["staging"], immutable=True, moving=["stable"]),
    ],
)
NUMBERS = itertools.count(1)


@dataclass
class Desk:
    """`opened` is the station itself, whose writes need no event here; `app` the application of repositories."""

    root: Path
    base: str
    app: web.Application
    opened: Inside
    people: list[PrivateKey]
    callers: Somebody
    name: str = ""
    refused: list[str] = field(default_factory=list)

    @property
    def paths(self) -> StationPaths:
        return StationPaths(self.root)

    def submit(self, write: Write) -> Any:
        with under_event():
            return self.app[CONTROL].station.writer.submit(write)

    def apply(self, rules: PolicyRules) -> None:
        for key in self.people:
            sign(self.root, rules, key)

    def new(self) -> str:
        """A name for a repository of a test's own."""
        self.name = f"team/app{next(NUMBERS)}"
        return self.name

    def push(self, content: Content, *tags: str, stage: str = "dev", scanned: bool = True) -> Content:
        """As a client pushes, each act recorded."""
        for child in content.children:
            self.push(child, scanned=scanned, stage=stage)
        push(_Pushing(self), f"{stage}/{self.name}", content, *tags)  # type: ignore[arg-type]
        if scanned and not content.children:
            scan(self.submit, self.paths, content.digest)
        return content

    def image(self, *tags: str, scanned: bool = True, stage: str = "dev") -> Content:
        return self.push(image(), *tags, scanned=scanned, stage=stage)

    def be(self, *roles: tuple[Role, str]) -> None:
        self.callers.now = Caller("alice", grants=tuple(Grant(role, pattern) for role, pattern in roles))

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        answer = requests.post(f"{self.base}{path}", json=body, timeout=30)
        return answer.status_code, answer.json()

    def promote(self, reference: str, to: str, **more: Any) -> tuple[int, Any]:
        """`reference` is STAGE:TAG or STAGE@DIGEST of the test's repository."""
        mark = "@" if "@" in reference else ":"
        stage, _, rest = reference.partition(mark)
        return self.post("/v1/promotions", source=f"{stage}/{self.name}{mark}{rest}", to=to, **more)

    def rollback(self, channel: str, **more: Any) -> tuple[int, Any]:
        return self.post("/v1/rollbacks", channel=channel, **more)

    def history(self, channel: str, **query: str) -> Any:
        return requests.get(f"{self.base}/v1/promotions", {"channel": channel, **query}, timeout=30).json()

    def target(self, stage: str, tag: str) -> str | None:
        return self.app[CONTROL].station.metadata.tag_target(f"{stage}/{self.name}", tag)

    def links(self, stage: str) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.root / "metadata.sqlite")) as reader:
            rows = reader.execute(
                "SELECT l.digest FROM links l JOIN repositories r ON r.id = l.repository_id WHERE r.name = ?",
                (f"{stage}/{self.name}",),
            )
            return {digest for (digest,) in rows}

    def events(self, act: Act, outcome: str = "done") -> list[dict[str, Any]]:
        found = [one for one in tail(self.root / "audit", 4000) if one["act"] == act and one["outcome"] == outcome]
        return [one for one in found if self.name in one["thing"]]


class _Pushing:
    """What `push` takes for a station."""

    def __init__(self, desk: Desk) -> None:
        self.station = desk.app[CONTROL].station
        self.writer = self.station.writer


@contextlib.contextmanager
def desk(root: Path) -> Iterator[Desk]:
    """The station in a folder, served."""
    with Inside(root, approvals_needed=1) as inside:
        people = [inside.officer("Anna"), inside.officer("Boris")]
        load(inside.writer.submit, inside.station.paths, harmless())
    for key in people:
        sign(root, RULES, key)
    with serving(root) as (base, app):
        app[CONTROL].callers = callers = Somebody()
        app[CONTROL].rules = Rules()
        yield Desk(root, base, app, inside, people, callers)


def record(desk: Desk, act: Act, thing: str, write: Write, **detail: Any) -> None:
    """An act of somebody else, recorded and done."""
    station = desk.app[CONTROL].station
    with recording(station.audit, AuditEvent(act, "somebody", thing, "done", detail)):
        station.writer.submit(write)


__all__ = ("Desk", "create_private", "desk", "record")
