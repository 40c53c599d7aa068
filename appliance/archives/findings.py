"""Findings, counted as they arise and listed up to a cap a rule, so that no content decides how much is held.

Each rule has one severity and a list of its own: notes never take the place of what fails.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.limits import archives as limits

FAILING: Final = ("misnamed", "escaping", "ambiguous", "mislisted", "unread")
NOTED: Final = ("capabilities", "devices", "setuid", "absolute", "opaque")
RULES: Final = FAILING + NOTED
"""Every rule, those that fail first."""


@dataclass(slots=True)
class RuleFindings:
    """What one rule found: how often, and the first of it."""

    count: int = 0
    size: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **what: Any) -> None:
        """Count a finding, and list it while there is room."""
        self.count += 1
        if self.count - 1 == len(self.listed) < limits.FINDINGS and self.size < limits.FINDINGS_SIZE:
            self.listed.append(what)
            self.size += len(json.dumps(what))

    @property
    def over(self) -> bool:
        """Whether there is more than is listed."""
        return self.count > len(self.listed)


@dataclass(slots=True)
class Looked:
    """What is in a blob. `content` is `archive`, `7z`, `text`, `binary`, `empty` or, where it was not looked through to
    its end, "" with the reason in `failed`; `entries` counts an archive's, `found` is by rule. `tables` are the tables
    of contents in it that were compared with the archive, `names` the first entries of a 7z archive."""

    content: str = ""
    entries: int = 0
    found: dict[str, RuleFindings] = field(default_factory=dict)
    failed: str = ""
    tables: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, rule: str, **what: Any) -> None:
        """Count a finding of a rule."""
        self.found.setdefault(rule, RuleFindings()).add(**what)


class Tally:
    """The findings of a whole section: of each rule the first ones in the order of the blobs, whichever was looked
    through first."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(RULES, 0)
        self._kept: dict[str, list[tuple[int, int, dict[str, Any]]]] = {rule: [] for rule in RULES}

    def add(self, order: int, rule: str, found: RuleFindings, **where: Any) -> None:
        """Take in what a rule found in the blob that is number `order`."""
        self.counts[rule] += found.count
        kept = self._kept[rule]
        kept.extend((order, number, where | what) for number, what in enumerate(found.listed))
        if len(kept) > 2 * limits.FINDINGS:  # seldom, so that each finding costs the same however many there are
            self._kept[rule] = _first(kept)

    def details(self) -> dict[str, Any]:
        """A list a rule, how many each left out, and `over_cap`: the rules that found more than is listed."""
        details: dict[str, Any] = {}
        over = []
        for rule in RULES:
            listed = self._listed(rule)
            details[rule] = listed
            if left_out := self.counts[rule] - len(listed):
                details[f"{rule}_left_out"] = left_out
                over.append({"rule": rule, "found": self.counts[rule], "listed": len(listed)})
        return details | ({"over_cap": over} if over else {})

    def _listed(self, rule: str) -> list[dict[str, Any]]:
        listed, size = [], 0
        for _, _, what in _first(self._kept[rule]):
            size += len(json.dumps(what))
            if size > limits.FINDINGS_SIZE:
                break
            listed.append(what)
        return listed


def _first(kept: list[tuple[int, int, dict[str, Any]]]) -> list[tuple[int, int, dict[str, Any]]]:
    """The findings that are listed, in the order of the blobs."""
    return heapq.nsmallest(limits.FINDINGS, kept, key=lambda one: one[:2])
