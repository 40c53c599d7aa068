"""Filters of lists: any column, any case, without, by column, by regular expression; and sorting."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from textual.widgets import Input

from bundles.errors import UsageError
from tui.screens.jobs.list import JobsScreen
from tui.widgets.linear_regex import Pattern
from tui.widgets.narrowing import answers, parse

CELLS = {"": "sha256:77aa", "state": "[!!] failed", "bundle": "Alpha.bravo-000007", "waits for": "approvals"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True), ("ALPHA", True), ("77AA", True), ("delta", False), ("!delta", True), ("!alpha", False),
        ("alpha failed", True), ("alpha done", False), ("state:failed", True), ("state:alpha", False),
        ("!state:failed", False), ("waits:APPROV", True), ("sha256:77", True), ("~^alpha.*7$", True),
        ("~^bravo", False), ("!~^bravo", True), ("bundle:~0{5}7", True), (":", True), ("!", False),
    ],
)  # fmt: skip
def test_a_row_answers_a_filter(text: str, found: bool) -> None:
    assert answers(parse(text, tuple(CELLS)), CELLS) == found


@pytest.mark.parametrize(
    "text",
    [
        "~(",
        "~)",
        "~*",
        "~[a",
        "~[b-a]",
        "~a{3,2}",
        "~\\1",
        "~(?=a)",
        "~x{99999999999}",
        "~((){1000}){1000}",
        "~" + "(" * 40,
        "a" * 101,
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, ())
    assert caught.value.diagnostics().count("\n") == 0


@pytest.mark.parametrize(
    "pattern", ["a?" * 33 + "a" * 33, "(a|a)" * 19 + "b", "(a+)+$", "(a*)*b", ".*.*.*.*x", "(a|aa)+$"]
)
def test_no_pattern_makes_a_text_slow(pattern: str) -> None:
    """Each of these takes Python's own `re` longer than the age of the universe, or hours, on so long a text."""
    for text in ("a" * 5000, "a" * 5000 + "!"):
        Pattern(pattern).found(text)


def test_a_pattern_finds_what_python_finds() -> None:
    """Some thousand patterns and texts, drawn from a fixed seed, against `re`."""
    chance = random.Random(7)
    pieces = ["a", "B", "1", "-", r"\.", r"\d", r"\W", ".", "[ab]", "[^a-c]", "[]a]", "[a-]", r"[\d-]"]
    signs = ["*", "+", "?", "{2}", "{1,2}", "{0}", "{1,}"]

    def drawn(depth: int = 0) -> str:
        kind = chance.random()
        if depth > 3 or kind < 0.35:
            return chance.choice(pieces)
        if kind < 0.6:
            return drawn(depth + 1) + drawn(depth + 1)
        if kind < 0.72:
            return f"({drawn(depth + 1)}|{drawn(depth + 1)})"
        if kind < 0.9:
            return f"(?:{drawn(depth + 1)}){chance.choice(signs)}"
        return f"^{drawn(depth + 1)}" if kind < 0.95 else f"{drawn(depth + 1)}$"

    for _ in range(800):
        pattern = drawn()
        stock, ours = re.compile(pattern, re.IGNORECASE), Pattern(pattern)
        for _ in range(4):
            text = "".join(chance.choices("abC1-. ]", k=chance.randrange(9)))
            assert ours.found(text) == (stock.search(text) is not None), (pattern, text)


async def typed(console: Any, text: str) -> list[str]:
    await console.press("slash")
    console.app.focused.value = text
    await console.press("enter")
    await console.rest()
    return [one.id for one in console.app.shown.table.records]


async def test_the_intake_is_filtered_by_any_column_and_a_wrong_filter_keeps_what_was_shown(drive: Any) -> None:
    async with drive() as console:
        await console.press("4")
        every = [one.id for one in console.inside.entries]
        released = await typed(console, "STATE:released !foxtrot")
        assert 0 < len(released) < len(every)
        assert all("foxtrot" not in one for one in released)
        assert await typed(console, "~(") == released
        assert "[!!] the filter cannot be read" in console.screen()
        await console.press("escape")
        await console.until(lambda: len(console.app.shown.table.records) == len(every), "all of it")


async def test_a_list_is_sorted_by_a_column_and_turned_round(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "S", "down", "down", "down", "enter")
        sizes = [one.bytes for one in console.app.shown.table.records]
        assert sizes == sorted(sizes)
        assert "sorted by bytes" in console.screen()
        await console.press("S", "enter")
        assert [one.bytes for one in console.app.shown.table.records] == sorted(sizes, reverse=True)
        assert not console.app.shown.query(Input).first().value


async def test_a_filter_goes_on_to_later_pages_before_it_says_that_nothing_matches(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drive() as console:
        await console.press("5")
        table = console.app.shown.table
        table.next = None
        asked: list[str] = []
        monkeypatch.setattr(JobsScreen, "on_table_more", lambda screen, message: asked.append(message.after))
        table.show(table.loaded, "more")
        table.narrow("surely-not-here")
        assert "loading" in table.nothing
        await console.pilot.pause()
        assert asked == ["more"]
        table.extend([], None)
        assert "no match" in table.nothing
