"""At 80x24 all that a screen holds can be read: what has no room can be walked to, and what fails stands first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.console.real import live
from tests.stage import Station
from tui.widgets.line_rows import LineRows
from tui.widgets.rows import RowList


async def read_through(console: Any, rows: RowList) -> str:
    """Everything that the terminal shows while a list is walked through, spaces and line ends as one space."""
    rows.focus()
    seen = []
    for key in ("home", *["pagedown"] * (rows.row_count // rows.page), "end"):
        await console.press(key)
        seen.append(console.screen())
    return " ".join(" ".join(seen).split())


async def test_every_check_of_a_real_station_is_within_reach_and_failing_ones_are_first(tmp_path: Path) -> None:
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        async with live(bravo.folder) as console:
            await console.shows("Health")
            health = console.app.screen.query_one("#health", LineRows)
            await console.until(lambda: bool(health.lines), "the checks")
            assert console.app.status is not None
            names = [check.name for check in console.app.status.health.checks]
            seen = await read_through(console, health)
            assert len(names) > 5
            assert health.title == f"Health: {len(names)} checks hold", "checks are counted, and not lines"
            assert all(f"[ok] {name}" in seen for name in names), seen

            (bravo.folder / "trust" / "broken.json").write_text("{")
            await console.shows("1 of")
            await console.until(lambda: "FAIL" in health.title, "a failing check")
            await console.press("home")
            screen = console.screen()
            assert "[!!] FAIL trust" in screen, screen
            assert [line for line in health.lines if line[0][1] == "bad"] == [health.lines[0]]


async def test_every_fact_of_home_is_within_reach(drive: Any) -> None:
    async with drive() as console:
        for ident in ("#station", "#health"):
            rows = console.app.screen.query_one(ident, LineRows)
            seen = await read_through(console, rows)
            for line in rows.lines:
                text = " ".join("".join(part for part, _ in line).split())
                assert text.split("ago")[0].strip() in seen, (text, seen)


async def test_a_suggestion_that_is_longer_than_its_row_is_said_whole_under_the_cursor(drive: Any) -> None:
    async with drive() as console:
        await console.press(*["down"] * 4)
        assert "alpha.bravo-000008/volumes/0002.7z (d" in " ".join(console.screen().split())
        await console.press("up")
        assert "0002.7z" not in console.screen()


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_bundles_page_is_walked_to_its_last_artifact(drive: Any, size: tuple[int, int]) -> None:
    async with drive(size=size) as console:
        await console.press("4", "enter")
        rows = console.app.screen.query_one("#all", LineRows)
        seen = await read_through(console, rows)
        for text in ("[ok] signatures", "[ok] medium 2", "24 volumes, 9.4 GB", "charts/payments:0.15.1"):
            assert text in seen, seen


@pytest.mark.parametrize("keys", [("4",), ("2", "enter", "enter")])
async def test_what_belongs_together_stands_together_on_a_wide_screen(drive: Any, keys: tuple[str, ...]) -> None:
    async with drive(size=(200, 60)) as console:
        await console.press(*keys)
        panes = [pane.region.x for pane in console.app.screen.query(".beside") if pane.display]
        edge = min(panes, default=200)  # what stands beside a list is not of the list's lines
        parts = [part for line in console.screen().splitlines()[1:] for part in (line[:edge], line[edge:])]
        torn = [part for part in parts if re.search(r"\S {90,}\S", part)]
        assert not torn, torn  # the eye does not find its way across
