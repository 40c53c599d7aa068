"""Keys that are typed before a screen stands are pressed in the order in which they were typed."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.widgets import Input

from tui.dialogs.form import Field, Form
from tui.screens.people.log_in import LogInForm
from tui.terminal.early_keys import EarlyKeys


class Later(EarlyKeys[None]):
    """A screen that says itself when it stands."""

    def on_key(self, event: events.Key) -> None:
        if not self.too_early(event):
            self.app.pressed.append(event.key)  # type: ignore[attr-defined]


class Typed(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.pressed: list[str] = []


def typed(key: str, at: float) -> events.Key:
    event = events.Key(key, key)
    event.time = at
    return event


async def test_a_key_that_was_handed_on_comes_before_one_that_was_typed_after_it() -> None:
    """`1` was on its way to the screen below when this one opened, and arrives behind `2`."""
    app = Typed()
    async with app.run_test() as pilot:
        screen = Later()
        await app.push_screen(screen)
        screen.post_message(typed("2", 12.0))
        screen.post_message(typed("1", 11.0))
        screen.post_message(typed("3", 13.0))
        await pilot.pause()
        assert app.pressed == []
        screen.now_ready()
        await pilot.pause()
        assert app.pressed == ["1", "2", "3"]


async def test_a_key_that_is_handed_on_keeps_the_time_at_which_it_was_typed() -> None:
    app = Typed()
    async with app.run_test() as pilot:
        below, above = Later(), Later()
        below.ready = True
        await app.push_screen(below)
        await app.push_screen(above)
        above.post_message(typed("2", 12.0))
        await pilot.pause()
        below.post_message(typed("1", 11.0))
        await pilot.pause()
        above.now_ready()
        await pilot.pause()
        assert app.pressed == ["1", "2"]


@pytest.mark.parametrize("moving", ["enter", "tab", "down"])
async def test_a_password_typed_at_once_behind_the_name_never_stands_in_the_names_field(
    drive: Any, moving: str
) -> None:
    async with drive() as console:
        await console.press("L")
        await console.until(lambda: isinstance(console.app.screen, LogInForm), "the log-in")
        form = console.app.screen
        form.query_one("#account", Input).value = ""
        form.set_focus(form.query_one("#account", Input))
        for key in ("a", "b", moving, "s", "e", "c"):
            console.app.post_message(events.Key(key, key if len(key) == 1 else None))
        console.app.post_message(events.Paste("ret"))
        await console.rest()
        assert form.query_one("#account", Input).value == "ab"
        assert form.query_one("#password", Input).value == "secret"


async def test_lines_of_a_form_take_what_is_typed_at_once(drive: Any) -> None:
    async with drive() as console:
        form, given = Form("Three lines", [Field("one", "One"), Field("two", "Two"), Field("three", "Three")]), []
        console.app.push_screen(form, given.append)
        await console.rest()
        for key in ("a", "enter", "b", "tab", "c", "enter"):
            console.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await console.until(lambda: bool(given), "the form is answered")
        assert given == [{"one": "a", "two": "b", "three": "c"}]
