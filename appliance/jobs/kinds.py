"""The kinds of job, and what a job's work is handed. Importing this module is cheap: a kind's code is loaded by
the name given here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.limits import jobs as limits
from appliance.permissions import Permission
from appliance.station import Station
from bundles.errors import FailedError, IncompleteError, LockgateError, UsageError

Result = dict[str, Any]

_NO_THREAD: Final = "can't start new thread"
"""Python's words where there is no room for a thread's stack."""

GONE: Final = "gone"
"""The state of a part that nobody need look at any more."""


class JobContext(Protocol):
    """What a job's `run` works with. It runs in a subprocess, in the main thread, and may block."""

    job_id: str
    actor: str
    params: Mapping[str, Any]
    folder: Path
    """The job's own folder, kept: what it needs to go on after a power cut goes here, atomically."""
    station: Station

    def progress(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` bytes are durable (bundles.ports.Progress). Raises CancelledError after a cancel."""
        ...

    def log(self, text: str) -> None:
        """A line for the job's log, which is kept and can be followed."""
        ...

    def part(self, name: str, medium: int, state: str, done: int, total: int, about: str = "") -> None:
        """How far a part of the work is: a medium that is written, a volume that is read, a blob that is fetched.
        `about`: what failed, or what waits for it. Kept while the job runs, and with its error, until its state is
        `GONE`."""
        ...

    def record_failure(self, act: Act, thing: str, error: LockgateError) -> None:
        """Record that the job's act was refused or failed, by the thing it was about. Of a job that fails without this
        the control process records it, by the job's id."""
        ...

    def recording(self, event: AuditEvent) -> AbstractContextManager[None]:
        """`appliance.audit.folder_acts.recording`. What fails inside is recorded by it, and not once more by
        `record_failure`."""
        ...

    def path(self, text: str) -> Path:
        """What was handed over under the name `text`, which is one of the params': the only way to a path that is not
        the station's. Using it may end the run, to begin again when a client has handed the path over anew.

        Raises FailedError for a name under which nothing was.
        """
        ...

    def secret(self) -> bytes | None:
        """The secret that came with the job (appliance.handles.secrets), for its process alone; None where none did,
        or where the station was started again since."""
        ...

    def wait_signatures(
        self, payload: bytes, purpose: str, keyids: list[str], describe: Mapping[str, Any]
    ) -> dict[str, bytes]:
        """Stand in `to-sign` until a client has sent a signature over `payload` by each of `keyids`.

        Control has checked them against their public keys. Meanwhile media are let go of. Raises CancelledError.
        """
        ...


class PartlyDoneError(IncompleteError):
    """A job came to its end, and some of what it was to do failed (exit 4). `result` is that of the rest."""

    def __init__(self, what: str, *, thing: str, remedy: str, result: Result) -> None:
        super().__init__(what, thing=thing, remedy=remedy)
        self.result = result


def telling(context: JobContext, places: Mapping[int, Path]) -> Callable[[int, str, int, int, str], None]:
    """What `bundles.build` tells of media by number, as parts of the job named by their folders."""

    def told(medium: int, state: str, done: int, total: int, about: str) -> None:
        context.part(str(places[medium]), medium, state, done, total, about)

    return told


def out_of_memory(job_id: str) -> FailedError:
    """How a job ends that met `limits.JOB_DATA`."""
    return FailedError(
        f"the job needs more memory than the {limits.JOB_DATA >> 20} MiB that it may use",
        thing=job_id,
        remedy="see its log for what it read last, and start it again without that",
    )


def lacked_memory(error: BaseException) -> bool:
    """Whether memory was lacking, also where that became another error: what was made of it is no judgement."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or (isinstance(seen, RuntimeError) and _NO_THREAD in str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its name, where its `run(context) -> result` lives, a line about it, what whoever starts or
    cancels one must be allowed to, and the act that its failure is recorded as."""

    name: str
    module: str
    function: str
    summary: str
    permission: Permission
    act: Act

    def load(self) -> Callable[[JobContext], Result]:
        """The function that does the work."""
        run: Callable[[JobContext], Result] = getattr(importlib.import_module(self.module), self.function)
        return run


KINDS: Final = {
    kind.name: kind
    for kind in (
        JobKind("collect", "appliance.outgoing.collect.job", "run", "bring artifacts into the store", "collect",
                Act.COLLECT),
        JobKind("build", "appliance.outgoing.build", "run", "build a signed bundle and write it to its media", "build",
                Act.BUNDLE_BUILD),
        JobKind("recut", "appliance.outgoing.recut", "run", "cut media of a bundle again", "build", Act.BUNDLE_RECUT),
        JobKind("import", "appliance.intake.import_job", "run", "verify a bundle into quarantine", "import",
                Act.INTAKE_IMPORT),
        JobKind("inspect", "appliance.intake.inspection", "run", "inspect what is in quarantine anew", "quarantine",
                Act.INTAKE_INSPECT),
        JobKind("gc", "appliance.lifecycle.gc", "run", "take away what nothing shows", "operate", Act.GC),
        JobKind("scrub", "appliance.lifecycle.scrub", "run", "read every blob, withdraw what is damaged", "operate",
                Act.SCRUB),
        JobKind("scan", "appliance.scanning.scan_job", "run", "make SBOMs of images that have none made here", "pull",
                Act.SCAN),
        JobKind("advisories", "appliance.scanning.load", "run", "load an export of advisories", "policy",
                Act.ADVISORIES_LOAD),
        JobKind("sftp-push", "appliance.outgoing.sftp_push", "run", "send bundles to a transfer host", "media",
                Act.SFTP_PUSH),
        JobKind("sftp-pull", "appliance.intake.sftp_pull", "run", "fetch a bundle from a transfer host", "media",
                Act.SFTP_PULL),
        JobKind("sftp-list", "appliance.outgoing.sftp_list", "run", "look what lies on a transfer host", "media",
                Act.SFTP_LIST),
        JobKind("diode-send", "appliance.outgoing.diode_send", "run", "send bundles over a one-way link", "media",
                Act.DIODE_SEND),
        JobKind("diode-receive", "appliance.intake.diode_receive", "run", "receive from a one-way link", "media",
                Act.DIODE_RECEIVE),
        JobKind("warm", "appliance.caching.warm_job", "run", "fill caches before clients ask", "pull", Act.WARM),
        JobKind("replica", "appliance.replication.job", "run", "follow another station", "collect", Act.REPLICA_SYNC),
        JobKind("receipt", "appliance.intake.receipts", "run", "state what this station holds", "receipt",
                Act.RECEIPT_EXPORT),
    )
}  # fmt: skip


def kind_of(name: str) -> JobKind:
    """The kind of that name. Raises UsageError."""
    if name not in KINDS:
        raise UsageError("unknown kind of job", thing=repr(name)[:60], remedy=f"use one of {', '.join(KINDS)}")
    return KINDS[name]
