"""An outside station in a folder, for tests: real files, a real SQLite file and the one writer; no sockets."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.audit.reading import tail
from appliance.handles.kept_statement import save_statement
from appliance.jobs.kinds import Result
from appliance.outgoing import build
from appliance.outgoing.collect import job as collect
from appliance.paths import StationPaths
from appliance.settings.station import Config, save_config
from appliance.station import Station, open_station
from appliance.store.writer import WriterService
from appliance.store.writes.jobs import CreateJob, MoveJob
from appliance.store.writes.write import Guarded
from bundles.documents.statement import read_statement
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from bundles.signing.keys import PrivateKey, create_private, load_private, save_private
from bundles.signing.pinning import init_trust


class PowerCut(BaseException):
    """The job's process is gone, between two of its lines: nothing of it runs on, not even its error handling."""


@dataclass
class Context:
    """A job's context without a subprocess. `on_progress` and `on_sign` may raise, as a cancel or a power cut does."""

    station: Station
    params: Mapping[str, Any]
    folder: Path
    job_id: str
    keys: Mapping[str, PrivateKey] = field(default_factory=dict)
    actor: str = "tester(0)"
    on_progress: Callable[[str, int, int], object] = lambda *_: None
    on_sign: Callable[[Mapping[str, Any]], object] = lambda _: None
    lines: list[str] = field(default_factory=list)
    progressed: list[tuple[str, int, int]] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    parts: dict[str, tuple[int, str, int, int, str]] = field(default_factory=dict)
    taken_back: LockgateError | None = None

    def progress(self, phase: str, done: int, total: int) -> None:
        self.progressed.append((phase, done, total))
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
        if error is self.taken_back:
            return
        self.station.audit.record(refusal(act, self.actor, thing, error))

    def path(self, text: str) -> Path:
        """The path itself, made where it is to be written, so that a test need not."""
        path = Path(text)
        if text in self.params.get("out", ()) and path.parent.is_dir():
            path.mkdir(exist_ok=True)
        return path

    def secret(self) -> bytes | None:
        return None

    def wait_signatures(
        self, payload: bytes, purpose: str, keyids: list[str], describe: Mapping[str, Any]
    ) -> dict[str, bytes]:
        assert purpose == "bundle"
        self.payloads.append(payload)
        self.on_sign(describe)
        return {keyid: self.keys[keyid].sign(payload) for keyid in keyids}


class Outside:
    """Site alpha, opened; a context manager. It has one key, `engineer`."""

    def __init__(self, root: Path) -> None:
        paths = StationPaths(root)
        for folder in (root, paths.keys, paths.store, paths.run, paths.jobs, paths.audit):
            folder.mkdir(exist_ok=True)
        init_trust(paths.trust, "alpha")
        save_config(paths.config, Config(site="alpha", side="outside", open=True))
        save_private(paths.keys / "engineer.pem", create_private(), None)
        save_private(paths.keys / "audit.pem", create_private(), None)
        self._open(root)

    def _open(self, root: Path) -> None:
        self.root = root
        self.key = load_private(StationPaths(root).keys / "engineer.pem", None)
        self.writer = WriterService(StationPaths(root).database)
        self.station = open_station(root, Guarded(self.writer))
        (rows,) = self.station.reader.execute("SELECT count(*) FROM jobs").fetchone()
        self._jobs = max(rows, len(list(self.station.paths.jobs.iterdir())))

    @classmethod
    def opened(cls, root: Path) -> Outside:
        """The station that an earlier one left in a folder."""
        station = cls.__new__(cls)
        station._open(root)
        return station

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        self.station.metadata.close()
        self.station.reader.close()
        self.writer.close()

    def context(self, kind: str, params: Mapping[str, Any], job_id: str = "") -> Context:
        """A job as control would start it, or (with `job_id`) start it again."""
        params = dict(params)
        since = params.get("since", "none")
        told = read_statement(Path(since)) if since not in ("none", "last") and since.startswith("/") else None
        if not job_id:
            self._jobs += 1
            job_id = f"job-{self._jobs}"
            at = clock.now()
            self.writer.submit(
                CreateJob(id=job_id, kind=kind, params=json.dumps(dict(params)), actor="tester(0)", at=at)
            )
            self.station.paths.job(job_id).mkdir()
            if told is not None:
                save_statement(self.station.paths.job(job_id), told)
        return Context(self.station, params, self.station.paths.job(job_id), job_id, {self.key.public.keyid: self.key})

    def run(self, context: Context, work: Callable[[Any], Result]) -> Result:
        """Do a job's work and end it, as control does; a power cut ends nothing."""
        try:
            result = work(context)
        except LockgateError:
            self.end(context.job_id, "failed")
            raise
        self.end(context.job_id, "done")
        return result

    def end(self, job_id: str, state: str) -> None:
        self.writer.submit(MoveJob(id=job_id, state=state, phase="", done=0, total=0, at=clock.now()))

    def collect(self, *sources: Mapping[str, Any]) -> list[str]:
        """The references collected."""
        context = self.context("collect", {"sources": list(sources)})
        references: list[str] = self.run(context, collect.run)["references"]
        return references

    def collect_layout(self, layout: Path, tag: str | None = None, as_: str | None = None) -> list[str]:
        return self.collect({"kind": "layout", "path": str(layout), "tag": tag, "as": as_})

    def order(self, out: Path | Sequence[Path], *references: str, **changes: Any) -> dict[str, Any]:
        """The params of a build for site bravo."""
        media = [out] if isinstance(out, Path) else out
        return {
            "to": "bravo", "out": [str(path) for path in media], "references": list(references), "volume": "1MiB",
            "sign_with": self.key.public.keyid, **changes,
        }  # fmt: skip

    def building(self, out: Path | Sequence[Path], *references: str, **changes: Any) -> Context:
        """A build job, not yet run."""
        return self.context("build", self.order(out, *references, **changes))

    def build(self, out: Path | Sequence[Path], *references: str, **changes: Any) -> Result:
        return self.run(self.building(out, *references, **changes), build.run)

    def shows(self, reference: str) -> Digest | None:
        """What the station's registry has behind a reference."""
        parsed = Reference.parse(reference)
        if parsed.digest is not None:
            facts = self.station.metadata.linked_manifest(parsed.repository, parsed.digest)
        else:
            facts = self.station.metadata.tagged_manifest(parsed.repository, parsed.tag or "")
        return None if facts is None else facts.digest

    def referrers(self, repository: str, subject: Digest) -> list[Digest]:
        return [facts.digest for facts in self.station.metadata.referrers(repository, subject, 100)]

    @contextlib.contextmanager
    def writer_connection(self) -> Iterator[sqlite3.Connection]:
        """The database, for rows that no write of the station makes."""
        with contextlib.closing(sqlite3.connect(self.station.paths.database, timeout=30)) as db, db:
            yield db

    def bundles(self) -> dict[str, str]:
        """The state of each bundle made, by its id."""
        return dict(self.station.reader.execute("SELECT id, state FROM bundles_out"))

    def events(self, act: str) -> list[dict[str, Any]]:
        return [event for event in tail(self.station.paths.audit, 1000) if event["act"] == act]
