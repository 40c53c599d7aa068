"""Puts a report together: of the audit log, of the budgets, and of what stands now."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from appliance import clock
from appliance.api.report import (
    ActCount,
    Counted,
    Incident,
    Report,
    RoleHolders,
    StorageGrowth,
    StreamSent,
)
from appliance.api.states import ROLES
from appliance.api.status import ObjectiveState
from appliance.audit.acts import Act
from appliance.audit.reading import begins, is_pruned, own_events
from appliance.audit.tally import RETENTION, TRANSFER, Most, Tally
from appliance.limits import station as limits
from appliance.station import Station
from appliance.store.reads.account_rows import account_rows
from appliance.store.reads.ledger import stream_states

DAYS: Final = {"week": 7, "month": 30, "quarter": 91}
"""Days of each period, which ends now."""

_DAY: Final = 86_400


def make(station: Station, period: str, objectives: tuple[ObjectiveState, ...], store: int) -> Report:
    """The report of a period of DAYS, on a station of the calling thread's own. `store`: bytes of its blobs. Blocking:
    reads the log of the period. Raises FailedError where the log cannot be read."""
    days = DAYS[period]
    tally = Tally(clock.after(-days * _DAY), clock.after(1))
    tally.take(own_events(station.paths), clock.after(-(days + 1) * _DAY))
    return Report(
        site=station.config.site,
        period=period,
        since=tally.since,
        until=clock.now(),
        log_begins=begins(station.paths.audit) if is_pruned(station.paths.audit) else "",
        events=tally.events,
        denied=_first(tally.denied),
        failed_pushes=_first(tally.failed_pushes),
        pulled=_first(tally.pulled),
        refused=_first(tally.refused),
        objectives=objectives,
        incidents=tuple(
            Incident(time=one["time"], act=one["act"], actor=one["actor"], thing=one["thing"], outcome=one["outcome"])
            for one in tally.incidents
        ),
        incident_count=tally.incident_count,
        roles=_roles(station),
        account_changes=_counts(tally, tally.account_changes()),
        retention=_counts(tally, RETENTION),
        transfer=_counts(tally, TRANSFER),
        streams=tuple(
            StreamSent(stream=one.stream, direction=one.direction, sequence=one.last_sequence, at=one.last_at)
            for one in stream_states(station.reader)[: limits.METRIC_STREAMS]
        ),
        storage=_storage(station, tally, days, store),
    )


def _first(found: Most) -> tuple[Counted, ...]:
    return tuple(Counted(name=name, count=count, over=over) for name, count, over in found.first(limits.REPORT_FIRST))


def _counts(tally: Tally, acts: Iterable[Act]) -> tuple[ActCount, ...]:
    counted = ((act, tally.count(act)) for act in acts)
    return tuple(
        ActCount(act=str(act), done=done, refused=refused, failed=failed)
        for act, (done, refused, failed) in counted
        if done or refused or failed
    )


def _roles(station: Station) -> tuple[RoleHolders, ...]:
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"person": [], "robot": []})
    for account in account_rows(station.reader):
        if not account.disabled:
            for role in {role for role, _ in account.grants}:
                held[role][account.kind].append(account.name)
    return tuple(
        RoleHolders(
            role=role, persons=len(held[role]["person"]), robots=len(held[role]["robot"]),
            names=tuple(sorted(held[role]["person"] + held[role]["robot"])[: limits.REPORT_FIRST]),
        )
        for role in _known(held)
    )  # fmt: skip


def _known(held: Iterable[str]) -> Sequence[str]:
    """Roles in the order in which they are told."""
    found = set(held)
    return [role for role in ROLES if role in found]


def _storage(station: Station, tally: Tally, days: int, store: int) -> StorageGrowth:
    disk = shutil.disk_usage(station.paths.root)
    grew = tally.came - tally.collected
    return StorageGrowth(
        size=disk.used + disk.free, free=disk.free, store=store, came=tally.came, collected=tally.collected,
        days_left=disk.free * days // grew if grew > 0 else None,
    )  # fmt: skip
