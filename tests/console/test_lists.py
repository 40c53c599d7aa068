"""Every list alike: columns that are chosen and remembered, rows that are marked, filters, and details beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.console.test_many_rows import MANY, Large
from tui.dialogs.choose import OptionRows
from tui.dialogs.path_prompt import PathPrompt, PathRows
from tui.terminal import paths
from tui.terminal.look import Look
from tui.widgets.kept_lists import KeptLists
from tui.widgets.narrowing import shared
from tui.widgets.table import SLICE, Arrangement, Column, Table


def numbers(amount: int) -> Table[int]:
    table = Table[int](Look(), "Numbers", (Column("number", str, 8), Column("odd", lambda one: str(one % 2))), str)
    table.post_message = lambda message: True  # type: ignore[method-assign]
    table.set_timer = lambda *_: None  # type: ignore[assignment,method-assign]
    table.loaded = list(range(amount))
    return table


@pytest.mark.parametrize(
    ("text", "parts"),
    [("post", ("post", "")), ("!post", ("", "!post")), ("~^p", ("", "~^p")), ("kind:image", ("", "kind:image")),
     ("a b", ("", "a b")), ("sha256:77", ("sha256:77", "")), ("", ("", ""))],
)  # fmt: skip
def test_one_plain_word_is_the_stations_and_all_else_is_looked_for_here(text: str, parts: tuple[str, str]) -> None:
    assert shared(text, ("tag", "kind")) == parts


def test_a_long_list_is_narrowed_slice_by_slice_so_that_keys_are_answered_between() -> None:
    table = numbers(10 * SLICE)
    assert table.narrow("number:~(1|11)+$") == ""
    assert table.records[-1] < SLICE
    for done in range(2, 11):
        assert "loading" in table.nothing or table.records
        table._next_slice()
        assert table.records[-1] < done * SLICE
    assert len(table.records) == sum(str(one).endswith("1") for one in range(10 * SLICE))


def test_a_page_that_follows_is_looked_at_alone_and_put_into_the_order() -> None:
    table = numbers(100)
    table.sort("odd")
    asked: list[int] = []
    table.columns = (Column("number", str), Column("odd", lambda one: asked.append(one) or str(one % 2)))
    table.sort("odd")
    asked.clear()
    table.extend([100, 101], None)
    assert asked == [100, 101], "what was sorted before is not worked out again"
    assert table.records == [*range(0, 101, 2), *range(1, 102, 2)]


def test_the_columns_that_were_chosen_outlive_the_console_and_a_damaged_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lists.json"
    lists = KeptLists(path)
    lists.keep("jobs", "jobs", Arrangement(("state", "what"), "what", downward=True))
    lists.write()
    assert KeptLists(path).of("jobs", "jobs") == Arrangement(("state", "what"), "what", downward=True)
    assert path.stat().st_mode & 0o077 == 0
    for text in ("{", "[]", '{"jobs.jobs": {"columns": [1], "sorted_by": "", "downward": false}}', "9" * 70_000):
        path.write_text(text)
        assert KeptLists(path).of("jobs", "jobs") == Arrangement()
    path.write_text(json.dumps({"jobs.jobs": {"columns": ["nowhere"], "sorted_by": "nowhere", "downward": True}}))
    table = numbers(3)
    table.put_in_order(KeptLists(path).of("jobs", "jobs"))
    assert table.arrangement == Arrangement()


async def test_columns_are_chosen_and_kept_for_this_list(drive: Any) -> None:
    async with drive() as console:
        await console.press("5", "C")
        rows = console.app.screen.query_one(OptionRows)
        names = [option.value for option in rows.options]
        rows.move_to(names.index("kind"))
        await console.press("space", "enter")
        assert "kind" not in console.app.shown.table.heading(78)
        assert "what" in console.app.shown.table.heading(78)
        assert "kind" not in console.app.lists.of("jobs", "jobs").columns
        await console.press("4", "5")
        assert "kind" not in console.app.shown.table.heading(78)


async def test_a_range_and_all_tags_are_picked_and_taken_out(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter", "space", "down", "down", "V")
        tags = console.app.shown.tags
        repository = console.app.shown.repository
        wanted = {f"{repository}:{one.tag}" for one in tags.records[:4]}
        assert set(console.app.draft.references) == wanted
        await console.press("A")
        assert len(console.app.draft.references) == len(tags.records)
        await console.press("A")
        assert not console.app.draft.references
        assert not tags.marked


async def test_marked_rows_are_copied_together_and_marked_jobs_are_dismissed_together(drive: Any) -> None:
    async with drive() as console:
        await console.press("5", "A", "y")
        assert len(console.app.clipboard.splitlines()) == len(console.app.shown.table.records)
        wrong = [job for job in console.app.shown.table.records if job.state in ("failed", "refused", "incomplete")]
        await console.press("d")
        if len(wrong) > 1:
            await console.press("y")
        await console.rest()
        assert all(console.inside.demo_job(job.id).dismissed for job in wrong if not job.dismissed)


@pytest.mark.parametrize(("width", "keys"), [(110, ("4", "5")), (136, ("4", "5", "6"))])
async def test_from_a_width_on_every_column_of_a_row_stands_beside_the_list(
    drive: Any, width: int, keys: tuple[str, ...]
) -> None:
    async with drive(size=(width, 40)) as console:
        for key in keys:
            await console.press(key)
            shown = console.app.shown
            panel = shown.query_one("#detail")
            assert panel.region.x > shown.table.region.right - 1, "beside, and not below"
            text = panel.as_text()
            assert all(column.cell(shown.table.current) in text for column in shown.table.columns)


async def test_a_filter_of_tags_by_column_or_without_asks_the_station_for_all(drive: Any) -> None:
    station = Large()
    async with drive(station=station) as console:
        await console.press("2", "enter", "slash")
        console.app.focused.value = "tag:~0{4}[13]$"
        await console.press("enter")
        table = console.app.shown.tags
        await console.until(lambda: len(table.records) == 2, "two tags of the first page")
        await console.until(lambda: len(table.loaded) == MANY, "the pages behind it, too")
        assert [one.tag for one in table.records] == ["build-000001", "build-000003"]


def test_a_path_is_completed_by_folders_first_and_without_names_that_a_terminal_cannot_show(tmp_path: Path) -> None:
    for name in ("usb-red", "usb-blue", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("usb.pem", "usb\x1b[2J", "other"):
        (tmp_path / name).write_text("")
    at = f"{tmp_path}/"
    assert paths.entries(f"{at}usb") == [f"{at}usb-blue/", f"{at}usb-red/", f"{at}usb.pem"]
    assert paths.entries(f"{at}.h") == [f"{at}.hidden/"]
    assert (
        paths.entries(f"{at}other/") == paths.entries(f"{at}nowhere/x") == paths.entries("~nobody-of-this-name/") == []
    )
    assert paths.common([f"{at}usb-blue/", f"{at}usb-red/"]) == f"{at}usb-"
    assert paths.common([]) == ""
    assert paths.whole("  /media/usb/ ") == "/media/usb"
    assert paths.whole("~/key.pem") == str(Path.home() / "key.pem")
    assert paths.whole("") == ""


async def test_a_path_is_taken_from_the_media_below_it_and_only_enter_goes_on(drive: Any) -> None:
    async with drive() as console:
        await console.press("9", "colon", *"verify", "enter", "v", "end", "space", "enter")
        await console.shows("Verify: Which folder?")
        field = console.app.focused
        await console.until(lambda: len(console.app.screen.query_one(PathRows).options) > 1, "the media")
        first, second = (option.value for option in console.app.screen.query_one(PathRows).options[:2])
        await console.press("down")
        assert field.value == first
        await console.press("down")
        assert field.value == second
        await console.press("up", "space", "backspace", "tab")
        assert isinstance(console.app.screen, PathPrompt)
        assert console.app.screen.answer(field.value) == first.rstrip("/")
