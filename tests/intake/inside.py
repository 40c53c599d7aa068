"""An inside station in a folder, for tests: real files, a real SQLite file and the one writer; no sockets."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.audit.reading import tail
from appliance.intake import approvals, import_job, receipts, release
from appliance.intake.approval_rules import demand_of
from appliance.jobs.kinds import Result
from appliance.origin import Origin, write_origin
from appliance.paths import StationPaths
from appliance.settings.station import Config, save_config
from appliance.station import Station, open_station
from appliance.store.reads.intake import find_entry
from appliance.store.writer import WriterService
from appliance.store.writes.decisions import Approve, Reject, SignedDecision
from appliance.store.writes.ledger import ShutImports
from appliance.store.writes.write import Guarded
from bundles import build
from bundles.errors import LockgateError
from bundles.format.manifest import Artifact, bundle_id
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, PublicKey, create_private, save_private
from bundles.signing.pinning import init_trust, trust_key
from tests.bundles.small import MemoryStore, SmallBundle, content_of, manifest_of, sign

VISIBLE = ("repositories", "manifests", "links", "tags")
INTAKE = ("intake", "intake_volumes", "pins", "approvals", "ledger", "receipts")


def make_station(root: Path, *, open_: bool = True, approvals_needed: int = 2, **settings: Any) -> None:
    """A station's folder for site bravo."""
    paths = StationPaths(root)
    for folder in (root, paths.keys, paths.store, paths.run, paths.jobs, paths.audit):
        folder.mkdir(exist_ok=True)
    init_trust(paths.trust, "bravo")
    for name in ("receipt", "audit", "verdict"):
        save_private(paths.keys / f"{name}.pem", create_private(), None)
    config = Config(site="bravo", side="inside", open=open_, approvals_needed=approvals_needed, **settings)
    save_config(paths.config, config)
    write_origin(paths, Origin(site="bravo", side="inside", open=open_, created=clock.now()))


@dataclass
class Context:
    """A job's context without a subprocess. `on_progress` may raise, as a cancel does."""

    station: Station
    params: Mapping[str, Any]
    folder: Path
    job_id: str
    actor: str = "tester(0)"
    on_progress: Callable[[str, int, int], object] = lambda *_: None
    lines: list[str] = field(default_factory=list)
    parts: dict[str, tuple[int, str, int, int, str]] = field(default_factory=dict)
    taken_back: LockgateError | None = None

    def progress(self, phase: str, done: int, total: int) -> None:
        self.on_progress(phase, done, total)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def part(self, name: str, medium: int, state: str, done: int, total: int, about: str = "") -> None:
        self.parts[name] = (medium, state, done, total, about)

    @contextlib.contextmanager
    def recording(self, event: AuditEvent) -> Iterator[None]:
        with recording(self.station.audit, event):
            try:
                yield
            except LockgateError as error:
                self.taken_back = error
                raise

    def record_failure(self, act: Act, thing: str, error: LockgateError) -> None:
        if error is not self.taken_back:
            self.station.audit.record(refusal(act, self.actor, thing, error))

    def path(self, text: str) -> Path:
        return Path(text)

    def secret(self) -> bytes | None:
        return None

    def wait_signatures(
        self, payload: bytes, purpose: str, keyids: list[str], describe: Mapping[str, Any]
    ) -> dict[str, bytes]:
        raise AssertionError("nothing on the inside waits for a signature")


