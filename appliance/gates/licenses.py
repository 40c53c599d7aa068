"""The rule of a gate about licenses: what a station's own SBOM says of each package, against what the policy names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.advisories.licenses import Licensed, Terms, judge
from appliance.settings.gates import Gate
from bundles.io.display import some

WITHOUT: Final = ("unread-layers", "no-packages")
"""Gaps by which packages are missing, and their licenses with them."""
_NAMED: Final = 3
"""Packages that a line names."""
_SHOWN: Final = 100
"""Characters of a package's licenses in a line."""


def licenses_line(gate: Gate, licensed: Sequence[Licensed] | None) -> tuple[bool, str, str]:
    """Whether a gate lets the licenses through, why, and what would satisfy it."""
    if licensed is None:
        return False, "the index has no licenses of it", "scan it again: lockgate scan REF --again"
    terms = Terms(frozenset(gate.allow_licenses), frozenset(gate.deny_licenses))
    judged = [(one, judge(one, terms)) for one in licensed]
    refused = [one for one, verdict in judged if verdict is False]
    unknown = [one for one, verdict in judged if verdict is None]
    said = list[str]()
    if refused:
        said.append(f"{some(len(refused), 'package')} under licenses that are not let through: {_told(refused)}")
    if unknown and gate.unknown_licenses == "refuse":
        said.append(f"{some(len(unknown), 'package')} of unknown licenses: {_told(unknown)}")
    if said:
        names = "name what may be in allow_licenses, also as name:NAME"
        return False, "; ".join(said), f"{names}; or an exception of two people: lockgate exception request"
    let = f"; {some(len(unknown), 'package')} of unknown licenses let through by the policy" if unknown else ""
    return True, f"every known license is let through{let}", ""


def _told(packages: Sequence[Licensed]) -> str:
    told = [
        f"{one.label} {one.version} ({' AND '.join(one.texts)[:_SHOWN] or 'none named'})"
        for one in sorted(packages)[:_NAMED]
    ]
    return ", ".join(told) + (f", and {len(packages) - _NAMED} more" if len(packages) > _NAMED else "")
