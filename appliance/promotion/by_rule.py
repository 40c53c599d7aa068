"""What the rules of the policy (`[[promotion]]`) would promote now, and take back. Nothing is judged here: the gates
are asked as for any promotion (appliance.promotion.prepare).

What counts is how long a digest has stood in its channel by rows that are sealed and that the audit log proves. A rule
never takes a tag back: it moves one only to what came into the source later than what stands there, and never to what
stood there before, since whoever took that away meant it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from appliance.advisories.seals import index_key
from appliance.api.promotion import Channel
from appliance.channel_seals import chain_of
from appliance.image_signatures.applied import Applied, load_applied
from appliance.permissions import matches
from appliance.promotion.channels import standing_channels
from appliance.promotion.prepare import moves, promotions_log
from appliance.release_check.changed_promotions import proved
from appliance.release_check.log_record import LogRecord
from appliance.settings.gates import Stage, in_stage
from appliance.settings.promotion_rules import PromotionRule
from appliance.station import Station
from appliance.store.reads import promotions
from appliance.store.reads.promotions import Promoted
from bundles.io.times import later
from bundles.oci.attached_tags import is_attached


@dataclass(frozen=True, slots=True)
class Due:
    """A promotion by the rule `rule`: `digest`, which stands at `source` (a repository and a tag), to `stage` as
    `target`, a repository and a tag. A rollback of `target` where `source` is None; `digest` is what stands there."""

    rule: str
    stage: str
    target: tuple[str, str]
    digest: str
    source: tuple[str, str] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Stands:
    """What stands in a channel of a source since a time, and the rows of that channel."""

    repository: str
    tag: str
    digest: str
    since: str
    number: int
    """That of the row, which orders what came within one second."""
    rows: Sequence[Promoted]

    @property
    def order(self) -> tuple[str, int]:
        """When it came."""
        return self.since, self.number


Judge = Callable[[Station, Sequence[tuple[str, str]]], Sequence[Channel]]
"""What stands in channels, and whether it would pass (`standing_channels`)."""
RowsOf = Callable[[str, str], Sequence[Promoted] | None]
"""What counts of the history of a channel, the oldest first; None where it is not what the station wrote."""


def due(station: Station, now: str, judge: Judge = standing_channels) -> list[Due]:
    """What the rules would do at a time: rollbacks first. Blocking. Raises FailedError, RefusedError."""
    applied = load_applied(station.paths)
    if applied is None or not applied.policy.promotion:
        return []
    key = index_key(station.paths)
    found = _found(station, applied, _sealed(station, key), now, judge)
    if found:  # the log is read where something is due, and not at each look
        found = _found(station, applied, _proved(station, key, promotions_log(station)), now, judge)
    return found


def _found(station: Station, applied: Applied, rows_of: RowsOf, now: str, judge: Judge) -> list[Due]:
    found = dict[tuple[str, str], Due]()
    for rule in applied.policy.promotion:
        refused = _refused(station, applied, rule, rows_of, judge)
        for one in (*refused, *_soaked(station, applied, rule, rows_of, now)):
            found.setdefault(one.target, one)
    return sorted(found.values(), key=lambda one: one.source is not None)


def _sealed(station: Station, key: bytes) -> RowsOf:
    """The rows of a channel by their seals alone."""

    def rows_of(repository: str, tag: str) -> Sequence[Promoted] | None:
        rows = promotions.of_tag(station.reader, repository, tag)
        chain = chain_of(key, rows, promotions.head_of(station.reader, repository, tag))
        return None if chain.damaged else chain.rows

    return rows_of


def _proved(station: Station, key: bytes, log: LogRecord) -> RowsOf:
    """The rows of a channel by their seals and by the audit log."""

    def rows_of(repository: str, tag: str) -> Sequence[Promoted] | None:
        told = proved(station, log, key, repository, tag)
        return None if told.found else told.rows

    return rows_of


def _soaked(station: Station, applied: Applied, rule: PromotionRule, rows_of: RowsOf, now: str) -> Iterator[Due]:
    stages = applied.policy.stage
    stage = _stage(applied, rule)
    candidates: dict[tuple[str, str], list[_Stands]] = {}
    for source in (one for one in stages if one.name in stage.sources and one.entry == "promotion"):
        for repository, tag in promotions.channels(station.reader, source.root):
            stands = _stands(station, rows_of, repository, tag) if rule.names(repository, tag) else None
            if stands is not None and not is_attached(tag):
                target = (in_stage(stage, repository, stages), rule.tag or tag)
                candidates.setdefault(target, []).append(stands)
    waits = timedelta(hours=rule.after_hours)
    for target, standing in candidates.items():
        ready = [one for one in standing if later(one.since, waits) <= now]
        newest = max(ready, key=lambda one: one.order, default=None)
        if newest is not None and _may_move(station, rows_of, stage, target, newest, standing):
            yield Due(rule.name, stage.name, target, newest.digest, (newest.repository, newest.tag))


def _stage(applied: Applied, rule: PromotionRule) -> Stage:
    return next(one for one in applied.policy.stage if one.name == rule.to)


def _stands(station: Station, rows_of: RowsOf, repository: str, tag: str) -> _Stands | None:
    """None where it is not proved since when the tag stands where it does: another way than a promotion moved it, or
    the channel's history is damaged."""
    rows = rows_of(repository, tag)
    stands = station.metadata.tag_target(repository, tag)
    if not rows or rows[-1].digest != stands:
        return None
    return _Stands(repository, tag, stands, rows[-1].at, rows[-1].number, rows)


def _may_move(
    station: Station, rows_of: RowsOf, stage: Stage, target: tuple[str, str], newest: _Stands, standing: list[_Stands]
) -> bool:
    """Whether a rule may put the newest of what is ready at a tag."""
    stands, before = station.metadata.tag_target(*target), rows_of(*target)
    if before is None or newest.digest == stands or any(newest.digest in (one.digest, one.before) for one in before):
        return False
    if stands is None:
        return True
    came = [(row.at, row.number) for one in standing for row in one.rows if row.digest == stands]
    return moves(stage, target[1]) and bool(came) and max(came) < newest.order


def _refused(station: Station, applied: Applied, rule: PromotionRule, rows_of: RowsOf, judge: Judge) -> Iterator[Due]:
    """What stands at the rule's tag and would not pass any more."""
    if not rule.roll_back:
        return
    stages, stage = applied.policy.stage, _stage(applied, rule)
    sources = [one for one in stages if one.name in stage.sources]

    def is_governed(repository: str) -> bool:
        names = (in_stage(source, repository, stages) for source in sources)
        return any(matches(pattern, name) for name in names for pattern in rule.repositories)

    names = [
        (repository, tag)
        for repository, tag in promotions.channels(station.reader, stage.root)
        if tag == rule.tag and is_governed(repository) and len(rows_of(repository, tag) or ()) > 1
    ]
    for name, channel in zip(names, judge(station, names), strict=True):
        if channel.verdict == "refused":
            yield Due(rule.name, stage.name, name, channel.digest, why=channel.why)
