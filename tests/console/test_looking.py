"""Looking: themes and mouse by setting, JSON laid out, numbers as sparklines, the overview of a large screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.api.status import Activity, ActivityPoint
from bundles.errors import UsageError
from tui.screens import edge_rows
from tui.terminal import detect
from tui.terminal.console_toml import LookSettings, look_settings
from tui.terminal.look import THEMES, Look
from tui.terminal.sparkline import sparkline
from tui.widgets.json_rows import laid_out
from tui.wording.overview import activity_lines, activity_title


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own console.toml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "lockgate").mkdir(parents=True)
    return tmp_path / "config" / "lockgate" / "console.toml"


def test_the_persons_look_wins_over_the_stations(written: Path, tmp_path: Path) -> None:
    assert look_settings(tmp_path) == LookSettings()
    (tmp_path / "console.toml").write_text('[look]\ntheme = "light"\nmouse = false\n')
    assert look_settings(tmp_path) == LookSettings("light", mouse=False)
    written.write_text('[look]\ntheme = "high-contrast"\n')
    assert look_settings(tmp_path) == LookSettings("high-contrast", mouse=False)


@pytest.mark.parametrize(
    "text",
    ['[look]\ntheme = "solarized"\n', "[look]\ntheme = 7\n", '[look]\nmouse = "no"\n', "[look]\ncolour = true\n",
     "look = 1\n", "[look\n", "[look]\ntheme = []\n"],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_what_helps(written: Path, text: str) -> None:
    written.write_text(text)
    with pytest.raises(UsageError) as caught:
        look_settings(None)
    assert caught.value.remedy
    assert str(written) in caught.value.thing


def test_every_theme_keeps_to_the_eight_base_colours_and_tells_what_failed_apart() -> None:
    for theme in THEMES:
        look = Look(theme=theme)
        roles = ("ok", "bad", "busy", "need", "note", "name", "frame", "key", "text", "number", "head", "cursor")
        for role in roles:
            for colour in (look.style(role).color, look.style(role).bgcolor):
                assert colour is None or (colour.number or 0) < 8
        assert look.style("bad") != look.style("plain")
        assert look.style("cursor").reverse


@pytest.mark.parametrize(
    ("environment", "theme", "colour"),
    [
        ({}, "light", True),
        ({"NO_COLOR": "1"}, "light", False),
        ({}, "monochrome", False),
        ({"TERM": "vt220"}, "dark", False),
    ],
)
def test_no_colour_is_stronger_than_a_theme(environment: dict[str, str], theme: str, colour: bool) -> None:
    assert detect.look(environment, theme).colour is colour


@pytest.mark.parametrize(
    ("term", "wanted", "heard"),
    [
        ("xterm-256color", None, True),
        ("linux", None, False),
        ("vt100", None, False),
        ("xterm", False, False),
        ("linux", True, True),
    ],
)
def test_the_mouse_is_heard_but_on_the_linux_console_and_as_the_person_says(
    term: str, wanted: bool | None, heard: bool
) -> None:
    assert detect.mouse({"TERM": term}, wanted) is heard


async def test_the_wheel_and_clicks_move_the_cursor_and_a_second_click_opens(drive: Any) -> None:
    async with drive() as console:
        await console.pilot.click("#tabs", offset=(edge_rows_at("intake"), 0))
        await console.rest()
        assert console.name == "intake"
        table = console.app.shown.table
        await console.pilot.click("#intake", offset=(5, 4))
        assert table.cursor == 2
        table.post_message(wheel(table))
        await console.rest()
        assert table.cursor == min(5, table.row_count - 1)
        await console.pilot.click("#intake", offset=(5, 3), times=2)
        await console.rest()
        assert console.name == "intake_entry"


def edge_rows_at(screen: str) -> int:
    return next(x for x in range(80) if edge_rows.tab_at(Look(), "home", 80, x) == screen) + 1


def wheel(widget: Any) -> Any:
    from textual.events import MouseScrollDown

    return MouseScrollDown(widget, 1, 1, 0, 1, 0, False, False, False)


def plain(text: str) -> list[str] | None:
    lines = laid_out(text)
    return None if lines is None else ["".join(part for part, _ in line) for line in lines]


def test_json_is_laid_out_by_its_own_tokens() -> None:
    assert plain('{"a":[1,{"b":"x,:{"}],"e":{},"a":1e400}') == [
        "{", '  "a": [', "    1,", "    {", '      "b": "x,:{"', "    }", "  ],", '  "e": {},', '  "a": 1e400', "}",
    ]  # fmt: skip
    roles = {role for line in laid_out('{"a": ["b", 1]}') or [] for _, role in line}
    assert roles == {"plain", "name", "text", "number"}
    assert "\x1b" not in "".join(plain('{"a":"\x1b[2J"}') or ["\x1b[2J is not JSON"][:0])


@pytest.mark.parametrize(
    "text", ["", "text", '{"a":1', "[1]]", '{"a" 1}', "[" * 500 + "]" * 500, "1", '{"a":"' + "\\" * 200_001]
)
def test_what_is_no_json_or_too_deep_is_shown_as_it_is(text: str) -> None:
    assert laid_out(text) is None


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([], 9, ""),
        ([0, 0], 9, "  "),
        ([1, 1000], 9, ".#"),
        ([5] * 6, 3, "###"),
        ([0, 0, 0, 0, 0, 9], 3, "  #"),
        ([1, 2, 3], 2, ":#"),
    ],
)
def test_a_sparkline_has_the_newest_last_and_shows_one_thing_apart_from_none(
    values: list[int], width: int, drawn: str
) -> None:
    found = sparkline(values, width, Look(ascii=True).levels)
    assert len(found) <= width
    assert found == drawn or drawn == ":#"


def test_the_activity_says_of_which_time_it_is_and_what_the_sums_are() -> None:
    look = Look(ascii=True)
    points = tuple(ActivityPoint(at="", pulls=2, errors=int(n == 3), stored=1_000_000 * n) for n in range(90))
    activity = Activity(step=60, points=points)
    lines = {line[0][0].strip(): line for line in activity_lines(look, activity, 60)}
    assert activity_title(activity) == "Activity of the last 1 h 30 min"
    assert lines["pulls"][-1][0].strip() == "180"
    assert lines["errors"][-1] == (" 1", "bad")
    assert lines["store"][-1][0].strip() == "89.0 MB"
    assert all(sum(len(text) for text, _ in line) <= 60 for line in lines.values())
    assert len(activity_lines(look, None, 60)) == 1


async def test_the_overview_is_there_where_there_is_room_and_nowhere_else(drive: Any) -> None:
    for size, there in (((200, 60), True), ((120, 40), False), ((80, 24), False)):
        async with drive(size=size) as console:
            await console.rest()
            assert console.app.shown.query_one("#overview").display is there
            screen = console.screen()
            assert ("What waits for whom" in screen) is there
            if there:
                assert "Activity of the last 3 h" in screen
                assert "security officer" in screen
                assert "…" not in screen
