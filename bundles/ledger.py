"""The sequence decision: what a bundle is to a stream's history. Pure; the history is the ledger's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bundles.errors import RefusedError
from bundles.manifest import BundleManifest, bundle_id


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A bundle that a station has seen: `digest` is the sha256 of its SHA256SUMS (`sha256:…`), `state` the intake's.

    The state `reset` marks a floor that people set by hand: what comes next is `sequence + 1`, whatever it follows.
    """

    sequence: int
    digest: str
    state: str


def ledger_verdict(history: Sequence[LedgerRow], manifest: BundleManifest, digest: str) -> None:
    """Let a fresh bundle pass. Raises RefusedError naming one of:

    - replay: this sequence, this digest, is in the ledger;
    - fork: this sequence, another digest, is in the ledger, or `previous` is not the digest of the one before;
    - rollback: a lower sequence than the ledger's last that the ledger never saw;
    - gap: sequences between are neither here nor voided.
    """
    last = max(history, key=lambda row: row.sequence, default=None)
    for row in history:
        if row.sequence == manifest.sequence and row.state != "reset":
            if row.digest == digest:
                raise RefusedError(
                    f"a replay: this bundle is in the ledger as {row.state}",
                    thing=manifest.id,
                    remedy=f"see: lockgate intake show {manifest.id}",
                )
            raise RefusedError(
                "a fork: the ledger has another bundle of this sequence",
                thing=manifest.id,
                remedy="two bundles were made under one number: ask the source site, and trust neither",
            )
    floor = last.sequence if last else 0
    if manifest.sequence <= floor:
        raise RefusedError(
            f"a rollback: the stream is at {floor} already", thing=manifest.id, remedy="bring the next bundle instead"
        )
    between = set(range(floor + 1, manifest.sequence)) - set(manifest.voided)
    if between:
        named = ", ".join(bundle_id(manifest.stream, number) for number in sorted(between)[:3])
        more = f" and {len(between) - 3} more" if len(between) > 3 else ""
        raise RefusedError(
            f"a gap: {named}{more} did not come",
            thing=manifest.id,
            remedy="import what is missing first, or see: lockgate intake stream reset",
        )
    if last is not None and last.state != "reset" and manifest.previous != last.digest:
        raise RefusedError(
            "a fork: the bundle follows another one than the ledger's last",
            thing=manifest.id,
            remedy="ask the source site which bundles it made, and trust neither",
        )
    if last is None and manifest.previous is not None:
        raise RefusedError(
            "a gap: the bundle follows one that did not come",
            thing=manifest.id,
            remedy="import the first one first, or see: lockgate intake stream reset",
        )
