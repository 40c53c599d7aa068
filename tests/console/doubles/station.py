"""The in-memory station: it serves unit tests of the console's screens, and the pictures in docs/screens.

It keeps the promises of the control API that the console leans on: cursors, refusals with a remedy, jobs that wait
for a signature, an intake that is visible to nobody before its release. It never stands in for a station in an
integration test.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from appliance.api.audit import Event
from appliance.api.bundles import Medium, OutgoingBundle, Plan, TakenStatement
from appliance.api.common import Page
from appliance.api.content import Artifact, Component, FoundItem, Repository, Tag
from appliance.api.intake import IntakeDetail, IntakeEntry, LedgerRow, ReleaseAnswer, Stream
from appliance.api.jobs import Dismissed, Job, JobEvent, LogPart, ToSign
from appliance.api.people import Who
from appliance.api.states import PENDING_STATES
from appliance.api.status import Check, Health, JobCounts, LastImport, Status, StoreUse
from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from bundles.documents import signed
from bundles.documents.signed import Approval
from bundles.errors import NotFoundError, RefusedError, UsageError
from tests.console.doubles import accounts, changes, data, further_screens, scripts
from tests.console.doubles import approvals as demo_approvals
from tests.console.doubles import audit as demo_audit
from tests.console.doubles import intake as demo_intake
from tests.console.doubles.jobs import DemoJob
from tests.console.doubles.state import Carried, DemoState
from tests.console.doubles.station_folder import DemoDesk
from tui.station.port import NotLoggedInError

T = TypeVar("T")


def _page(items: Sequence[T], key: Callable[[T], str], limit: int, after: str | None) -> Page[T]:
    """Cursor paging over a list in the order of `key`'s values."""
    start = 0
    if after is not None:
        start = next((place + 1 for place, item in enumerate(items) if key(item) == after), len(items))
    part = tuple(items[start : start + limit])
    more = start + limit < len(items)
    return Page(part, key(part[-1]) if more else None)


