"""A plan to look at: what it stands on, each medium with what it takes and what stays free, a bar per volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.bundles import Plan, PlannedMedium, PlannedVolume
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import count, size
from tui.widgets.nothing import Known
from tui.widgets.rows import RowList, Span

_BAR: Final = 16

_NOT_MADE: Final = "not made yet: p works it out, and writes nothing"


class PlanRows(RowList):
    """Rows are what a delta stands on, then media, each followed by its volumes."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "Plan", ident="plan", empty="it carries nothing")
        self.stands(Known.UNKNOWN, _NOT_MADE)
        self.plan: Plan | None = None
        self._lines: list[str | tuple[int, PlannedMedium] | PlannedVolume] = []

    @property
    def row_count(self) -> int:
        return len(self._lines)

    def show(self, plan: Plan | None) -> None:
        """Another plan, or none."""
        self.plan = plan
        self.stands(*((Known.SHOWN,) if plan is not None else (Known.UNKNOWN, _NOT_MADE)))
        self.note = "" if plan is None else summary(plan)
        self._lines = [f"[!!] {safe(text)}" for text in plan.unfinished] if plan is not None else []
        if plan is not None and plan.nothing:
            self._lines.append(safe(plan.nothing))
        if plan is not None and plan.requires:
            self._lines.append(not_carried(plan))
        for number, medium in enumerate(plan.media if plan else (), 1):
            self._lines.append((number, medium))
            self._lines.extend(volume for volume in (plan.volumes if plan else ()) if volume.medium == number)
        self._lines.extend(chosen(plan) if plan is not None else ())
        self.cursor = 0
        self.changed()

    def row(self, index: int, width: int) -> Sequence[Span]:
        line = self._lines[index]
        if isinstance(line, str):
            return [(line, "plain")]
        if isinstance(line, PlannedVolume):
            bar = self.look.bar(line.size, self.plan.volume if self.plan else 1, _BAR)
            return [(f"  {line.index:04d}    {bar} {size(line.size):>9}", "plain")]
        number, medium = line
        taken = sum(volume.size for volume in self.plan.volumes if volume.medium == number) if self.plan else 0
        if medium.free is None:
            return [(f"medium {number}  {size(taken):>9}  {safe(medium.path)}", "title")]
        bar = self.look.bar(taken, medium.free, _BAR)
        left = f"{size(max(medium.free - taken, 0))} stay free" + (" of this disk" if medium.disk else "")
        return [(f"medium {number}  {bar} {size(taken):>9}, {left}  {safe(medium.path)}", "title")]


def summary(plan: Plan) -> str:
    """How much a plan carries."""
    carried = len(plan.artifacts) + plan.sboms_to_make
    parts = [count(carried, "artifact"), count(plan.blobs, "blob"), size(plan.bytes)]
    text = ", ".join(parts) + f" in {count(len(plan.volumes), 'volume')}"
    if plan.sboms_to_make:
        text += f", {count(plan.sboms_to_make, 'SBOM')} of them to make"
    if plan.not_carried:
        text += f", without {count(len(plan.not_carried), 'foreign layer')} that are not held here"
    return text


def chosen(plan: Plan) -> list[str]:
    """A line for each reference that patterns stand for, with the digest that it had in the last bundle."""
    return [
        f"carries {safe(one.reference)}" + (f"  was {safe(one.before)}" if one.before else "") for one in plan.chosen
    ]


def not_carried(plan: Plan) -> str:
    """What a delta leaves out, and what it is based on."""
    left = f"{count(plan.requires, 'blob')}, {size(plan.required_bytes)} are not carried"
    return f"{left}; it is based on {safe(plan.base)}"
