"""What a job's process does: params and actor come in on its first line. `appliance.jobs.starter` forks it.

It speaks JSON lines: progress, log lines, what is to be signed and the end on stdout; signatures come in on stdin.
It dies with the control process: the kernel kills it, a message that nobody takes ends it, and the writer takes no act
from it without the lease of the control process that runs. A lock in the job's folder keeps two of one job apart.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.handles.granted import Granted, WaitsForClientError, load_grants
from appliance.handles.secrets import SECRET_ROOT, read_secret
from appliance.jobs.kinds import GONE, PartlyDoneError, kind_of, lacked_memory, out_of_memory
from appliance.jobs.signatures import PAYLOAD, is_payload, kept_signatures
from appliance.limits import jobs as limits
from appliance.making_room import give_room
from appliance.origin import require_open
from appliance.paths import StationPaths
from appliance.station import Station, open_station
from appliance.store.errors import AWAY, EngineError, met_absence
from appliance.store.rows import damage_of, is_away
from appliance.store.writer import SocketWriter
from appliance.store.writes.write import Guarded
from bundles.errors import CancelledError, FailedError, LockgateError, to_wire
from bundles.io.files import write_atomic
from bundles.io.threads import take_little_space
from bundles.processes import child

_EVERY: Final = 0.1
"""Seconds between two progress lines; the last of a phase is always sent."""

_PART_EVERY: Final = 0.25
"""Seconds between two words about a part that is at work; a change of its state is always said."""

_ABOUT: Final = 1000
"""Characters of what is said about a part."""

_LAST_WORDS: Final = 4096
"""Bytes of a process's errors that are looked at."""

_KEPT_FREE: Final = [bytes(size) for size in range(0, 512, 16) for _ in range(64)]
"""Memory of every small size, given back where a job has none left: without any, not even a function is called."""

USAGE: Final = "memory at most "
"""How the line of a job's log begins that says what it took; who follows the job is not told, whoever reads the log is.
"""


