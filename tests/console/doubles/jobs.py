"""The demo's jobs: each a script of phases whose progress follows from the clock alone.

Nothing runs in the background. A job's state is computed when it is asked for, so the demo behaves the same under a
test's clock as under the real one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.api.errors import ErrorDocument
from appliance.api.intake import IntakeDetail
from appliance.api.jobs import Dismissed, Job, Part, ToSign


@dataclass(frozen=True)
class Phase:
    """A stretch of a job: its name, how many bytes it works through, how long that takes, what it logs."""

    name: str
    bytes: int
    seconds: float
    log: tuple[str, ...] = ()


@dataclass
class DemoJob:
    """`gate` is the index of the phase that begins only when someone has signed; `end` is what follows the last
    phase: a result, or an error with its final state."""

    id: str
    kind: str
    params: dict[str, Any]
    phases: tuple[Phase, ...]
    end: Callable[[], dict[str, Any]] | ErrorDocument
    began: float
    created: str
    time_of: Callable[[float], str]
    actor: str = "engineer"
    gate: int | None = None
    to_sign: ToSign | None = None
    signed_at: float | None = None
    cancelled_at: float | None = None
    result: dict[str, Any] | None = None
    settled: bool = False
    entry: IntakeDetail | None = None
    shares: tuple[tuple[str, int], ...] = ()
    """The media of a build, each with its bytes."""
    dismissed: Dismissed | None = None
    damaged: int = 0
    """The volume of an import that is not the signed one."""

    def _worked(self, now: float) -> float:
        """Seconds of work done by `now`: time spent waiting at the gate does not count."""
        now = min(now, self.cancelled_at if self.cancelled_at is not None else now)
        worked = now - self.began
        if self.gate is None:
            return worked
        before = sum(phase.seconds for phase in self.phases[: self.gate])
        if self.signed_at is None:
            return min(worked, before)
        return before + now - self.signed_at

    def _place(self, now: float) -> tuple[int, float]:
        """The phase now worked on (one past the last when done) and the seconds into it."""
        left = self._worked(now)
        for index, phase in enumerate(self.phases):
            if index == self.gate and self.signed_at is None:
                return index, 0.0
            if left < phase.seconds:
                return index, left
            left -= phase.seconds
        return len(self.phases), 0.0

    def state(self, now: float) -> str:
        index, _ = self._place(now)
        if index < len(self.phases):
            if self.cancelled_at is not None:
                return "cancelled"
            return "to-sign" if index == self.gate and self.signed_at is None else "running"
        if isinstance(self.end, ErrorDocument):
            return {3: "refused", 4: "incomplete"}.get(self.end.exit_status, "failed")
        return "done"

    def snapshot(self, now: float) -> Job:
        """The job as the control API would send it at `now`."""
        index, into = self._place(now)
        state = self.state(now)
        phase = self.phases[min(index, len(self.phases) - 1)]
        done = phase.bytes if index == len(self.phases) else int(phase.bytes * into / phase.seconds)
        rate = phase.bytes / phase.seconds if state == "running" else None
        finished = None
        if state not in ("running", "to-sign", "queued"):
            finished = self.time_of(self._finish(now))
        return Job(
            id=self.id,
            kind=self.kind,
            params=self.params,
            state=state,
            phase=phase.name,
            done=done,
            total=phase.bytes,
            rate=rate,
            seconds_left=phase.seconds - into if state == "running" else None,
            result=self.result if state == "done" else None,
            error=self.end if isinstance(self.end, ErrorDocument) and finished and state != "cancelled" else None,
            actor=self.actor,
            created=self.created,
            started=self.created,
            finished=finished,
            to_sign=self.to_sign if state == "to-sign" else None,
            dismissed=self.dismissed,
            parts=self._media(now) if self.kind == "build" else self._volumes(now),
        )

    def _media(self, now: float) -> tuple[Part, ...]:
        """Each medium of a build: written in the last phase but one, compared in the last."""
        index, into = self._place(now)
        writing = len(self.phases) - 2
        if not self.shares or index < writing or self.state(now) == "to-sign":
            return ()
        phase = self.phases[min(index, len(self.phases) - 1)]
        worked = into / phase.seconds + (index - writing) if index < len(self.phases) else 2.0
        state = "done" if worked >= 2 else "comparing" if worked >= 1 else "writing"
        return tuple(
            Part(name=path, medium=medium, state=state, done=int(size * worked), total=2 * size)
            for medium, (path, size) in enumerate(self.shares, 1)
        )

    def _volumes(self, now: float) -> tuple[Part, ...]:
        """Each volume of an import, one being read on each medium; the one that `damaged` names is not the signed
        one."""
        index, into = self._place(now)
        if self.entry is None or index == 0:
            return ()
        share = into / self.phases[index].seconds if index < len(self.phases) else 1.0
        parts: list[Part] = []
        for medium in sorted({volume.medium for volume in self.entry.volumes}):
            of_medium = [volume for volume in self.entry.volumes if volume.medium == medium]
            done = int(sum(volume.size for volume in of_medium) * share)
            for volume in of_medium:
                read = max(min(done, volume.size), 0)
                done -= volume.size
                state = "verified" if read == volume.size else "reading" if read else "waiting"
                about = ""
                if volume.index == self.damaged and state == "verified":
                    state, about = "damaged", "platform/postgres:16.6, team/payments-api:2.29.13"
                elif self.damaged and volume.index > self.damaged and state == "verified":
                    state = "waiting"
                name = f"volumes/{volume.index:04d}.7z"
                parts.append(Part(name=name, medium=medium, state=state, done=read, total=volume.size, about=about))
        return tuple(parts)

    def arriving(self, now: float) -> IntakeDetail | None:
        """The intake entry while its volumes are read: those that the bytes done cover are verified."""
        index, _ = self._place(now)
        if self.entry is None or self.state(now) != "running" or index == 0:
            return None
        done, read, volumes = self.snapshot(now).done, 0, []
        for volume in self.entry.volumes:
            read += volume.size
            volumes.append(msgspec.structs.replace(volume, verified=read <= done))
        missing = tuple(volume.index for volume in volumes if not volume.verified)
        return msgspec.structs.replace(
            self.entry, state="receiving", volumes=tuple(volumes), missing_volumes=missing, report=None,
            report_digest=None,
        )  # fmt: skip

    def _finish(self, now: float) -> float:
        if self.cancelled_at is not None and self.state(now) == "cancelled":
            return self.cancelled_at
        begin = self.began if self.gate is None or self.signed_at is None else self.signed_at
        return begin + sum(phase.seconds for phase in self.phases[self.gate or 0 :])

    def log(self, now: float) -> str:
        """Everything logged by `now`, a line each."""
        index, into = self._place(now)
        lines = [f"job {self.id}: {self.kind} for {self.actor}"]
        for number, phase in enumerate(self.phases[: index + 1]):
            if number == self.gate and self.signed_at is None:
                lines.append("waiting for a signature")
                break
            lines.append(f"{phase.name or 'open the bundle'} begins")
            shown = len(phase.log) if number < index else int(len(phase.log) * into / phase.seconds)
            lines.extend(phase.log[:shown])
        match self.state(now):
            case "cancelled":
                lines.append("cancelled; nothing was left behind")
            case "done":
                lines.append("done")
            case "failed" | "refused" | "incomplete" if isinstance(self.end, ErrorDocument):
                lines.append(f"{self.end.what}: {self.end.thing}; {self.end.remedy}")
        return "".join(f"{line}\n" for line in lines)


def waiting(text: bytes, keyid: str, describe: dict[str, Any]) -> ToSign:
    """What a build asks a person to sign."""
    return ToSign(payload=base64.b64encode(text).decode(), purpose="bundle", keyids=(keyid,), describe=describe)
