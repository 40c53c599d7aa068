"""The sequence decision: what a bundle is to a stream's history. Pure; the history is the ledger's rows.

| name | what it means | how to go on |
|---|---|---|
| replay | this very bundle came before | nothing: what it carried is here, or was rejected |
| fork | two bundles under one number, or two histories | ask the source site; trust neither until then |
| fork, of a void number | the source voided a bundle that came in after all | a receipt tells it; it builds anew |
| rollback | an older number that never came, after newer ones | bring the next one; have what it carried built anew |
| gap | numbers between are neither here nor voided | import them first, or two people set the floor |
| jump | it moves the stream further than one bundle may | ask the source site, then two people set the floor |

A number that the source voided (a bundle cancelled or lost) is none that is missing, and needs nobody. Where the trust
folder's policy allows gaps, a gap is let in and said. Neither lets a bundle jump: numbers do not come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles import limits
from bundles.errors import FORK, GAP, JUMP, REPLAY, ROLLBACK, RefusedError
from bundles.format.manifest import BundleManifest, bundle_id

_NAMED: Final = 3
"""Missing numbers that a refusal names; the others are counted."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A bundle that a station has seen: `digest` is the sha256 of its SHA256SUMS (`sha256:…`), `state` the intake's.

    The state `reset` marks a floor that people set by hand: what comes next is `sequence + 1`. It follows `digest`
    where people entered one, and anything where they did not.
    """

    sequence: int
    digest: str
    state: str


def ledger_verdict(
    history: Sequence[LedgerRow], manifest: BundleManifest, digest: str, *, gaps_allowed: bool = False
) -> str:
    """Let a fresh bundle pass; the result says what of it was let in by policy (a gap), or is empty.

    Raises RefusedError naming one of:

    - replay: this sequence, this digest, is in the ledger;
    - fork: this sequence, another digest, is in the ledger, or `previous` is not the digest of the one before;
    - rollback: a lower sequence than the ledger's last that the ledger never saw;
    - jump: the sequence is more than `limits.SEQUENCE_STEP` above the ledger's last, voided numbers or not;
    - gap: sequences between are neither here nor voided.
    """
    last = max(history, key=lambda row: row.sequence, default=None)
    _check_seen(history, manifest, digest)
    floor = last.sequence if last else 0
    _check_rollback(floor, manifest)
    _check_jump(floor, manifest)
    between = set(range(floor + 1, manifest.sequence)).difference(manifest.voided)
    if not between and last is None and manifest.previous is not None:
        between = {0}
    if between:
        return _gap(between, manifest, gaps_allowed)
    _check_history(history, last, manifest)
    return ""


def _check_seen(history: Sequence[LedgerRow], manifest: BundleManifest, digest: str) -> None:
    for row in history:
        if row.sequence != manifest.sequence or row.state == "reset":
            continue
        if row.digest == digest:
            raise RefusedError(
                f"a replay: this bundle is in the ledger as {row.state}",
                code=REPLAY,
                thing=manifest.id,
                remedy=f"it was imported already, nothing to do; see: lockgate intake stream show {manifest.stream}",
            )
        raise RefusedError(
            "a fork: the ledger has another bundle of this sequence",
            code=FORK,
            thing=manifest.id,
            remedy="two bundles were made under one number: ask the source site, and trust neither",
        )


def _check_rollback(floor: int, manifest: BundleManifest) -> None:
    if manifest.sequence <= floor:
        raise RefusedError(
            f"a rollback: the stream is at {floor} already",
            code=ROLLBACK,
            thing=manifest.id,
            remedy="it is older than what is here: bring the next bundle; what it alone carried must be built anew",
        )


def _check_jump(floor: int, manifest: BundleManifest) -> None:
    if manifest.sequence - floor > limits.SEQUENCE_STEP:
        raise RefusedError(
            f"a jump: one bundle may move a stream by {limits.SEQUENCE_STEP} at most, and the stream is at {floor}",
            code=JUMP,
            thing=manifest.id,
            remedy="ask the source site what became of the numbers between; where it is well, two people set the floor"
            f" with: lockgate intake stream reset {manifest.stream} --sequence {manifest.sequence - 1}"
            " --key KEY --why TEXT",
        )


def _check_history(history: Sequence[LedgerRow], last: LedgerRow | None, manifest: BundleManifest) -> None:
    if last is None or not last.digest or manifest.previous == last.digest:
        return
    came = [row for row in history if row.sequence in manifest.voided and row.state != "reset"]
    if came:
        named = ", ".join(f"{bundle_id(manifest.stream, row.sequence)} ({row.state})" for row in came[-_NAMED:])
        raise RefusedError(
            f"a fork: the source voided what came in here after all: {named}",
            code=FORK,
            thing=manifest.id,
            remedy="carry a receipt to the source (lockgate receipt export --out FILE; there: lockgate receipt take"
            " FILE), and have this bundle built again",
        )
    raise RefusedError(
        "a fork: the bundle follows another one than the ledger's last",
        code=FORK,
        thing=manifest.id,
        remedy="two histories exist of one stream: ask the source site which bundles it made, and trust neither",
    )


def _gap(between: set[int], manifest: BundleManifest, allowed: bool) -> str:
    numbers = sorted(between - {0})
    named = ", ".join(bundle_id(manifest.stream, number) for number in numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    what = f"a gap: {named}{more} did not come" if numbers else "a gap: the bundle follows one that did not come"
    if allowed:
        return f"{what}; the policy allows it"
    raise RefusedError(
        what,
        code=GAP,
        thing=manifest.id,
        remedy="import what is missing first; where it is lost, two people set the floor with: lockgate intake stream"
        f" reset {manifest.stream} --sequence {manifest.sequence - 1} --key KEY --why TEXT",
    )
