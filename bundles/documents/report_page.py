"""An inspection report as the page that officers sign for: one tree of lines for the console, the command line, the
verifier and the custody form.

What decides stands first: a verdict per section, what speaks against the bundle with what helps, what changes. Names
stand before digests. What is long and seldom read is folded. Nothing that an inspector said is left out: what has no
place of its own stands under the inspector's name at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bundles.documents import report_changes
from bundles.documents.report_findings import findings
from bundles.documents.report_parts import Details, Line, entry, group, said

MARKS: Final = {"ok": "[ok]", "note": "[ i]", "fail": "[!!]"}
_SAYS: Final = ("purpose", "authorisation", "classification", "created", "not_after", "previous", "voided")
_SIGNED: Final = (
    ("signed", "signed by who is pinned here for images", ""),
    ("attested", "attested by who is pinned here for images", ""),
    ("through_index", "signed through their index", ""),
    ("not_counted", "signatures that do not count", "note"),
    ("unsigned", "unsigned", "note"),
    ("not_looked_at", "not looked at", "note"),
)


def page(report: Mapping[str, Any]) -> tuple[Line, ...]:
    """The parts of a report (`bundles.documents.signed.Report` as built-ins), each a line with its content below."""
    sections = [one for one in report.get("sections", ()) if isinstance(one, Mapping)]
    left: dict[str, Details] = {}
    doubled = []
    for one in sections:
        if _name(one) in left:
            doubled.append(one)
        else:
            left[_name(one)] = Details(_details(one))
    found = findings(left)
    parts = [
        Line(_verdict(sections), below=tuple(_summary(one) for one in sections)),
        *_part("Findings that speak against it", found["fail"], "fail"),
        *_part("Findings to look at", found["note"], "note"),
        *_part("Artifacts and tags", report_changes.artifacts(left)),
        *_part("What differs inside the moved tags", report_changes.inside(left)),
        *_part("Image signatures", _signatures(left.get("signatures"))),
        *_part("Who signed the bundle, and what for", _integrity(left.get("integrity"))),
        *_part("Carried evidence, not counted", _evidence(left.get("evidence")), folded=True),
    ]
    rest = [Line(name, below=tuple(lines)) for name, details in left.items() if (lines := details.rest())]
    parts += _part("More of each section", rest, folded=True)
    parts += _part("Sections of a name that stood before", [entry(one) for one in doubled])
    return tuple(parts)


def made(report: Mapping[str, Any], digest: str) -> list[str]:
    """Who made the report and when, and the digest that people sign."""
    return [f"made by {report.get('site')} at {report.get('created')}", f"digest of this report {digest}"]


def lines(parts: Sequence[Line], *, most: int = 40, folded: bool = False, indent: int = 0) -> list[str]:
    """The page as text, a line each, unescaped. `most`: entries of one list that are shown; 0 shows all. `folded`: show
    what is folded, too."""
    shown = []
    for part in parts:
        mark = f"{MARKS.get(part.outcome, '[!!]')} " if part.outcome else ""
        closed = part.folded and part.below and not folded
        shown.append(f"{'  ' * indent}{mark}{part.text}{': folded here' if closed else ''}")
        if closed:
            continue
        beneath = part.below[:most] if most else part.below
        shown += lines(beneath, most=most, folded=folded, indent=indent + 1)
        if len(beneath) < len(part.below):
            shown.append(f"{'  ' * (indent + 1)}and {len(part.below) - len(beneath)} more in the report")
    return shown


def _part(title: str, content: Sequence[Line], outcome: str = "", *, folded: bool = False) -> list[Line]:
    return [Line(title, outcome, tuple(content), folded)] if content else []


def _name(section: Mapping[str, Any]) -> str:
    return str(section.get("inspector"))


def _details(section: Mapping[str, Any]) -> Mapping[str, Any]:
    details = section.get("details")
    return details if isinstance(details, Mapping) else {"details": details} if details else {}


def _summary(section: Mapping[str, Any]) -> Line:
    """A section's verdict: `ok`, `note` and `fail` are the document's words. What is none of them is no good news."""
    outcome = str(section.get("outcome"))
    known = outcome if outcome in MARKS else "fail"
    return Line(f"{outcome:<4} {_name(section):<11} {section.get('summary')}", known)


def _verdict(sections: Sequence[Mapping[str, Any]]) -> str:
    """How many sections came to which outcome, the worst first."""
    if not sections:
        return "Verdict: no inspector looked"
    counts = {outcome: sum(one.get("outcome") == outcome for one in sections) for outcome in ("fail", "note", "ok")}
    counts["fail"] += len(sections) - sum(counts.values())
    told = [f"{number} {outcome}" for outcome, number in counts.items() if number]
    return f"Verdict: {', '.join(told)} of {len(sections)} {'section' if len(sections) == 1 else 'sections'}"


def _signatures(details: Details | None) -> list[Line]:
    if details is None:
        return []
    lines = []
    for name, title, outcome in _SIGNED:
        found, left_out = details.listed(name)
        lines += group(title, [entry(one) for one in found], left_out, outcome=outcome)
    return lines


def _integrity(details: Details | None) -> list[Line]:
    if details is None:
        return []
    signers, left_out = details.listed("signers")
    lines = [_signer(one) for one in signers] + group("signers", (), left_out)
    says = details.take("says")
    if isinstance(says, Mapping):
        order = [*(name for name in _SAYS if name in says), *sorted(set(says) - set(_SAYS))]
        lines += [line for name in order if says[name] not in (None, "", []) for line in said(name, says[name])]
    elif says is not None:
        lines += said("says", says)
    return [*lines, *details.rest()]


def _signer(one: Any) -> Line:
    if not isinstance(one, Mapping) or set(one) - {"owner", "keyid", "algorithm"}:
        return entry(one)
    algorithm = f", {one['algorithm']}" if one.get("algorithm") else ""
    return Line(f"signed by {one.get('owner')} (key {one.get('keyid')}{algorithm})")


def _evidence(details: Details | None) -> list[Line]:
    if details is None:
        return []
    carried, left_out = details.listed("carried")
    tools, more = details.listed("sbom_tools")
    return [
        *group("made by", [entry(one) for one in tools], more),
        *group("carried", [entry(one) for one in carried], left_out),
        *details.rest(),
    ]
