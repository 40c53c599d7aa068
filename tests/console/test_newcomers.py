"""What people who were new to the console stumbled over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.api.common import Page
from appliance.api.content import Repository
from appliance.api.jobs import Job
from tests.console.doubles.data import KEYIDS
from tests.console.keys import PASSPHRASE
from tui.actions.keymap import Keymap
from tui.screens.start.help import help_text
from tui.wording.checklists import next_step
from tui.wording.job_results import opens, result_lines

WAITING = "alpha.bravo-000007"


def test_a_stations_help_does_not_name_the_demo() -> None:
    assert "demo" not in help_text(Keymap())
    assert "demo" in help_text(Keymap(), demo=True)


async def test_the_help_screen_of_a_station_without_another_does_not_name_the_demo(drive: Any) -> None:
    async with drive(size=(120, 200)) as console:
        console.app.other = None
        await console.press("?")
        whole = console.app.shown.as_text()
        assert "Keys everywhere" in whole
        assert "demo" not in whole + console.screen()


async def test_escape_leads_from_help_back_to_where_it_was_asked_for(drive: Any) -> None:
    async with drive() as console:
        for name in ("repositories", "jobs"):
            console.app.show_root(name)
            await console.rest()
            await console.press("?", "?")
            assert console.name == "help"
            await console.press("escape")
            assert console.name == name
        console.app.open_further("approval", WAITING)
        await console.press("?", "escape")
        assert console.name == "approval"


async def test_only_keys_of_who_is_logged_in_are_offered_to_approve_with(drive: Any, monkeypatch: Any) -> None:
    async with drive() as console:
        who = await console.inside.who()

        async def known() -> Any:
            return msgspec.structs.replace(who, keys=(KEYIDS["deputy"],))

        monkeypatch.setattr(console.inside, "who", known)
        await console.app.look_at_station()
        console.app.open_further("approval", WAITING)
        await console.press("a", "a")
        await console.shows("Passphrase of the key deputy")
        assert "officer" not in console.screen().replace("security-officer", "")


async def test_why_something_cannot_be_done_goes_when_another_row_is_chosen(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("intake")
        await console.rest()
        await console.press("end", "e")
        assert "Release: " in console.screen()
        await console.press("home")
        assert "Release: " not in console.screen()


async def test_an_approval_asks_for_nothing_after_the_release(drive: Any) -> None:
    async with drive(size=(120, 50)) as console:
        console.app.open_further("approval", WAITING)
        await console.press("a", "a", "enter", *PASSPHRASE, "enter")
        await console.shows("approved, 1 of 2")
        await console.press("a", "down", "enter", *PASSPHRASE, "enter")
        await console.shows("e releases it")
        await console.press("e", "y", "escape")
        await console.shows("wanted none: it is released")
        assert "sign with" not in console.screen()


@pytest.mark.parametrize("screen", ["repositories", "intake", "jobs", "trust"])
async def test_a_filter_without_a_match_says_that_it_is_one(drive: Any, screen: str) -> None:
    async with drive() as console:
        console.app.show_root(screen)
        await console.press("slash", *"zzzz", "enter")
        await console.shows('no row is holding "zzzz"')
        await console.press("escape")
        assert "no row is" not in console.screen()


async def test_what_a_release_shows_is_not_said_of_what_is_blocked(drive: Any) -> None:
    async with drive() as console:
        entry = await console.inside.intake_entry("alpha.bravo-000001")
        assert (entry.state, next_step(entry)[1]) == (
            "released", "released: its artifacts are shown, but for what is blocked; nothing is left to do"
        )  # fmt: skip


async def test_repositories_show_what_came_without_a_key(drive: Any, monkeypatch: Any) -> None:
    async with drive() as console:
        console.app.show_root("repositories")
        await console.rest()
        status = await console.inside.status()
        more = msgspec.structs.replace(status.store, blobs=status.store.blobs + 1)
        new = Page((Repository(name="brand/new", tags=1, manifests=1, bytes=1),))

        async def grown() -> Any:
            return msgspec.structs.replace(status, store=more)

        async def held(**_: Any) -> Page[Repository]:
            return new

        monkeypatch.setattr(console.inside, "status", grown)
        monkeypatch.setattr(console.inside, "repositories", held)
        await console.app.look_at_station()
        await console.shows("brand/new")


def test_an_inspection_names_its_bundle_from_its_beginning() -> None:
    job = Job(id="j", kind="inspect", state="running", created="2026-01-01T00:00:00Z", params={"id": WAITING})
    assert any(WAITING in text for line in result_lines(job) for text, _ in line)
    assert opens(job) == ("intake", WAITING)
