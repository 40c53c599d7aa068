"""The `diode-send` job: bundles from folders that were handed over, over a one-way link.

What goes is what may leave by any wire (appliance.outgoing.signed_folder), read whole and held against its signed sums
first. Nothing comes back: what the receiving side lacks is sent again by the code that a person reads off its screen.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.diode import datagrams, sender, session
from appliance.diode.coding import require_library
from appliance.diode.geometry import symbol_of
from appliance.diode.link_key import link_key
from appliance.diode.missing import read_code
from appliance.diode.names import find_diode
from appliance.jobs.kinds import JobContext, Result
from appliance.limits import diode as limits
from appliance.outgoing.build_params import convert
from appliance.outgoing.signed_folder import VOLUMES, Outgoing, outgoing
from appliance.paths import StationPaths
from appliance.settings.diodes import DiodeSettings, split_address
from bundles.errors import LockgateError, UsageError
from bundles.io.display import some
from bundles.io.files import read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, load_private

_KEEP_EVERY: Final = 1.0
_STEP: Final = "step.json"


class SendParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the bundles' folders, the diode, and where they are not the diode's own, rounds and bytes a
    second; `missing` is the code of what is missing of the one bundle."""

    paths: list[str]
    over: str
    repeat: int | None = None
    rate: int | None = None
    missing: str = ""


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run was: how many steps it had done, and the rounds that each transfer had before it."""

    done: int
    fresh: list[int]


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run sends: bundles in rounds."""

    bundles: list[sender.Outgoing]
    fresh: list[int]
    rounds: int

    def steps(self) -> list[sender.Step]:
        """Round after round, in each all bundles, of each its table and its blocks."""
        return [
            sender.Step(at, number, self.fresh[at] + number, block)
            for number in range(self.rounds)
            for at, bundle in enumerate(self.bundles)
            for block in (0, *bundle.blocks)
        ]


def run(context: JobContext) -> Result:
    """Send bundles. The result: diode, rounds, seconds, sent (bytes on the wire), and of each bundle id, bytes, blocks,
    sent_blocks, missing_signers.

    Raises UsageError, RefusedError for what is no signed bundle or not as it was signed, FailedError.
    """
    params = convert(context.params, SendParams)
    station = context.station
    try:
        settings = find_diode(station.config.diodes, params.over)
        rounds, rate = _checked(context, params, settings)
        link = link_key(station.paths.root, params.over) if settings.key else b""
        require_library()
        folders = [outgoing(context, context.path(path)) for path in params.paths]
        key = load_private(station.paths.keys / "receipt.pem", None)
        bundles = _survey(context, folders, symbol_of(settings.mtu, datagrams.SIZE), key)
        if params.missing:
            bundles = [_only(bundles[0], params.missing)]
    except LockgateError as error:
        context.record_failure(Act.DIODE_SEND, params.over[:80], error)
        raise
    started = time.monotonic()
    names = ", ".join(bundle.session.bundle for bundle in bundles)
    detail = {"over": params.over, "rounds": rounds, "bytes": sum(bundle.session.size for bundle in bundles)}
    wire = sender.Wire(split_address(settings.address), rate)
    with contextlib.closing(wire), context.recording(AuditEvent(Act.DIODE_SEND, context.actor, names, "done", detail)):
        _send(context, wire, bundles, rounds, settings.repair, link)
    return {
        "diode": params.over, "rounds": rounds, "seconds": round(time.monotonic() - started, 3), "sent": wire.sent,
        "bundles": [
            {
                "id": bundle.session.bundle, "bytes": bundle.session.size, "blocks": bundle.session.geometry.blocks,
                "sent_blocks": len(bundle.blocks), "missing_signers": list(folder.missing_signers),
            }
            for bundle, folder in zip(bundles, folders, strict=True)
        ],
    }  # fmt: skip


def _checked(context: JobContext, params: SendParams, settings: DiodeSettings) -> tuple[int, int]:
    """Rounds and bytes a second. Raises UsageError."""
    if context.station.config.side != "outside":
        raise UsageError("an inside station sends nothing", thing=params.over, remedy="send from the outside station")
    if not params.paths or (params.missing and len(params.paths) > 1):
        raise UsageError(
            "a code is of one bundle", thing=some(len(params.paths), "bundle"), remedy="name that one alone"
        )
    rounds = settings.repeat if params.repeat is None else params.repeat
    rate = settings.rate if params.rate is None else params.rate
    if not 1 <= rounds <= limits.DIODE_ROUNDS:
        raise UsageError("so many rounds are not sent", thing=str(rounds), remedy=f"1 to {limits.DIODE_ROUNDS}")
    if not 10_000 <= rate <= 10**10:
        raise UsageError("not a rate in bytes a second", thing=str(rate), remedy="write 10000 to 10000000000")
    return rounds, rate