class DemoStation(DemoState):
    """A station of site `bravo` (inside) or `alpha` (outside) that lives in this process.

    `seconds` is a clock in seconds that only goes forward; the demo begins at 2026-05-04T14:00:00Z.
    """

    def __init__(
        self,
        side: str = "inside",
        seconds: Callable[[], float] = time.monotonic,
        carried: Carried | None = None,
    ) -> None:
        super().__init__(side, seconds, carried or Carried())
        inside = side == "inside"
        self.entries = demo_intake.entries() if inside else []
        self.outgoing = list(scripts.bundles(inside=inside))
        self.demo_jobs = scripts.history(self) if inside else []
        self.desk = DemoDesk(self)
        self.folder = ""
        self.handovers = demo_audit.handovers() if inside else {}
        self.trusted = list(data.trust())
        self.own_keys = [
            OwnKey(name=name, keyid=data.KEYIDS[name], algorithm="ecdsa-p256", encrypted=True)
            for name in ("engineer", "officer", "deputy")
        ]
        self.events: list[Event] = list(scripts.events())
        self.accounts = accounts.accounts()
        self.changes = changes.changes() if inside else []
        self.account = accounts.TRAINEE

    async def fetch(self, shape: type[T], path: str, **query: object) -> T:
        return further_screens.answer(self, shape, path, query)

    async def lines(self, shape: type[T], path: str, take: Callable[[T], object], **query: object) -> None:
        for line in further_screens.answer(self, list[Any], path, query):
            take(msgspec.convert(line, shape))

    async def send(self, shape: type[T], path: str, body: Mapping[str, Any]) -> T:
        return further_screens.answer(self, shape, path, body)

    async def remove(self, shape: type[T], path: str) -> T:
        return further_screens.answer(self, shape, path, {})

    async def who(self) -> Who:
        if not self.account:
            raise NotLoggedInError("nobody is logged in", remedy="log in")
        return accounts.who(self)

    async def log_in(self, account: str, password: str) -> Who:
        accounts.check(self, account, password)
        self.account = account
        return accounts.who(self)

    async def log_out(self) -> None:
        self.account = ""

    async def status(self) -> Status:
        self.settle()
        now = self.seconds()
        running = sum(job.state(now) in ("running", "to-sign") for job in self.demo_jobs)
        waiting = [entry for entry in self.entries if entry.state in PENDING_STATES]
        newest = max(self.entries, key=lambda entry: entry.received, default=None)
        return Status(
            site=self.site,
            side=self.side,
            version="0.1.0",
            listen="127.0.0.1:5000",
            started="2026-05-01T06:30:12Z",
            store=StoreUse(blobs=2_184, bytes=61_480_000_000, free=187_200_000_000, size=248_680_000_000),
            jobs=JobCounts(running=running, queued=0),
            quarantine=len(waiting),
            account_changes=len(changes.waiting(self)),
            last_import=LastImport(id=newest.id, at=newest.received) if newest else None,
            alerts=(
                "the server certificate ends in 6 days, at 2026-05-11T06:30:00Z",
                "the receipt for alpha.bravo is 9 days old: carry a new one back",
            )
            if self.side == "inside"
            else (),
            health=Health(
                ok=True,
                checks=(
                    Check(name="store", ok=True, detail="187.2 GB free"),
                    Check(name="database", ok=True, detail="last commit 2 s ago"),
                    Check(name="workers", ok=True, detail="2 of 2 answer"),
                    Check(name="clock", ok=True, detail="in step"),
                    Check(name="audit", ok=True, detail="418 events"),
                ),
            ),
        )

    async def repositories(self, *, matching: str = "", limit: int = 200, after: str | None = None) -> Page[Repository]:
        found = [repository for repository in data.repositories() if matching in repository.name]
        return _page(found, lambda repository: repository.name, limit, after)

    async def tags(
        self, repository: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Tag]:
        found = [tag for tag in data.tags(repository) if matching in tag.tag]
        return _page(found, lambda tag: tag.tag, limit, after)

    async def artifact(self, reference: str) -> Artifact:
        found = data.artifact(reference)
        if found is None:
            raise NotFoundError("no such artifact", thing=reference, remedy="look in Repositories")
        return found

    async def sbom(
        self, digest: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Component]:
        found = [component for component in data.components(digest) if matching in component.name]
        return _page(found, lambda component: component.name, limit, after)

    async def find(self, query: str, *, limit: int = 20) -> tuple[FoundItem, ...]:
        return tuple(scripts.find(self, query))[:limit]

    async def plan(self, params: Mapping[str, Any]) -> Plan:
        return scripts.plan(self, params)

    async def start_job(self, kind: str, params: Mapping[str, Any]) -> Job:
        job = scripts.start(self, kind, dict(params))
        self.demo_jobs.insert(0, job)
        return job.snapshot(self.seconds())

    async def jobs(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[Job]:
        self.settle()
        found = [job.snapshot(self.seconds()) for job in self.demo_jobs]
        return _page([job for job in found if state in ("", job.state)], lambda job: job.id, limit, after)

    def demo_job(self, job_id: str) -> DemoJob:
        for job in self.demo_jobs:
            if job.id == job_id:
                return job
        raise NotFoundError("no such job", thing=job_id, remedy="look in Jobs")

    async def job(self, job_id: str) -> Job:
        self.settle()
        return self.demo_job(job_id).snapshot(self.seconds())

    async def cancel_job(self, job_id: str) -> Job:
        job = self.demo_job(job_id)
        if job.state(self.seconds()) in ("running", "to-sign", "queued"):
            job.cancelled_at = self.seconds()
        return job.snapshot(self.seconds())

    async def dismiss_job(self, job_id: str) -> Job:
        job = self.demo_job(job_id)
        job.dismissed = Dismissed(by=self.account, at=self.now())
        return job.snapshot(self.seconds())

    async def job_events(self, job_id: str) -> AsyncIterator[JobEvent]:
        shown, last = 0, None
        while True:
            job = await self.job(job_id)
            if job != last:
                last = job
                yield JobEvent(job=job)
            lines = self.demo_job(job_id).log(self.seconds()).splitlines()
            for line in lines[shown:]:
                yield JobEvent(log=line)
            shown = len(lines)
            if job.final:
                return
            await asyncio.sleep(0.2)

    async def job_log(self, job_id: str, *, after: int = 0) -> LogPart:
        text = self.demo_job(job_id).log(self.seconds())
        return LogPart(text=text[after:], offset=len(text))

    async def to_sign(self, job_id: str) -> ToSign:
        job = await self.job(job_id)
        if job.to_sign is None:
            raise UsageError("the job waits for no signature", thing=job_id, remedy="look at its state")
        return job.to_sign

    async def give_signature(self, job_id: str, keyid: str, signature: bytes) -> Job:
        result = (await self.job(job_id)).result
        if result and keyid in result.get("missing_signers", ()):
            self._check(keyid, b"", signature)
            result["missing_signers"].remove(keyid)
            result["signed_by"].append(keyid)
            return await self.job(job_id)
        wanted = await self.to_sign(job_id)
        self._check(keyid, base64.b64decode(wanted.payload), signature)
        self.demo_job(job_id).signed_at = self.seconds()
        return await self.job(job_id)

    def _check(self, keyid: str, payload: bytes, signature: bytes) -> None:
        from tests.console.doubles.keyring import demo_public

        public = demo_public(keyid)
        if public is None or not public.verify(payload, signature):
            raise RefusedError("the signature does not hold", thing=keyid, remedy="sign with the key that was named")

    async def intake(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[IntakeEntry]:
        found = [demo_intake.summary(entry) for entry in self.entries_now() if state in ("", entry.state)]
        return _page(found, lambda entry: entry.digest, limit, after)

    async def intake_entry(self, bundle: str) -> IntakeDetail:
        for entry in self.entries_now():
            if bundle in (entry.id, entry.digest):
                return msgspec.structs.replace(entry, account_changes=changes.unshown(self))
        raise NotFoundError("no such bundle in the intake", thing=bundle, remedy="look in Intake")

    async def approval_payload(self, bundle: str, *, keyid: str, decision: str, why: str = "") -> bytes:
        entry = await self.intake_entry(bundle)
        now = self.now()
        document = Approval(site=self.site, bundle=entry.id, digest=entry.digest, report=entry.report_digest or "",
                            decision=decision, why=why, keyid=keyid, created=now,
                            not_after=demo_approvals.until(now))  # fmt: skip
        return signed.encode(document)

    async def give_approval(self, bundle: str, *, payload: bytes, keyid: str, signature: bytes) -> IntakeDetail:
        entry = await self.intake_entry(bundle)
        self._check(keyid, payload, signature)
        decided = demo_intake.decide(entry, json.loads(payload), keyid, self.now())
        self._replace(decided)
        return decided

    async def release(self, bundle: str) -> ReleaseAnswer:
        entry = await self.intake_entry(bundle)
        if entry.state != "approved":
            raise RefusedError("not approved by enough people", thing=entry.id, remedy="have another person approve it")
        self._replace(msgspec.structs.replace(entry, state="released"))
        shown = changes.unshown(self)
        changes.show(self, entry.id)
        return ReleaseAnswer(released=demo_intake.references(entry), account_changes=shown)

    def _replace(self, entry: IntakeDetail) -> None:
        self.entries = [entry if one.digest == entry.digest else one for one in self.entries]

    async def streams(self) -> tuple[Stream, ...]:
        return demo_intake.streams(self.entries, self.outgoing)

    async def ledger(self, *, stream: str = "", limit: int = 200, after: str | None = None) -> Page[LedgerRow]:
        rows = [row for row in demo_intake.ledger(self.entries) if stream in ("", row.stream)]
        return _page(rows, lambda row: str(row.entry), limit, after)

    async def bundles(self) -> Sequence[OutgoingBundle]:
        self.settle()
        return tuple(self.outgoing)

    async def take_statement(self, path: str) -> TakenStatement:
        if not path.endswith("receipt"):
            raise UsageError("no such file", thing=path, remedy="in the demo a name that ends in receipt is one")
        return TakenStatement(site="bravo", number=3, custody=("alpha.bravo-000005",), new=False)

    async def trust(self) -> Sequence[TrustedKey]:
        return tuple(self.trusted)

    async def rules(self) -> Sequence[TrustRule]:
        return data.rules()

    async def keys(self) -> Sequence[OwnKey]:
        return tuple(self.own_keys)

    async def media(self) -> Sequence[Medium]:
        return tuple(self.carried.media)

    async def audit(self, *, limit: int = 200, after: str | None = None) -> Page[Event]:
        return _page(self.events, lambda event: event.time, limit, after)

    async def close(self) -> None:
        return None


def demo_pair(seconds: Callable[[], float] = time.monotonic) -> tuple[DemoStation, DemoStation]:
    """The inside and the outside of the demo, with the same media to carry between them."""
    carried = Carried()
    return DemoStation("inside", seconds, carried), DemoStation("outside", seconds, carried)
