"""The `diode-receive` job: listen at a one-way link, and deliver whole bundles into its drop folder.

It runs until it is cancelled, and again after the station was started anew. What it delivers is imported as whatever
lies in a drop folder: into quarantine, by the import that everybody uses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.diode import receiver_state
from appliance.diode.coding import Coder
from appliance.diode.link_key import link_key
from appliance.diode.names import drop_folder, find_diode
from appliance.diode.receiver import Receiver, listen, receive
from appliance.diode.session import Session
from appliance.jobs.documents import WAITS
from appliance.jobs.kinds import GONE, JobContext, PartlyDoneError, Result
from appliance.outgoing.build_params import convert
from appliance.settings.diodes import split_address
from bundles.errors import LockgateError, UsageError

_NOTE_EVERY: Final = 2.0
"""Seconds between two notes of how it stands; what came meanwhile is written down too."""


class ReceiveParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the diode, and whether it ends once a session came and is over."""

    from_: str = msgspec.field(name="from")
    once: bool = False


def run(context: JobContext) -> Result:
    """Receive. The result, of `once` alone: diode, delivered [{id, path, digest, bytes}], missing [{id, blocks,
    missing, code}], datagrams {how: count}.

    Raises UsageError, FailedError, PartlyDoneError (exit 4) where it ends and blocks are missing.
    """
    params = convert(context.params, ReceiveParams)
    try:
        return _Listening(context, params).run()
    except LockgateError as error:
        context.record_failure(Act.DIODE_RECEIVE, params.from_[:80], error)
        raise


class _Listening:
    def __init__(self, context: JobContext, params: ReceiveParams) -> None:
        self._context, self._params = context, params
        config, paths = context.station.config, context.station.paths
        self._settings = find_diode(config.diodes, params.from_)
        drop = drop_folder(self._settings, config.drop_folders)
        if config.side != "inside" or drop is None:
            raise UsageError(
                "an outside station receives nothing", thing=params.from_, remedy="receive at the inside station"
            )
        self._drop = drop
        self._link = link_key(paths.root, params.from_) if self._settings.key else b""
        self._file = paths.diode(params.from_)
        self._delivered: list[dict[str, Any]] = []
        self._missing: dict[str, Session] = {}
        self._noted, self._last = 0.0, receiver_state.ReceiverState()

    def run(self) -> Result:
        site, trust = self._context.station.config.site, self._context.station.trust
        with Coder() as coder, contextlib.ExitStack() as stack:
            bound, self._buffer = listen(split_address(self._settings.address))
            stack.callback(bound.close)
            self._receiver = Receiver(self._drop, site, self._link, trust, coder, self._context.log, self._delivering)
            stack.callback(self._receiver.flush)
            self._context.log(f"listening at {self._settings.address}; the kernel holds {self._buffer} bytes")
            receive(bound, self._receiver, coder, self._look)
        self._note()
        missing = [
            {"id": one.id, "blocks": one.blocks, "missing": one.missing, "code": one.code}
            for one in (receiver_state.of(arrival) for arrival in self._receiver.arrivals.values())
            if one.id in self._missing
        ]
        result: Result = {
            "diode": self._params.from_, "delivered": self._delivered, "missing": missing,
            "datagrams": self._receiver.counts,
        }  # fmt: skip
        if missing:
            first = missing[0]
            raise PartlyDoneError(
                "blocks have not come", thing=f"{first['id']}: {first['missing']} of {first['blocks']}",
                remedy="receive again, and have them sent: lockgate diode send DIR --over NAME --missing"
                f" {first['code']}", result=result,
            )  # fmt: skip
        return result

    @contextlib.contextmanager
    def _delivering(self, session: Session) -> Iterator[None]:
        detail = {"from": self._params.from_, "site": session.site, "digest": session.digest, "bytes": session.size}
        event = AuditEvent(Act.DIODE_DELIVER, self._context.actor, session.bundle, "done", detail)
        recorded: AbstractContextManager[None] = self._context.recording(event)
        with recorded:
            yield
        self._missing.pop(session.bundle, None)
        self._delivered.append(
            {
                "id": session.bundle, "path": str(self._drop / session.bundle), "digest": session.digest,
                "bytes": session.size,
            }
        )  # fmt: skip
        self._context.part(session.bundle, 0, "done", session.size, session.size)
        self._context.part(session.bundle, 0, GONE, session.size, session.size)

    def _look(self, now: float) -> bool:
        """Say how it stands; whether it is enough. Raises CancelledError."""
        for session in self._receiver.ended(now):
            arrival = self._receiver.arrivals[session.transfer]
            self._missing[session.bundle] = session
            said = self._receiver.standing(arrival)
            self._context.log(f"{session.bundle} is over: {said}")
            self._context.part(session.bundle, 0, "incomplete", arrival.done_bytes, session.size, said)
        receiving = self._receiver.receiving
        for arrival in receiving:
            self._context.part(arrival.session.bundle, 0, "receiving", arrival.done_bytes, arrival.session.size)
        if receiving:
            done, total = receiving[0].done_bytes, receiving[0].session.size
            self._context.progress(f"receive {receiving[0].session.bundle}", done, total)
        else:
            self._context.progress(f"{WAITS}a session", 0, 0)
        if now - self._noted >= _NOTE_EVERY:
            self._noted = now
            self._receiver.flush()
            self._note()
        return self._params.once and self._receiver.idle

    def _note(self) -> None:
        receiver = self._receiver
        found = receiver_state.ReceiverState(
            job=self._context.job_id, at=self._last.at, buffer=self._buffer, bytes=receiver.received,
            datagrams=dict(receiver.counts), arriving=[receiver_state.of(one) for one in receiver.arrivals.values()],
        )  # fmt: skip
        if found != self._last:
            self._last = msgspec.structs.replace(found, at=clock.now())
            receiver_state.write(self._file, self._last)