class Inside:
    """The station, opened; a context manager."""

    def __init__(self, root: Path, **config: Any) -> None:
        """A new station, or the one that is there."""
        self.root = root
        if not root.exists():
            make_station(root, **config)
        self.writer = WriterService(StationPaths(root).database)
        self.station = open_station(root, Guarded(self.writer))
        self.jobs = 0

    def __enter__(self) -> Inside:
        return self

    def __exit__(self, *_: object) -> None:
        self.station.metadata.close()
        self.station.reader.close()
        self.writer.close()

    def trust(self, key: PublicKey, purpose: str = "bundle", owner: str = "Engineering") -> None:
        sites = ["alpha"] if purpose == "bundle" else []
        trust_key(self.station.paths.trust, key, purpose=purpose, owner=owner, sites=sites)

    def officer(self, owner: str = "Officer") -> PrivateKey:
        """A person with a key that is pinned for releases."""
        key = create_private()
        self.trust(key.public, "release", owner)
        return key

    def context(self, job_id: str = "", **params: Any) -> Context:
        self.jobs += 1
        job_id = job_id or f"job-{self.jobs}"
        folder = self.station.paths.job(job_id)
        folder.mkdir(exist_ok=True)
        return Context(self.station, params, folder, job_id)

    def bring(self, *folders: Path, job_id: str = "") -> Result:
        """Import a bundle."""
        return import_job.run(self.context(job_id, paths=[str(folder) for folder in folders]))

    def decide(self, name: str, key: PrivateKey, decision: str = "approve", why: str = "") -> str:
        """Sign the station's own document and hand it in, as the control API does. Returns the entry's state."""
        entry = find_entry(self.station.reader, name)
        payload = approvals.draft(self.station, entry, key.public.keyid, decision, why)
        return self.hand_in(name, key.public.keyid, payload, key.sign(payload))

    def hand_in(self, name: str, keyid: str, payload: bytes, signature: bytes, hand: str = "") -> str:
        """Recorded, then done. `hand` is whose log-in it comes through, else that of the key's owner."""
        entry = find_entry(self.station.reader, name)
        verified = approvals.verify_new(self.station, entry, payload, keyid, signature)
        actor = hand or verified.owner
        document = str(Digest.of(payload))
        detail = {"digest": entry.digest, "keyid": keyid, "document": document}
        event = AuditEvent(f"intake.{verified.approval.decision}", actor, entry.id, "done", detail)
        self.station.audit.record(event)
        kept = SignedDecision(
            keyid=keyid, owner=verified.owner, document=payload.decode(), signature=signature, sealed=verified.sealed
        )
        report, at = verified.approval.report, clock.now()
        if verified.approval.decision == "reject":
            why = verified.approval.why
            state = self.writer.submit(
                Reject(digest=entry.digest, report_digest=report, decision=kept, why=why, actor=actor, at=at)
            )
            self.station.audit.record(AuditEvent(Act.INTAKE_KEPT, "station", entry.digest, "done", detail))
            return str(state)
        policy = self.station.policy()
        needed = demand_of(self.station, policy, entry).people
        if verified.sealed and policy.break_glass is not None:
            needed = policy.break_glass.people
        state = self.writer.submit(
            Approve(digest=entry.digest, report_digest=report, decision=kept, needed=needed, actor=actor, at=at)
        )
        self.station.audit.record(AuditEvent(Act.INTAKE_KEPT, "station", entry.digest, "done", detail))
        return str(state)

    def release(
        self, name: str, only: Sequence[str] = (), actor: str = "tester(0)", *, recorded: bool = True
    ) -> list[str]:
        """As the control API does: recorded, then done."""
        entry = find_entry(self.station.reader, name)
        prepared = release.prepare(self.station, entry, actor, only)
        detail = {"digest": entry.digest, "references": prepared.references, "whole": prepared.write.whole}
        if prepared.artifacts is not None:
            detail["artifacts"] = prepared.artifacts
        if recorded:
            self.station.audit.record(AuditEvent(Act.INTAKE_RELEASE, actor, entry.id, "done", detail))
        self.writer.submit(prepared.write)
        return prepared.references

    def withdraw(self, name: str, why: str = "recalled") -> list[str]:
        """As the control API does: recorded, then done."""
        entry = find_entry(self.station.reader, name)
        write = release.prepare_withdraw(self.station, entry, why, "tester(0)")
        detail: dict[str, Any] = {"digest": entry.digest, "why": why}
        found = write.look(self.station.reader)
        stays, *more = [*found.told()] or [{}]
        if stays:
            detail["stays"] = stays
        events = [AuditEvent("intake.withdraw", "tester(0)", entry.id, "done", detail)]
        events += [
            AuditEvent(Act.INTAKE_LEFT, "tester(0)", entry.digest, "done", {"bundle": entry.id, "stays": part})
            for part in more
        ]
        for event in events:
            self.station.audit.record(event)
        write = msgspec.structs.replace(write, leaves=found.seal())
        return list(self.writer.submit(write))

    def shut(self, at: str = "") -> None:
        """Shut imports as a restore does: recorded, then done."""
        at = at or clock.now()
        self.station.audit.record(AuditEvent(Act.RESTORE, "tester(0)", "bravo", "done", {"why": "a copy", "at": at}))
        self.writer.submit(ShutImports(actor="tester(0)", at=at))

    def receipt(self, out: Path, job_id: str = "") -> Result:
        return receipts.run(self.context(job_id, out=str(out)))

    def state(self, name: str) -> str:
        return find_entry(self.station.reader, name).state

    def visible(self) -> dict[str, list[Any]]:
        """Everything that decides what clients see."""
        return dump(self.station.reader, VISIBLE)

    def everything(self) -> dict[str, list[Any]]:
        """What clients see, and what people know."""
        return dump(self.station.reader, VISIBLE + INTAKE)

    def events(self, act: str) -> list[dict[str, Any]]:
        return [event for event in tail(self.station.paths.audit, 1000) if event["act"] == act]


def dump(reader: sqlite3.Connection, tables: tuple[str, ...]) -> dict[str, list[Any]]:
    """Every row of some tables."""
    return {table: reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}


def small_bundle(root: Path, **changes: Any) -> SmallBundle:
    """A bundle from alpha for bravo that is valid now."""
    times = {"created": clock.now(), "not_after": clock.after(24 * 3600)}
    return SmallBundle(root, **(times | changes))


def name_of(sequence: int = 1) -> str:
    return bundle_id("alpha.bravo", sequence)


@dataclass(frozen=True)
class Carried:
    """A bundle of anything at all, honestly signed."""

    folder: Path
    key: PrivateKey
    signed: build.Signed

    @property
    def digest(self) -> str:
        return str(Digest.of(self.signed.sums))


def carry(
    root: Path, store: MemoryStore, artifacts: Sequence[Artifact], *, volume: int = 2_000_000, **changes: Any
) -> Carried:
    """A bundle of `artifacts` and whatever else the store holds, on one medium."""
    key = create_private()
    content = content_of(store, artifacts)
    laid_out = build.lay_out(content, build.plan_volumes(content, volume, [None]), store, no_progress)
    times = {"created": clock.now(), "not_after": clock.after(24 * 3600)}
    signed = sign(manifest_of(content, laid_out, [key.public.keyid], **(times | changes)), [key])
    root.mkdir()
    return Carried(build.write(signed, store, [root], no_progress)[0], key, signed)