def _survey(context: JobContext, folders: list[Outgoing], symbol: int, key: PrivateKey) -> list[sender.Outgoing]:
    total, done, found = sum(folder.size for folder in folders), 0, []

    def told(count: int) -> None:
        nonlocal done
        done += count
        context.progress("read and hash", min(done, total), total)

    site = context.station.config.site
    for folder in folders:
        bundle = folder.manifest.id
        if bundle.partition(".")[0] != site:
            raise UsageError("another site's bundle", thing=bundle, remedy="send it from the station that built it")
        sources = [
            sender.Source(path, f"{below}{wanted.name}", wanted.size, wanted.sha256)
            for below, entries in (("", folder.small), (f"{VOLUMES}/", folder.volumes))
            for path, wanted in entries
        ]
        table = sender.survey(sources, symbol, told)
        opened = session.begin(site, bundle, str(Digest.of(folder.sums)), folder.size, symbol, table, at=clock.now())
        blocks = range(1, opened.geometry.blocks + 1)
        found.append(sender.Outgoing(opened, session.seal(opened, key), table, sources, blocks))
    return found


def _only(bundle: sender.Outgoing, code: str) -> sender.Outgoing:
    blocks = read_code(bundle.session.transfer, code, bundle.session.geometry.blocks)
    return sender.Outgoing(bundle.session, bundle.head, bundle.table, bundle.sources, blocks)


def _send(
    context: JobContext, wire: sender.Wire, bundles: list[sender.Outgoing], rounds: int, repair: int, link: bytes
) -> None:
    paths = context.station.paths
    kept = _kept(context)
    going_on = kept is not None and len(kept.fresh) == len(bundles)
    fresh = kept.fresh if kept is not None and going_on else [_rounds_of(paths, bundle) for bundle in bundles]
    steps = _Run(bundles, fresh, rounds).steps()
    start = min(kept.done, len(steps)) if kept is not None and going_on else 0

    def size(step: sender.Step) -> int:
        bundle = bundles[step.bundle]
        return sender.count_of(bundle, step.block, repair) * bundle.session.symbol

    total, done = sum(map(size, steps)), sum(map(size, steps[:start]))
    moment, at = 0.0, start - 1

    def began(step: sender.Step) -> None:
        nonlocal moment, at
        at += 1
        if step.block == 0:
            _note_round(paths, bundles[step.bundle], step.fresh + 1)
        if time.monotonic() - moment >= _KEEP_EVERY:
            moment = time.monotonic()
            write_atomic(context.folder / _STEP, msgspec.json.encode(_Step(done=at, fresh=fresh)), 0o600)
        context.part(bundles[step.bundle].session.bundle, 0, "sending", step.round + 1, rounds)

    def told(count: int) -> None:
        nonlocal done
        done += count
        context.progress("send", min(done, total), total)

    context.progress("send", done, total)
    sender.send(wire, bundles, steps[start:], rounds, repair, link, began, told)


def _kept(context: JobContext) -> _Step | None:
    """Where this job was when it was killed; None where it begins."""
    try:
        return msgspec.json.decode(read_small(context.folder / _STEP, limits.DIODE_STATE), type=_Step)
    except (LockgateError, msgspec.DecodeError):
        return None


def _all_rounds(paths: StationPaths) -> dict[str, int]:
    try:
        return msgspec.json.decode(read_small(paths.diodes_sent, limits.DIODE_STATE), type=dict[str, int])
    except (LockgateError, msgspec.DecodeError):
        return {}


def _rounds_of(paths: StationPaths, bundle: sender.Outgoing) -> int:
    """How many rounds of a transfer were sent, over all runs: the next one's symbols are new to the other side."""
    return max(0, _all_rounds(paths).get(bundle.session.transfer, 0))


def _note_round(paths: StationPaths, bundle: sender.Outgoing, rounds: int) -> None:
    known: dict[str, Any] = _all_rounds(paths)
    known.pop(bundle.session.transfer, None)
    known[bundle.session.transfer] = rounds
    for transfer in list(known)[: -limits.DIODE_SENT]:
        del known[transfer]
    write_atomic(paths.diodes_sent, msgspec.json.encode(known), 0o600)
