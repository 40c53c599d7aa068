"""What stands in each channel now: since when, by whom, and whether it would pass the policy as it is."""

from __future__ import annotations

from collections.abc import Sequence

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.api.promotion import Channel
from appliance.channel_seals import chain_of
from appliance.image_signatures.applied import Applied, load_applied
from appliance.image_signatures.subjects import facts_of, require_unblocked
from appliance.image_signatures.tested import Tested, Tester
from appliance.station import Station
from appliance.store.reads import promotions
from appliance.store.reads.retirements import retired
from bundles.errors import LockgateError
from bundles.image_signatures.pins import Pins
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference


def standing_channels(station: Station, names: Sequence[tuple[str, str]]) -> list[Channel]:
    """Each (repository, tag) as it stands. Blocking: some milliseconds a channel. Raises FailedError."""
    if not names:
        return []
    applied, key = load_applied(station.paths), index_key(station.paths)
    tester = Tester(station.blobs, station.metadata, station.reader, Pins.of(station.trust(), clock.now()))
    return [_channel(station, applied, key, tester, repository, tag) for repository, tag in names]


def _channel(
    station: Station, applied: Applied | None, key: bytes, tester: Tester, repository: str, tag: str
) -> Channel:
    rows = promotions.of_tag(station.reader, repository, tag)
    chain = chain_of(key, rows, promotions.head_of(station.reader, repository, tag))
    last = chain.rows[-1] if chain.rows else chain.unsealed[-1] if chain.unsealed else None
    stands = station.metadata.tag_target(repository, tag) or ""
    said = last if last is not None and last.digest == stands else None
    stage = None if applied is None else applied.policy.stage_of(repository)
    verdict, why, asks = _verdict(station, applied, tester, repository, stands)
    return Channel(
        reference=f"{repository}:{tag}", stage="" if stage is None else stage.name, digest=stands,
        since="" if said is None else said.at, act="" if said is None else said.act,
        actor="" if said is None else said.actor, source="" if said is None else said.source,
        reason="" if said is None else said.reason,
        seal="damaged" if chain.damaged else "good" if chain.rows else "none", verdict=verdict, why=why, asks=asks,
    )  # fmt: skip


def _verdict(
    station: Station, applied: Applied | None, tester: Tester, repository: str, stands: str
) -> tuple[str, str, str]:
    """`passes`, `warns`, `refused` or `unknown`, why, and what would open it."""
    if not stands:
        return "unknown", "the tag is not there any more", ""
    try:
        facts = facts_of(station.metadata, Reference(repository, None, Digest.parse(stands)))
        require_unblocked(station.metadata, facts.digest)
        looked = tester.look(repository, facts)
        tested = tester.test(None if applied is None else applied.policy, repository, facts, looked)
    except LockgateError as error:
        return "refused" if error.code == "refused" else "unknown", error.what, error.remedy or ""
    obstacles = list(tested.obstacles("promotion"))
    if obstacles:
        more = f", and {len(obstacles) - 1} more" if len(obstacles) > 1 else ""
        return "refused", f"{obstacles[0].what}{more}", obstacles[0].asks
    if not tested.gates and not tested.signatures:
        return "unknown", "no gate and no rule of the policy is about it", ""
    why, asks = _warning(station, tested, repository, stands)
    return "warns" if why else "passes", why, asks


def _warning(station: Station, tested: Tested, repository: str, stands: str) -> tuple[str, str]:
    """What does not stand in its way and is worth a word, and what would end it; "" for nothing."""
    over = [one for one in retired(station.reader, [repository], [stands]) if one.is_over(clock.now())]
    if over:
        return f"it is retired since {over[0].after}, and its successor is {over[0].successor}", ""
    unmet = [line for line in tested.gates if not line.met and "promotion" in line.at]
    return (f"gate {unmet[0].gate}: {unmet[0].rule}: {unmet[0].why}", unmet[0].asks) if unmet else ("", "")