class Runner:
    """The JobContext of a subprocess."""

    def __init__(
        self,
        station: Station,
        job_id: str,
        kind: str,
        params: Mapping[str, Any],
        actor: str,
        descriptors: Mapping[tuple[str, bool], int],
    ) -> None:
        self.station, self.job_id, self.params, self.actor = station, job_id, params, actor
        self._kind = kind_of(kind)
        self._recorded = False
        self._taken_back: Exception | None = None
        self.folder = station.paths.job(job_id)
        grants = load_grants(self.folder)
        self._secret = descriptors.get(SECRET_ROOT)
        roots = [*station.config.media_roots, *(one.path for one in station.config.drop_folders.values())]
        self._granted = Granted(station.paths, roots, grants, descriptors)
        self._cancelled = False
        self._waiting = False
        self._sent = 0.0
        self._parts: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        signal.signal(signal.SIGTERM, self._cancel)

    def _cancel(self, number: int, frame: object) -> None:
        self._cancelled = True
        if self._waiting:
            raise CancelledError("the job was cancelled", thing=self.job_id)

    def progress(self, phase: str, done: int, total: int) -> None:
        """As JobContext.progress; may be called from any thread."""
        if self._cancelled:
            raise CancelledError("the job was cancelled", thing=self.job_id)
        moment = time.monotonic()
        if moment - self._sent >= _EVERY or done in (0, total):
            self._sent = moment
            self._say({"progress": [phase, done, total]})

    def log(self, text: str) -> None:
        """As JobContext.log."""
        self._say({"log": text[:4000]})

    def part(self, name: str, medium: int, state: str, done: int, total: int, about: str = "") -> None:
        """As JobContext.part; may be called from any thread."""
        moment = time.monotonic()
        before, sent = self._parts.get(name, ("", 0.0))
        if state != before or about or moment - sent >= _PART_EVERY:
            self._parts[name] = (state, moment)
            if state == GONE:
                del self._parts[name]
            fields = {"name": name, "medium": medium, "state": state, "done": done, "total": total}
            self._say({"part": {**fields, "about": about[:_ABOUT]}})

    def record_failure(self, act: Act, thing: str, error: LockgateError) -> None:
        """As JobContext.record_failure."""
        if error is self._taken_back:
            return
        self.station.audit.record(refusal(act, self.actor, thing, error))
        self._recorded = True

    @contextlib.contextmanager
    def recording(self, event: AuditEvent) -> Iterator[None]:
        """As JobContext.recording."""
        try:
            with recording(self.station.audit, event):
                try:
                    yield
                except LockgateError as error:
                    self._taken_back = error
                    raise
        finally:
            self._recorded = self._recorded or self._taken_back is not None

    def path(self, text: str) -> Path:
        """As JobContext.path."""
        return self._granted.path(text)

    def secret(self) -> bytes | None:
        """As JobContext.secret."""
        return None if self._secret is None else read_secret(self._secret)

    def wait_signatures(
        self, payload: bytes, purpose: str, keyids: list[str], describe: Mapping[str, Any]
    ) -> dict[str, bytes]:
        """As JobContext.wait_signatures."""
        signatures = kept_signatures(self.station.paths, self.folder, payload, keyids)
        if set(keyids) <= set(signatures):
            self.log("signed already, before the station was started again")
            return signatures
        if not is_payload(self.folder, payload):  # its time says since when the job has waited
            write_atomic(self.folder / PAYLOAD, payload, 0o600)
        self._granted.let_go()
        missing = [keyid for keyid in keyids if keyid not in signatures]
        self._say({"to_sign": {"purpose": purpose, "keyids": missing, "describe": dict(describe)}})
        self._waiting = True
        try:
            while set(signatures) < set(keyids):
                if self._cancelled:
                    raise CancelledError("the job was cancelled", thing=self.job_id)
                line = sys.stdin.readline()
                if not line:
                    raise FailedError(
                        "the station stopped", thing=self.job_id, remedy="start it again: the job goes on"
                    )
                message = json.loads(line)
                signatures[message["keyid"]] = base64.b64decode(message["signature"])
        finally:
            self._waiting = False
        self._say({"signed": sorted(signatures)})
        return signatures

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the control process. Where it is gone, so is the job: nobody would hear of what it does from now on, and
        an error of this pipe must not be taken for one of the files that the job reads."""
        with self._lock:
            try:
                sys.stdout.write(json.dumps(message) + "\n")
                sys.stdout.flush()
            except OSError:
                os._exit(1)

    def run(self) -> int:
        """Do the work and say how it ended. Returns the exit status."""
        try:
            result = self._kind.load()(self)
            self._account()
            self._say({"done": result})
            return 0
        except WaitsForClientError as error:
            self._say({"waits": {"path": error.path, "why": error.why}})
            return 0
        except Exception as error:
            _KEPT_FREE.clear()
            return self._failed(error)

    def _failed(self, error: Exception) -> int:
        if lacked_memory(error):
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (child.below(hard, limits.JOB_DATA + limits.JOB_WORDS), hard))
            told: LockgateError = out_of_memory(self.job_id)
        elif isinstance(error, LockgateError):
            told = error
        elif isinstance(error, EngineError) and (wrong := damage_of(error)) is not None:
            told = wrong
        elif isinstance(error, EngineError) and is_away(error):
            told = FailedError(
                "the metadata could not be reached",
                thing=str(error)[:200],
                remedy="look at what keeps it, and try again",
            )
        else:
            with contextlib.suppress(OSError):  # a disk that takes no traceback must not keep the end from being said
                print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
            told = FailedError("an internal error", thing=self.job_id, remedy=f"see {self.folder / 'log'}")
        if met_absence(error):
            told.code = AWAY
        self._account()
        result = {"result": told.result} if isinstance(told, PartlyDoneError) else {}
        self._say({"error": {**to_wire(told), "exit_status": told.exit_status}, "recorded": self._recorded, **result})
        return told.exit_status

    def _account(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.log(f"{USAGE}{_peak()} bytes, {usage.ru_utime + usage.ru_stime:.2f} s of processor time")


def _peak() -> int:
    """The most resident memory of this process in bytes (VmHWM, proc(5)). getrusage's ru_maxrss begins with that of
    the process that started it."""
    status = Path("/proc/self/status").read_bytes()
    return int(status.partition(b"VmHWM:")[2].split()[0]) * 1024


def died_of_memory(errors: Path) -> bool:
    """Whether a process that could not say so ended for want of memory: Python's and Rust's last words."""
    with errors.open("rb") as file:
        file.seek(-min(file.seek(0, os.SEEK_END), _LAST_WORDS), os.SEEK_END)
        lines = file.read().splitlines()
    return bool(lines) and lines[-1].startswith((b"MemoryError", b"memory allocation of "))


def _end_without_memory(
    unhandled: sys.UnraisableHookArgs | threading.ExceptHookArgs,
) -> None:
    """A thread that could not begin, or not say that it failed, is waited for without end: the process ends at once,
    as in a power cut, with the word that the control process knows."""
    if unhandled.exc_type is MemoryError:
        os.write(2, b"MemoryError\n")
        os._exit(1)


def main(root: Path, job_id: str, kind: str) -> int:
    """Run one job of the station in `root`. Returns the exit status."""
    sys.unraisablehook = threading.excepthook = _end_without_memory
    take_little_space(limits.JOB_STACK)
    first = json.loads(sys.stdin.readline())
    paths = StationPaths(root)
    descriptor = os.open(paths.job(job_id) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        station = open_station(root, Guarded(SocketWriter(paths.writer_socket, lease=first.get("lease", ""))))
        require_open(paths, station.config)
        give_room(paths, station.blobs, station.audit)
    except LockgateError as error:  # a file of the station went since it was started
        if met_absence(error):
            error.code = AWAY
        told = {"error": {**to_wire(error), "exit_status": error.exit_status}, "recorded": False}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        return error.exit_status
    descriptors = {(root, writes): number for root, writes, number in first.get("handed", [])}
    for number in descriptors.values():
        os.set_inheritable(number, False)
    return Runner(station, job_id, kind, first["params"], first["actor"], descriptors).run()
