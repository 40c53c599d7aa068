"""How a job ended, from what its process said and what it left behind, and the event of a failure it did not record."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.event import AuditEvent, refusal
from appliance.jobs.documents import Job
from appliance.jobs.kinds import kind_of, out_of_memory
from appliance.jobs.runner import died_of_memory
from bundles.errors import CancelledError, FailedError, LockgateError, from_wire, to_wire
from bundles.io.display import safe
from bundles.processes import start

_STATE_OF_EXIT: Final = {3: "refused", 4: "incomplete"}


@dataclass(frozen=True, slots=True)
class Ended:
    """The final state of a job. `unrecorded`: the event of a failure that its process did not record, or None."""

    state: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    unrecorded: AuditEvent | None = None

    def put_on(self, job: Job) -> None:
        """Let the job have ended so, with the parts that it had come to."""
        error = self.error
        if error is not None and job.parts:
            error = {**error, "parts": list(job.parts.values())}
        job.state, job.result, job.error, job.to_sign = self.state, self.result, error, None
        job.finished = clock.now()


def wire(error: LockgateError) -> dict[str, Any]:
    """An error as a job keeps it: `to_wire` and the exit status."""
    return {**to_wire(error), "exit_status": error.exit_status}


def cancelled(job: Job) -> Ended:
    """The end of a job that its caller stopped, which is recorded as `job.cancel`."""
    return Ended("cancelled", error=wire(CancelledError("the job was cancelled", thing=job.id)))


def how_it_ended(
    job: Job, message: dict[str, Any], folder: Path, *, was_cancelled: bool, returncode: int | None = None
) -> Ended:
    """The end of a job whose process is gone. `message`: its last words, where it could say any. `returncode`: that of
    its process, None where none was started.

    A process without memory can record nothing: its failure is recorded here, and so is that of one that died.
    """
    if "done" in message:
        return Ended("done", result=message["done"])
    if was_cancelled:
        return cancelled(job)
    error = message.get("error")
    if error is None:
        error = wire(out_of_memory(job.id) if died_of_memory(folder / "errors") else _died(job, folder, returncode))
    state = _STATE_OF_EXIT.get(error["exit_status"], "failed")
    if message.get("recorded") or state == "incomplete":
        return Ended(state, result=message.get("result"), error=error)
    return Ended(state, error=error, unrecorded=refusal(kind_of(job.kind).act, job.actor, job.id, from_wire(error)))


def _died(job: Job, folder: Path, returncode: int | None) -> FailedError:
    remedy = f"see {folder / 'errors'}, then start it again"
    how = "" if returncode is None else f": it {start.how_it_ended(returncode)}"
    return FailedError(f"the job's process ended without a word{how}", thing=job.id, remedy=remedy)


def append_line(path: Path, text: str) -> None:
    """Append a time-stamped line to a job's log. What the text holds is made visible, so that it is one line and cannot
    stand for others. A line that the disk does not take is lost: no job fails for its log."""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as log:
        log.write(f"{clock.now()} {safe(text)}\n")
