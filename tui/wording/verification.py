"""What a verification found, as lines for the screen and as the page that is saved. Pure, but for the ledger's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from appliance.api.intake import LedgerRow
from appliance.api.trust import TrustRule
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.terminal.texts import count, size, words
from tui.widgets.mark_rows import Marked
from tui.wording.fingerprints import word_lines

if TYPE_CHECKING:
    from bundles.verifier.examine import Findings

_ROLES: Final = {"ok": "ok", "refused": "bad", "not reached": "wait"}
HEADLINES: Final = {
    "ok": ("ok", "verifies: every signature, every rule, every byte; nothing was taken in"),
    "incomplete": ("need", "good so far, and not whole: v verifies it with the other media"),
    "refused": ("bad", "refused: do not use it"),
    "failed": ("bad", "not checked: it could not be read"),
}


def sequence_of(found: Findings, rows: Sequence[LedgerRow], rules: Sequence[TrustRule]) -> Marked:
    """The verdict that takes the station's ledger: whether the bundle is the next of its stream."""
    from bundles.decide import sequence as ledger

    manifest = found.manifest
    if manifest is None:
        return Marked("wait", "the next of its stream in this station's ledger")
    history = [ledger.LedgerRow(row.sequence, row.digest or "", row.state) for row in rows]
    own = [rule for rule in rules if rule.purpose == "bundle" and rule.site in ("", manifest.source)]
    gaps = any(rule.gaps for rule in sorted(own, key=lambda rule: rule.site)[-1:])
    try:
        note = ledger.ledger_verdict(history, manifest, found.digest, gaps_allowed=gaps)
    except LockgateError as error:
        return Marked("bad", f"the next of its stream: {safe(error.diagnostics())}")
    return Marked("ok", "the next of its stream in this station's ledger" + (f": {safe(note)}" if note else ""))


def lines_of(found: Findings, sequence: Marked) -> list[Marked]:
    """Each rule's verdict, the sequence's, the signers with their words, each volume, and what does not belong."""
    lines = []
    for number, rule in enumerate(found.rules, 1):
        lines.append(Marked(_ROLES.get(rule.outcome, "bad"), f"{number:<3}{safe(rule.rule)}"))
        if rule.detail:
            lines.append(Marked("", safe(rule.detail)))
    lines.append(Marked(sequence.role, f"{len(found.rules) + 1:<3}{sequence.text}"))
    for signer in found.signers:
        lines.append(
            Marked("note", f"signed by {safe(signer.owner)}, key {signer.keyid} ({safe(signer.key.algorithm)})")
        )
        lines += [Marked("", line) for line in word_lines(signer.key.fingerprint, 2)]
    for path, medium, length, outcome in found.volumes:
        role = "ok" if outcome.startswith("every") else "need" if "come" in outcome else "wait"
        lines.append(Marked(role, f"{safe(path)}  medium {medium}  {size(length)}  {safe(outcome)}"))
    lines += [Marked("note", f"left by a desktop, not the bundle's: {safe(str(path))}") for path in found.droppings]
    return lines


def facts_of(found: Findings) -> list[tuple[str, str]]:
    """What the bundle is, as names and values."""
    manifest = found.manifest
    if manifest is None:
        return [("bundle", "not known: nothing of it may be believed")]
    carried = f"{count(len(manifest.artifacts), 'artifact')}, {size(sum(one.size for one in manifest.volumes))}"
    span = f"good {safe(manifest.created[:10])} to {safe(manifest.not_after[:10])}"
    owners = [f"{signer.owner} ({signer.keyid})" for signer in found.signers]
    return [
        ("bundle", f"{safe(manifest.id)}: {carried}; {span}"),
        ("digest", safe(found.digest)),
        ("signed", words(owners) if owners else "by nobody who counts"),
    ]


def page_of(found: Findings, sequence: Marked, tool: str) -> str:
    """One page to print and sign."""
    from bundles.verifier.report import page

    return page(found, tool, replay=f"Sequence: {sequence.text}")
