"""Channels at the line terminal: what stands where, promotion and rollback; and the report of a period."""

from __future__ import annotations

from typing import Final

from appliance.api.common import Page
from appliance.api.promotion import Channel, PromotionDone
from appliance.api.report import Report
from bundles.io.display import safe
from tui.plain.desk import Desk
from tui.terminal.texts import moment
from tui.wording.channels import channel_facts, gate_look, moved_told
from tui.wording.period_report import period_lines, period_title

_PAGE: Final = 200
_PATIENCE: Final = 1_800.0
"""Seconds that reading the log of a quarter may take."""
_PERIODS: Final = (("week", "the last 7 days"), ("month", "the last 30 days"), ("quarter", "the last 91 days"))


async def channels(desk: Desk) -> None:
    """Every channel with what stands in it; one of them is promoted or rolled back."""
    found: list[Channel] = []
    after: str | None = None
    while True:
        page = await desk.ask(
            lambda station, at=after: station.fetch(Page[Channel], "/v1/channels", limit=_PAGE, after=at)  # type: ignore[misc]
        )
        found += page.items
        after = page.next
        if after is None:
            break
    if not found:
        desk.say("note", "nothing was ever promoted: lockgate repo promote begins a channel")
        return
    options = [(one.reference, _line(one)) for one in found]
    for chosen in await desk.choose("Channels:", options):
        await _channel(desk, next(one for one in found if one.reference == chosen))


def _line(one: Channel) -> str:
    since = f", since {moment(one.since)}" if one.since else ""
    return f"{safe(one.reference)} {gate_look(one)[0]}{since}"


async def _channel(desk: Desk, one: Channel) -> None:
    desk.lines(channel_facts(one))
    word = await desk.terminal.ask("p promotes it to the next stage, b rolls it back, empty goes back")
    if word == "p" and not desk.stands_in_the_way("promote", "channels", one):
        stage = await desk.terminal.ask("To which stage, empty goes back")
        if not stage:
            return
        why = await desk.terminal.ask("Why, kept with the promotion")
        if await desk.yes(f"Promote {safe(one.reference)} to {safe(stage)}?"):
            await _do(desk, "promotions", {"source": one.reference, "to": stage, "reason": why})
    elif word == "b" and not desk.stands_in_the_way("roll_back", "channels", one):
        why = await desk.terminal.ask("Why, kept with the rollback")
        if await desk.yes(f"Roll {safe(one.reference)} back to what was promoted before?"):
            await _do(desk, "rollbacks", {"channel": one.reference, "reason": why})
    elif word not in ("", "p", "b"):
        desk.say("note", f"{safe(word)} is none of these")


async def _do(desk: Desk, what: str, body: dict[str, str]) -> None:
    done = await desk.act(lambda station: station.send(PromotionDone, f"/v1/{what}", body))
    desk.say("ok", moved_told(done))


async def period(desk: Desk) -> None:
    """What a week, a month or a quarter came to."""
    if desk.stands_in_the_way("period", "period"):
        return
    for chosen in await desk.choose(
        "The report of which time?", [(name, f"{name}: {text}") for name, text in _PERIODS]
    ):
        found = await desk.ask(lambda station, of=chosen: station.fetch(Report, "/v1/report", period=of), _PATIENCE)  # type: ignore[misc]
        desk.say("", period_title(found))
        desk.lines(period_lines(desk.look, found))
