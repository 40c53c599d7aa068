"""A load of advisories: rows that nothing reads, until one last write makes them current or all of them are dropped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import JobContext
from appliance.store.writes.advisories import AbandonAdvisories, BeginAdvisories, DropAdvisories, DropSums
from appliance.store.writes.exploitation import DropExploitation
from appliance.store.writes.news import DropNews
from appliance.store.writes.vex import DropVex
from bundles.errors import LockgateError

DROPS: Final = (DropAdvisories(), DropExploitation(), DropNews(), DropSums(), DropVex())
"""Writes that take away the rows of loads that count no more: each is submitted until its result says that there is
nothing left."""


@contextlib.contextmanager
def staged(context: JobContext, source: str, thing: str, digest: str) -> Iterator[int]:
    """The generation of a load that begins, recorded as an act on `thing`. Whoever is inside makes it current; what
    fails inside leaves nothing of it, and what the load took the place of is dropped behind it."""
    submit = context.station.writer.submit
    with context.recording(AuditEvent(Act.ADVISORIES_LOAD, context.actor, thing, "done", {"digest": digest})):
        generation = submit(BeginAdvisories(source=source, job=context.job_id, at=clock.now()))
        try:
            drop(context)
            yield generation
        except Exception:
            with contextlib.suppress(LockgateError):
                submit(AbandonAdvisories(generation=generation))
                drop(context)
            raise
    drop(context)


def drop(context: JobContext) -> None:
    """Take away the rows of loads that count no more."""
    for write in DROPS:
        while context.station.writer.submit(write):
            context.progress("drop", 0, 0)
