"""Channels in words: what stands in one, whether it would pass now, and what an act came to. Pure."""

from __future__ import annotations

from typing import Final

from appliance.api.promotion import Channel, PromotionDone
from bundles.io.display import safe
from tui.widgets.panel import fact
from tui.widgets.rows import Span

_LOOKS: Final = {
    "passes": ("[ok] passes", "ok"), "warns": ("[!!] warns", "need"), "refused": ("[!!] refused", "bad"),
    "unknown": ("[--] unknown", "need"),
}  # fmt: skip
_NAMES: Final = 7
"""Cells for the names of facts."""


def gate_look(one: Channel) -> tuple[str, str]:
    """The gate's verdict by the policy as it is now, with its mark, and the role of that text."""
    return _LOOKS.get(one.verdict, (safe(one.verdict), "plain"))


def moved_told(done: PromotionDone) -> str:
    """What a promotion or a rollback came to; fit for display."""
    before = f"; it stood at {safe(done.before[:19])}" if done.before else ""
    return f"{safe(done.reference)} stands at {safe(done.digest[:19])}{before}"


def channel_facts(one: Channel) -> list[list[Span]]:
    """What the columns have no room for."""
    look = gate_look(one)[1]
    lines = [
        fact("name", safe(one.reference), "title", name_width=_NAMES),
        fact("digest", safe(one.digest or "gone"), name_width=_NAMES),
    ]
    if one.source:
        why = f": {one.reason}" if one.reason else ""
        lines.append(fact("from", safe(f"{one.source} ({one.act}){why}"), name_width=_NAMES))
    elif one.digest:
        lines.append(fact("from", "no promotion that is known put it there", "need", name_width=_NAMES))
    if one.seal == "damaged":
        text = "[!!] its history was changed by hand: lockgate intake check"
        lines.append(fact("record", text, "bad", name_width=_NAMES))
    if one.why:
        lines.append(fact("gate", safe(one.why), look, name_width=_NAMES))
    return lines
