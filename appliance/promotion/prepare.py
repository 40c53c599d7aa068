"""What a promotion or a rollback would do, held against the policy: everything but doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.audit.acts import Act
from appliance.channel_seals import Chain, chain_of
from appliance.image_signatures.applied import Applied, load_applied
from appliance.image_signatures.subjects import facts_of, require_unblocked
from appliance.image_signatures.tested import Tested, Tester
from appliance.patterns import covers
from appliance.promotion.promoted_content import PromotedContent, promoted_content
from appliance.release_check.changed_promotions import Proved, proved
from appliance.release_check.log_record import LogRecord, read_log
from appliance.release_check.promotion_record import ABOUT
from appliance.scanning.images import images_of, is_image
from appliance.settings.caches import Caches
from appliance.settings.gates import Stage, find_stage, in_stage
from appliance.station import Station
from appliance.store.reads import promotions
from appliance.store.reads.components import is_tried
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.jobs import active_params
from appliance.store.reads.retirements import retired
from appliance.store.writes.copies import Item
from appliance.store.writes.promotions import Promote
from bundles.errors import LockgateError, NotFoundError, RefusedError, UsageError
from bundles.image_signatures.pins import Pins
from bundles.oci.attached_tags import is_attached
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, check_tag

DAMAGED: Final = "channel-damaged"
"""The code of a rollback or a promotion where the channel's history is not what the station wrote."""
_PROMOTE_ANEW: Final = "promote what is to stand there: lockgate repo promote REF --to STAGE --tag TAG --anew"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A promotion that passed: the transaction, what was found, and what was left behind. `applied` is the policy that
    it passed; `facts` the artifact's; `chain` what the channel's history is, and `anew` whether it begins with this."""

    write: Promote
    applied: Applied
    facts: ManifestFacts
    tested: Tested
    left: Sequence[str]
    chain: Chain
    anew: bool

    @property
    def exceptions(self) -> list[str]:
        """The exceptions without which it would not pass."""
        return sorted({name for line in self.tested.gates for name in line.exceptions})


def prepare(
    station: Station, source: Reference, to: str, tag: str, actor: str, reason: str, anew: bool = False
) -> Prepared:
    """A promotion of what `source` names now to the stage `to`, at `tag` ("" for the source's). Blocking. With `anew`
    the channel's history begins with it, whatever the rows before it say.

    Raises NotFoundError for what is not shown, RefusedError where the policy, a block, a running scan or a damaged
    history stands in the way, UsageError for a stage that is none, FailedError for what is not whole.
    """
    applied, stage = _stage(station, to)
    name = check_tag(tag) if tag else source.tag or ""
    if not name or is_attached(name):
        raise UsageError(
            "a promotion sets a tag", thing=str(source), remedy="name REPO:TAG, or give the tag with --tag TAG"
        )
    now = applied.policy.stage_of(source.repository)
    here = "" if now is None else now.name
    if here == stage.name:
        raise UsageError("it is in that stage already", thing=str(source), remedy="promote it to the next one")
    if stage.sources and here not in stage.sources:
        raise RefusedError(
            f"the stage {stage.name} takes what is in {' or '.join(stage.sources)}", thing=str(source),
            remedy=f"promote it there first: lockgate repo promote {source} --to {stage.sources[0]}", code="stage",
        )  # fmt: skip
    target = in_stage(stage, source.repository, applied.policy.stage)
    Caches(station.config.caches).refuse(target)
    chain = chain_of(
        index_key(station.paths), promotions.of_tag(station.reader, target, name),
        promotions.head_of(station.reader, target, name),
    )  # fmt: skip
    if chain.damaged and not anew:
        raise _damaged(f"{target}:{name}", chain.damaged)
    if anew:
        chain = Chain(head=chain.head)
    return _judged(station, applied, stage, source, target, name, actor, reason, "promote", chain, anew)


def prepare_rollback(station: Station, repository: str, tag: str, actor: str, reason: str) -> Prepared:
    """A rollback of a tag of a channel ("": its only one) to what stood there before. Blocking. Raises as `prepare`;
    NotFoundError where nothing stood there before, RefusedError where rows of the history are not what the station
    wrote, or nothing proves them."""
    applied = load_applied(station.paths)
    stage = None if applied is None else applied.policy.stage_of(repository)
    if applied is None or stage is None:
        raise UsageError("the repository belongs to no stage", thing=repository, remedy="see: lockgate policy explain")
    tags = promotions.tags_of(station.reader, repository)
    if not tag and len(tags) > 1:
        raise UsageError(
            "several tags of it were promoted", thing=f"{repository}: {', '.join(tags[:10])}", remedy="name REPO:TAG"
        )
    tag = tag or (tags[0] if tags else "")
    stands = station.metadata.tag_target(repository, tag) if tag else None
    chain = history = None
    if tag:
        chain, history = _history(station, repository, tag)
    before = previous(history.rows, stands or "") if history else ""
    if history and not before and history.unproved:
        raise RefusedError(
            "what was promoted before is not proved: an earlier version wrote it, and the audit log has no event of it",
            thing=f"{repository}:{tag}", remedy=_PROMOTE_ANEW, code=DAMAGED,
        )  # fmt: skip
    if chain is None or not before:
        raise NotFoundError(
            "nothing stood there before", thing=f"{repository}:{tag}" if tag else repository,
            remedy=f"see: lockgate repo history {repository}",
        )  # fmt: skip
    source = Reference(repository, None, Digest.parse(before))
    return _judged(station, applied, stage, source, repository, tag, actor, reason, "rollback", chain, False)


def _history(station: Station, repository: str, tag: str) -> tuple[Chain, Proved]:
    """A channel's chain, and what counts of its history. Raises RefusedError where it is damaged."""
    key = index_key(station.paths)
    chain = chain_of(
        key, promotions.of_tag(station.reader, repository, tag), promotions.head_of(station.reader, repository, tag)
    )
    found = proved(station, promotions_log(station), key, repository, tag)
    if found.found:
        raise _damaged(f"{repository}:{tag}", found.found[0][1])
    return chain, found


def promotions_log(station: Station) -> LogRecord:
    """What the audit log says of promotions, by which `proved` holds the rows of a channel. Blocking. Raises
    FailedError."""
    return read_log(station.paths, station.config.site, acts=(*ABOUT, Act.RESTORE))


def _damaged(channel: str, how: str) -> RefusedError:
    return RefusedError(
        f"the history of the channel is not what the station wrote: promotions are {how} in the database",
        thing=channel, remedy=f"find out who changed the database, then {_PROMOTE_ANEW}",
        code=DAMAGED,
    )  # fmt: skip


def previous(rows: Sequence[promotions.Promoted], stands: str) -> str:
    """The digest at which a tag stood before, "" for none: promotions are put on a stack, which rollbacks take from.
    Where rows begin behind what a rollback went back to, the stack begins with that."""
    stack = [rows[0].before] if rows and rows[0].before else []
    for row in rows:
        if row.act == "rollback" and row.digest in stack:
            while stack[-1] != row.digest:
                stack.pop()
        elif row.act == "rollback":
            stack = [row.digest]
        elif not stack or stack[-1] != row.digest:
            stack.append(row.digest)
    if stack and stack[-1] == stands:
        stack.pop()
    return stack[-1] if stack else ""


def _stage(station: Station, name: str) -> tuple[Applied, Stage]:
    applied = load_applied(station.paths)
    stage = find_stage(name, [] if applied is None else applied.policy.stage)
    if applied is None:
        raise AssertionError("unreachable: without a policy there is no stage")
    return applied, stage


def _judged(
    station: Station, applied: Applied, stage: Stage, source: Reference, target: str, tag: str, actor: str,
    reason: str, act: str, chain: Chain, anew: bool,
) -> Prepared:  # fmt: skip
    # Read before anything is judged: whatever changes from here on makes another number, which the transaction sees.
    epoch, state = station.metadata.epoch(), station.metadata.change_of(source.repository)
    stood = station.metadata.tag_target(target, tag)
    facts = facts_of(station.metadata, source)
    require_unblocked(station.metadata, facts.digest)
    tester = Tester(station.blobs, station.metadata, station.reader, Pins.of(station.trust(), clock.now()))
    looked = tester.look(source.repository, facts)
    tested = tester.test(applied.policy, target, facts, looked)
    if not tested.looked.contents:
        raise RefusedError(
            "it is evidence about something else, and goes with that", thing=str(source), remedy="promote the artifact"
        )
    _require_no_scan(station, {facts.digest, *(Digest.parse(one.digest) for one in tested.looked.contents)})
    _require_current(
        station, (source.repository, target), {facts.digest, *tested.looked.indexes},
        [one.digest for one in tested.looked.contents],
    )  # fmt: skip
    found = promoted_content(station, source.repository, facts.digest, tested.looked)
    obstacles = list(tested.obstacles("promotion"))
    if act == "promote":  # what a pull holds back where it is does not leave by a promotion
        obstacles += tester.test(applied.policy, source.repository, facts, looked).obstacles("pull")
    if obstacles:
        more = f", and {len(obstacles) - 1} more" if len(obstacles) > 1 else ""
        raise RefusedError(
            f"{obstacles[0].what}{more}", thing=f"{target}:{tag} ({obstacles[0].digest})",
            remedy=obstacles[0].asks or "see: lockgate policy explain", code="policy-gate",
        )  # fmt: skip
    links, present = _by_presence(station, target, found)
    write = Promote(
        act=act, repository=target, source=source.repository, source_tag=source.tag or "", digest=str(facts.digest),
        tag=tag, links=tuple(links), present=tuple(present),
        attached=tuple(one for one in found.attached if _is_new(station, target, one[0])), blobs=(), manifests=(),
        epoch=epoch,
        state=state, moves=moves(stage, tag), reference=str(source), actor=actor, reason=reason,
        policy=applied.policy.number, at=clock.now(), stood=stood or "",
    )  # fmt: skip
    return Prepared(write, applied, facts, tested, found.left, chain, anew)


def _is_new(station: Station, target: str, tag: str) -> bool:
    """Whether a tag of evidence is to be set: where the target has one, its own evidence stays."""
    return is_attached(tag) and station.metadata.tag_target(target, tag) is None


def moves(stage: Stage, tag: str) -> bool:
    """Whether a tag of a stage may move once it stands."""
    return not stage.immutable or any(covers(pattern, tag) for pattern in stage.moving)


def _by_presence(station: Station, target: str, found: PromotedContent) -> tuple[list[Item], list[Item]]:
    """What the target does not show yet, and what it does."""
    absent = set[Item]()
    for kind in ("manifest", "blob"):
        digests = [Digest.parse(digest) for digest, each in found.items if each == kind]
        absent |= {(str(one), kind) for one in station.metadata.unlinked(target, digests, kind)}
    return [one for one in found.items if one in absent], [one for one in found.items if one not in absent]


def _require_current(
    station: Station, repositories: Sequence[str], digests: set[Digest], contents: Sequence[str]
) -> None:
    """Go on only where nothing of it is retired by now: a repository by its name, an artifact by its digest, wherever
    it is. Raises RefusedError naming the successor."""
    now = clock.now()
    for one in retired(station.reader, repositories, [*map(str, digests), *contents]):
        if one.is_over(now):
            raise RefusedError(
                f"it is retired since {one.after}, and its successor is {one.successor}", thing=one.reference,
                remedy=f"promote the successor; or take it back: lockgate repo retire {one.reference} --undo",
                code="retired",
            )  # fmt: skip


def _require_no_scan(station: Station, digests: set[Digest]) -> None:
    """Go on only where no scan of it is under way or about to begin, which may find more. Raises RefusedError naming
    the job, or the image."""
    for job, params in active_params(station.reader, "scan"):
        for text in params.get("references", ()):
            try:
                root, images = images_of(station, Reference.parse(str(text)))
            except LockgateError:
                continue
            if digests & {root, *(image.digest for image in images)}:
                raise RefusedError(
                    "a scan of it is under way", thing=job, remedy=f"wait for it: lockgate job watch {job}", code="scan"
                )
    if not station.config.sbom.on_push:
        return
    key = index_key(station.paths)
    never = [one for one in sorted(map(str, digests)) if not is_tried(station.reader, key, one)]
    waiting = [image for image in never if is_image(station, image)]
    if waiting:
        remedy = "wait until it has an SBOM (lockgate scan REF --known); where it gets none, see: lockgate status"
        raise RefusedError("its scan has not begun yet", thing=waiting[0], remedy=remedy, code="scan")
