"""Findings as text for a terminal, and as one page to print and sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bundles.io.display import safe, some
from bundles.verifier.examine import Findings
from bundles.verify import DROPPINGS_REMEDY

_WIDTH: Final = 78
_LINES: Final = 60
"""Lines of a page; what does not fit is counted, and the JSON has it all."""
_VOLUMES: Final = 8
_SIGNERS: Final = 4
_MARKS: Final = {"ok": "[ok]", "refused": "[!!]", "not reached": "[--]"}
_HEADLINES: Final = {
    "ok": "VERIFIES: every signature, every rule, every byte",
    "incomplete": "INCOMPLETE: good so far, and not whole",
    "refused": "REFUSED: do not use it",
    "failed": "NOT CHECKED: it could not be read",
}


def text(found: Findings) -> str:
    """The findings for a terminal."""
    lines = [f"{_MARKS.get(rule.outcome, '[!!]')} {rule.rule}" for rule in found.rules]
    for signer in found.signers:
        lines += _signer(signer.owner, signer.keyid, signer.key.algorithm, signer.key.words)
    for path, medium, size, outcome in found.volumes:
        mark = "[ok]" if outcome.startswith("every") else "[..]"
        lines.append(f"{mark} {path}  medium {medium}  {size / 10**6:,.1f} MB  {outcome}")
    lines += [f"[..] not the bundle's, not read: {path}; {DROPPINGS_REMEDY}" for path in found.droppings]
    if found.digest:
        lines.append(f"     digest {found.digest}")
    lines.append("[..] replay was not checked: that needs the inside station's ledger")
    lines.append(f"{_name(found)}: {_HEADLINES[found.verdict]}")
    return "\n".join(safe(line) for line in lines)


_FURTHER: Final = "    "
UNASKED: Final = "Replay was not checked: that needs the inside station's ledger."


def page(found: Findings, tool: str, replay: str = UNASKED) -> str:
    """The findings as one page: at most 60 lines of 78 characters, with places to sign. `replay` is what a station's
    ledger said of the sequence."""
    manifest = found.manifest
    lines = [
        "LOCKGATE VERIFICATION REPORT".center(_WIDTH).rstrip(),
        "=" * _WIDTH,
        f"Bundle      {_name(found)}",
        f"Digest {found.digest or '     -'}",
        f"For site    {found.site}" + (f", from {manifest.source}" if manifest else ""),
        f"Valid       {manifest.created} to {manifest.not_after}" if manifest else "Valid       -",
        f"Verified    {found.at} with {tool}",
        f"VERDICT     {_HEADLINES[found.verdict]}",
    ]
    if found.error is not None:
        lines += _wrapped(found.error.diagnostics(), "    ")
    lines += ["", "RULES"]
    lines += [f"  {_MARKS.get(rule.outcome, '[!!]')} {rule.rule}" for rule in found.rules]
    lines += ["", "SIGNERS"]
    for signer in found.signers[:_SIGNERS]:
        lines += _signer(signer.owner, signer.keyid, signer.key.algorithm, signer.key.words)
    lines += _more(found.signers, _SIGNERS, "signers") or ([] if found.signers else ["  none that counts"])
    lines += ["", "VOLUMES"]
    lines += [
        f"  {path}  medium {medium}  {size:>15,} bytes  {outcome}"
        for path, medium, size, outcome in found.volumes[:_VOLUMES]
    ]
    lines += _more(found.volumes, _VOLUMES, "volumes") or ([] if found.volumes else ["  none was read"])
    if found.droppings:
        lines += [f"  {some(len(found.droppings), 'file')} that a desktop left: {DROPPINGS_REMEDY}"]
    lines += ["", *_wrapped(replay, "")]
    signing = ["", "Name ____________________  Date ____________  Signature ______________________"]
    folded = [part for line in lines for part in _folded(line)]
    return "\n".join([*folded[: _LINES - len(signing)], *signing]) + "\n"


def _name(found: Findings) -> str:
    return found.manifest.id if found.manifest else "the bundle"


def _signer(owner: str, keyid: str, algorithm: str, words: str) -> list[str]:
    return [f"  signed by {owner}, key {keyid} ({algorithm})", *_wrapped(words, "    ")]


def _folded(line: str) -> list[str]:
    """A line fit for the page, on as many lines as it takes: people sign what stands there, so nothing is cut off. What
    goes on stands further in, so that no long text begins a line that looks like one of the page's own."""
    shown = safe(line)
    rest, width = shown[_WIDTH:], _WIDTH - len(_FURTHER)
    return [shown[:_WIDTH], *(_FURTHER + rest[start : start + width] for start in range(0, len(rest), width))]


def _wrapped(content: str, indent: str) -> list[str]:
    lines, line = [], indent
    for word in content.split():
        if len(line) + len(word) + 1 > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]


def _more(found: Sequence[object], most: int, what: str) -> list[str]:
    return [f"  and {len(found) - most} more {what}: see --json"] if len(found) > most else []
