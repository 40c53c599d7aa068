"""What was recorded of a receipt or want-list that came back, in a sentence. Pure."""

from __future__ import annotations

from msgspec import UNSET

from appliance.api.bundles import TakenStatement
from bundles.io.display import safe
from tui.terminal.texts import count, words


def taken_statement(taken: TakenStatement) -> tuple[str, str]:
    """Role and sentence; it asks for somebody's eye where a bundle became void or counts again."""
    was = "recorded" if taken.new else "the same that was recorded before"
    if taken.number is UNSET:
        parts = [f"want-list of {safe(taken.site)} for {safe(taken.bundle or '')}: {was}"]
    else:
        parts = [f"receipt {taken.number} of {safe(taken.site)}: {was}"]
        if taken.custody:
            parts.append(f"it tells of {count(len(taken.custody), 'bundle')}")
    if taken.back:
        parts.append(f"void and came in after all, it counts again: {words(safe(one) for one in taken.back)}")
    if taken.voided:
        parts.append(f"void, it cannot come in, build it again: {words(safe(one) for one in taken.voided)}")
    return ("need" if taken.back or taken.voided else "ok"), "; ".join(parts)
