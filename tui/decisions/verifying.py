"""What a verification found, held against this station's ledger: the verdict that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from appliance.api.intake import LedgerRow
from appliance.api.trust import TrustRule
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.station.link import Link
from tui.station.port import Station
from tui.terminal.look import Look
from tui.widgets.mark_rows import Marked
from tui.widgets.panel import fact
from tui.widgets.rows import Span
from tui.wording.verification import HEADLINES, facts_of, sequence_of

if TYPE_CHECKING:
    from bundles.verifier.examine import Findings

_ROWS: Final = 1000
UNASKED: Final = Marked("wait", "replay was not checked: the station did not answer")


async def sequence_here(link: Link, found: Findings) -> Marked:
    """Whether the bundle is the next of its stream, by the whole of the station's ledger."""
    manifest = found.manifest

    async def history(station: Station) -> tuple[list[LedgerRow], Sequence[TrustRule]]:
        rows: list[LedgerRow] = []
        after: str | None = None
        while manifest is not None:
            page = await station.ledger(stream=manifest.stream, limit=_ROWS, after=after)
            rows += page.items
            after = page.next
            if after is None:
                break
        return rows, await station.rules()

    try:
        rows, rules = await link.ask(history)
    except LockgateError:
        return UNASKED
    return sequence_of(found, rows, rules)


def verdict_lines(look: Look, found: Findings, sequence: Marked) -> list[list[Span]]:
    """The verdict, what the bundle is, and the first failure with what to do."""
    role, text = HEADLINES[found.verdict]
    if found.verdict == "ok" and sequence.role == "bad":
        role, text = "bad", "its bytes and signatures are good, and this station would not take it in"
    lines: list[list[Span]] = [[(f"{look.mark(role)} {text}", role)]]
    lines += [fact(name, value, name_width=7) for name, value in facts_of(found)]
    if found.error is not None:
        lines.append([("failed ", "bad"), (f"{safe(found.error.what)}: {safe(found.error.thing)}", "bad")])
        if found.error.remedy:
            lines.append([("do     ", "need"), (safe(found.error.remedy), "need")])
    return lines
