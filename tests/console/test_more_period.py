"""Period report: what a real station's log says of a week, and what a report's words are."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.api.report import Report
from tests.console.doubles.period import answer
from tests.console.real import live
from tests.registry_server import Client
from tests.stage import Station
from tui.terminal.look import Look
from tui.wording.period_report import period_lines


def text(found: Report) -> str:
    return "\n".join("".join(part for part, _ in line) for line in period_lines(Look(colour=False), found))


async def test_a_real_stations_periods_and_requests_are_shown(tmp_path: Path) -> None:
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        client = Client(int(alpha.base.rpartition(":")[2]))
        async with live(alpha.folder) as console:
            console.app.show_root("period")
            await console.shows("week to ")
            await console.shows("Repositories that fail most")
            await console.press("p")
            await console.shows("The report of which time?")
            await console.press("down", "down", "enter")
            await console.shows("quarter to ")
            console.app.show_root("requests")
            await console.shows("under way")

            def counted() -> bool:
                client.ask("GET", "/v2/team/none/manifests/1")
                return "team/none" in console.screen()

            await console.until(counted, "the repository that is asked for")
            await console.shows("how long answers took")


def test_a_log_that_begins_later_and_an_overspent_budget_are_marked() -> None:
    found = msgspec.convert(answer(None, "/v1/report", {"period": "week"}), Report)  # type: ignore[arg-type]
    shown = text(found)
    assert shown.startswith("[!!] the log begins 2026-04-29")
    assert "[!!] production fast pulls: 97.1 % of 99 % in 28 days; its error budget is overspent" in shown
    assert "and 2 older incidents" in shown
    assert "(up to 2 less)" in shown
    quiet = msgspec.structs.replace(found, log_begins="", objectives=(), incidents=(), incident_count=0)
    assert "[!!]" not in text(quiet)
    hostile = msgspec.structs.replace(found.incidents[0], thing="\x1b[2J")
    assert "\x1b" not in text(msgspec.structs.replace(found, incidents=(hostile,)))
