"""The new bundle takes what `bundle build` takes: patterns, a whole repository, a list, what has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.outgoing.build_params import BuildParams, PlanParams, Wanted, convert
from tui.guides.new_bundle import Draft


async def _ask(console: Any, downs: int) -> None:
    """The form's first row, and one of the ways to name artifacts, with nothing picked."""
    await console.press("w", "3", "enter", *["down"] * downs)


async def _address(console: Any) -> None:
    await console.press("down", "enter", "enter", "down", "down", "enter", "space", "enter", "p")


async def test_a_pattern_is_planned_with_what_it_stands_for_before_anything_is_built(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await _ask(console, 1)
        await console.press("enter", *"charts/* ", *"base/Debian", "enter")
        await console.shows("[!!] ")
        console.app.focused.value = "charts/* base/debian"
        await console.press("enter")
        await console.shows("2 names and patterns: charts/*, base/debian")
        await _address(console)
        await console.shows("carries charts/monitoring:1.8.0")
        assert len(console.app.draft.plan.chosen) == 11
        await console.shows("choose the key that signs")


async def test_a_pattern_that_names_nothing_says_so(drive: Any) -> None:
    async with drive() as console:
        await _ask(console, 1)
        await console.press("enter", *"nowhere/**", "enter")
        await _address(console)
        await console.shows("nothing has a name like this")
        assert console.app.draft.plan is None


async def test_a_list_gives_its_names_and_a_wrong_one_its_line(drive: Any, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("charts/payments:0.15.0\nbase/**  # all of them\n")
    async with drive() as console:
        await _ask(console, 2)
        await console.press("enter")
        console.app.focused.value = str(tmp_path / "list.txt")
        await console.press("enter")
        await console.shows("2 names and patterns")
        assert console.app.draft.references == ("charts/payments:0.15.0", "base/**")
        (tmp_path / "list.txt").write_text("two words\n")
        await console.press("enter", "end", "up", "enter")
        console.app.focused.value = str(tmp_path / "list.txt")
        await console.press("enter")
        await console.shows("line 1 has more than one word")
        assert len(console.app.draft.references) == 2


async def test_what_has_changed_is_a_mark_and_alone_stands_for_everything(drive: Any) -> None:
    async with drive() as console:
        await _ask(console, 3)
        await console.press("space", "enter")
        await console.shows("everything that has changed since it was sent")
        assert (console.app.draft.wanted, console.app.draft.changed) == (("**",), True)
        await console.press("enter", "end", "space", "enter")
        assert not console.app.draft.wanted


async def test_a_build_of_patterns_begins_only_as_it_was_shown(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await _ask(console, 1)
        await console.press("enter", *"charts/*", "enter")
        await console.press("down", "enter", "enter", "down", "down", "enter", "space", "enter")
        await console.press("down", "down", "enter", "enter", "p")
        await console.shows("b builds it")
        draft = console.app.draft
        old = msgspec.structs.replace(draft.plan, chosen=draft.plan.chosen[1:])
        console.app.set_draft(draft.change(plan=old))
        await console.press("b")
        await console.shows("what would be carried has changed")
        assert console.name == "new_bundle"
        await console.press("b")
        await console.until(lambda: console.name == "job", "the build's job")


def test_the_station_reads_a_drafts_patterns_as_the_command_lines() -> None:
    draft = Draft(references=("team/**",), changed=True, to="bravo", media=("/media/usb",), key="e", keyid="0" * 16)
    for params, kind in ((draft.plan_params(), PlanParams), (draft.build_params(), BuildParams)):
        wanted = Wanted.read(convert(params, kind), "alpha")  # type: ignore[type-var, arg-type]
        assert (wanted.references, wanted.changed) == (("team/**",), True)
    assert draft.is_open
    assert not Draft(references=("team/app:1", "team/app@sha256:" + "0" * 64)).is_open
    assert Draft(references=("team/app",)).is_open
