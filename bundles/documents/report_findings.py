"""Findings of an inspection report, by how much they weigh: what each kind is, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundles.documents.report_parts import Details, Line, entry, group, said


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of finding by its list in a section's details."""

    outcome: str
    what: str
    remedy: str


_REBUILD: Final = "reject the bundle; have the sender build the artifact anew without it"
_ASK: Final = "ask the sender what it is; reject the bundle where nobody can say"
_KINDS: Final[Mapping[str, _Kind]] = {
    "malware": _Kind("fail", "files that a signature of the malware engine matches",
                     "reject the bundle, and tell the sender what was found where"),
    "uninspected": _Kind("fail", "files that the malware engine could not look into",
                         "not clean: have them looked into by other means, raise clamd's limits, or reject"),
    "content_findings": _Kind("fail", "what the content rules find",
                              "see docs/howto/content-rules.md for each rule; reject what nobody can explain"),
    "content_unlooked": _Kind("fail", "content rules that could not look",
                              "not clean: see why, then: lockgate intake inspect; or reject the bundle"),
    "not_allowed": _Kind("fail", "repositories that the policy does not let its source write",
                         "reject the bundle, or name them for the source under [[sources]] in approvals.toml"),
    "of_another_source": _Kind("fail", "tags that another source put where they are",
                               "ask both sources whose they are; the policy names a repository for a source under"
                               " [[sources]] in approvals.toml"),
    "kinds_differ": _Kind("fail", "another kind than announced", _ASK),
    "platforms_malformed": _Kind("fail", "a platform that is none", _REBUILD),
    "misnamed": _Kind("fail", "content of another type than its name says", _ASK),
    "escaping": _Kind("fail", "paths that lead out of the artifact", _REBUILD),
    "ambiguous": _Kind("fail", "content that programs read differently", _REBUILD),
    "mislisted": _Kind("fail", "a table of contents that says something else than the archive", _REBUILD),
    "unread": _Kind("fail", "content that could not be looked through",
                    "nobody looked into it: reject the bundle, or have it looked into by other means"),
    "platforms_differ": _Kind("note", "another platform than announced", _ASK),
    "foreign_layers_not_carried": _Kind("note", "layers that were not carried, since they may not be distributed",
                                        "clients fetch them from where their maker offers them"),
    "content_notes": _Kind("note", "what the content rules note",
                           "see docs/howto/content-rules.md for each rule, and have the sender fix what matters"),
    "platforms_left_out": _Kind("note", "platforms that were left out of indexes when these were collected",
                                "clients of these platforms get an error here: have the sender collect them too"),
    "missing_volumes": _Kind("note", "volumes that did not come",
                             "import them when they come; what needs them is left out until then"),
    "key_rotations": _Kind("note", "changes of the source's keys that this station has not accepted",
                           "nothing changes until two people accept it: lockgate key rotation show ID"),
    "capabilities": _Kind("note", "files with capabilities", "see that each program needs them"),
    "devices": _Kind("note", "device files", "see that the artifact needs them"),
    "setuid": _Kind("note", "files that run as their owner or group", "see that each program needs it"),
    "absolute": _Kind("note", "absolute names and links", "see that each leads where it should"),
    "opaque": _Kind("note", "content that nobody looks into",
                    "it can hold anything: see that the sender vouches for it"),
    "images_without_sbom": _Kind("note", "images without an SBOM",
                                 "have the sender build with --require-sbom where one is demanded"),
    "images_without_signature": _Kind("note", "images that came without a signature",
                                      "have the sender collect them with their signatures where one is demanded"),
}  # fmt: skip
_OVER_CAP: Final = _Kind("fail", "rules that found more than is listed", "nobody can read it whole: reject the bundle")
_POLICY: Final = "have it signed, or have two people change the policy for images"
_UNLOOKED: Final = _Kind("fail", "an inspector that could not look",
                         "reject the bundle, or fix the station, then: lockgate intake inspect")  # fmt: skip
NOT_SET_UP: Final = "no-malware-engine"
"""The code of an inspector that looked at nothing, since it was never set up (appliance.malware.engine)."""
_NOT_SET_UP: Final = _Kind("note", "an inspector that is not set up: it looked at nothing",
                           "nobody looked for malware: have it looked for elsewhere, or set an engine up")  # fmt: skip
OUTCOMES: Final = ("fail", "note")


def findings(sections: Mapping[str, Details]) -> dict[str, list[Line]]:
    """The findings of all sections by outcome, `fail` and `note`: of each kind a line with its number, then what helps
    and each place. They are taken out of the sections."""
    found: dict[str, list[Line]] = {outcome: [] for outcome in OUTCOMES}
    for inspector, details in sections.items():
        code = details.take("unlooked")
        if code is not None:
            needed = [f"required: {'yes' if details.take('required') is True else 'no'}", f"code: {code}"]
            kind = _NOT_SET_UP if code == NOT_SET_UP else _UNLOOKED
            found[kind.outcome] += _group(kind, [Line(f"{inspector}: {', '.join(needed)}")])
    for details in sections.values():
        places, left_out = details.listed("over_cap")
        found["fail"] += _group(_OVER_CAP, [_over(one) for one in places], left_out)
        _against_policy(found, details)
        if (policy := details.take("policy")) is not None:
            found["fail"] += [Line("the policy for images cannot be read", "fail", tuple(said("why", policy)))]
    # In the order of the table, so that what weighs most stands first whichever inspector found it.
    for name, kind in _KINDS.items():
        for inspector, details in sections.items():
            if inspector == "differences" and name == "unread":
                continue  # a comparison that was not made: it stands where the others do
            places, left_out = details.listed(name)
            found[kind.outcome] += _group(kind, [_place(one) for one in places], left_out, name)
    return found


def _group(kind: _Kind, places: list[Line], left_out: int = 0, name: str = "") -> list[Line]:
    title = f"{name.replace('_', ' ')}: {kind.what}" if name else kind.what
    return group(title, places, left_out, outcome=kind.outcome, first=[Line(f"what helps: {kind.remedy}")])


def _against_policy(found: dict[str, list[Line]], details: Details) -> None:
    """Rules of the policy for images that are not satisfied. What the report does not list may be enforced."""
    places, left_out = details.listed("against_policy")
    enforced, others = list[Any](), list[Any]()
    for one in places:
        warns = isinstance(one, Mapping) and one.get("mode") != "enforce"
        (others if warns else enforced).append(one)
    refused = _Kind("fail", "images that the policy for images refuses", _POLICY)
    warned = _Kind("note", "images that the policy for images warns of", _POLICY)
    found["fail"] += _group(refused, [entry(one) for one in enforced], left_out)
    found["note"] += _group(warned, [entry(one) for one in others])


def _over(one: Any) -> Line:
    if isinstance(one, Mapping) and set(one) == {"rule", "found", "listed"}:
        return Line(f"{one['rule']}: {one['found']} found, {one['listed']} listed")
    return entry(one)


def _place(one: Any) -> Line:
    if isinstance(one, Mapping) and set(one) == {"reference", "from", "source", "bundle"}:
        return Line(f"{one['reference']}: {one['source']} put it where it is with {one['bundle']}",
                    below=(Line(f"at {one['from']}"),))  # fmt: skip
    return entry(one)
