"""The part of a collection that takes the tags of what is retired, once its date has come. What they led to has no tag
then, and goes with `untagged` after its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.image_signatures.applied import load_applied
from appliance.limits import lifecycle as limits
from appliance.release_check.changed_retirements import wrong
from appliance.release_check.log_record import read_log
from appliance.release_check.retirement_record import ABOUT
from appliance.settings.client_writes import ClientWrites
from appliance.station import Station
from appliance.store.reads.retirements import Retirement, retirements
from appliance.store.writes.registry import DeleteTag
from bundles.errors import FailedError, RefusedError


@dataclass(slots=True)
class RetiredTags:
    """How many tags went, or would go, the first of them by name, and how many were kept and why."""

    tags: int = 0
    named: list[dict[str, str]] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)


def take_retired(
    station: Station, actor: str, turn: Callable[[], AbstractContextManager[None]], log: Callable[[str], object],
    *, dry_run: bool,
) -> RetiredTags:  # fmt: skip
    """Take them, each with an event of its own. A retirement that is not what the audit log says takes nothing.
    `turn` is held for each tag that goes; `log` is told what was left. Raises FailedError."""
    found, now = RetiredTags(), clock.now()
    over = [one for one in retirements(station.reader) if one.is_over(now)]
    doubted = dict(wrong(station, read_log(station.paths, station.config.site, acts=(*ABOUT, Act.RESTORE))))
    applied = load_applied(station.paths)
    keeps = ClientWrites.of(station.config).keeps_released
    for one in over:
        stage = None if applied is None else applied.policy.stage_of(one.repository)
        if one.reference in doubted:
            found.kept["not as recorded"] += 1
            log(f"{one.reference}: its retirement is {doubted[one.reference]} by the audit log: lockgate intake check")
            continue
        for tag, digest in _tags(station, one):
            if stage is not None and stage.immutable:
                found.kept["immutable"] += 1
                continue
            write = DeleteTag(repository=one.repository, tag=tag, keeps_released=keeps)
            if not dry_run and not _take(station, actor, turn, write, digest):
                found.kept["released or changed"] += 1
                continue
            found.tags += 1
            if len(found.named) < limits.GC_NAMED:
                found.named.append({"repository": one.repository, "tag": tag, "digest": digest})
    return found


def _tags(station: Station, one: Retirement) -> Iterator[tuple[str, str]]:
    """The tags that a retirement is about: one that was named stands where it stood, a repository's are all of them."""
    if one.tag:
        stands = station.metadata.tag_target(one.repository, one.tag)
        if stands == one.digest:
            yield one.tag, one.digest
        return
    after = ""
    while page := station.metadata.tags(one.repository, limits.GC_PAGE, after):
        for entry in page:
            after = entry.tag
            if not one.digest or str(entry.digest) == one.digest:
                yield entry.tag, str(entry.digest)


def _take(
    station: Station, actor: str, turn: Callable[[], AbstractContextManager[None]], write: DeleteTag, digest: str
) -> bool:
    """Delete a tag that stands at a digest; whether it went. Nobody moves it meanwhile."""
    detail = {"keeps_released": True} if write.keeps_released else {}
    event = AuditEvent(Act.DELETE_TAG, actor, f"{write.repository}:{write.tag}", "done", detail)
    try:
        with turn(), station.blobs.turns.alone_blocking():
            if station.metadata.tag_target(write.repository, write.tag) != digest:
                return False
            with recording(station.audit, event):
                done = station.writer.submit(write)
    except RefusedError:
        return False
    if not done:
        nothing = FailedError("the tag went meanwhile", remedy="nothing is left to do")
        station.audit.record(refusal(event.act, event.actor, event.thing, nothing, recorded=True))
    return bool(done)
