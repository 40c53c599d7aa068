"""From anywhere: the palette leads to every action, help opens at the screen, the finder finds people and keys."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.api.content import FoundItem
from appliance.control.routes.find import shared
from tui.actions.registry import ACTIONS, ROOTS, place_of
from tui.guides.new_bundle import Draft

REASON = "a security-officer may never build bundles; a collector may"


def test_every_action_is_everywhere_or_has_a_place_that_can_be_gone_to() -> None:
    assert {place_of(action) for action in ACTIONS} <= {"", *ROOTS}


async def test_the_palette_leads_to_an_action_of_another_screen_and_names_its_key(drive: Any) -> None:
    async with drive() as console:
        await console.press("colon", *"rotate")
        assert "leads to Trust: a new key under a name" in console.screen()
        await console.press("enter")
        assert console.name == "trust"
        assert "Rotate (o): a new key under a name" in console.screen()


async def test_the_palette_says_which_role_may_what_this_account_may_not(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        console.app.presence.who = msgspec.structs.replace(console.app.presence.who, denied={"build": REASON})
        await console.press("colon", *"lay out")
        assert f"not for you: {REASON}" in console.screen().replace("│", "")


async def test_what_an_account_may_not_names_the_roles_that_may(drive: Any) -> None:
    async with drive() as console:
        await console.press("O")
        from tests.console.test_log_in import locked, log_in

        await log_in(console, [*"b.bell"])
        await console.until(lambda: not locked(console))
        await console.press("4", "a")
        assert "a courier may never approve bundles; a security-officer may" in " ".join(console.screen().split())


@pytest.mark.parametrize(("key", "heading"), [("6", "Trust"), ("7", "Ledger"), ("1", "Home")])
async def test_help_opens_at_the_screen_that_it_was_asked_for_on(drive: Any, key: str, heading: str) -> None:
    async with drive() as console:
        await console.press(key, "question_mark")
        await console.until(lambda: console.app.shown.query_one("#help").top > 0, "the place in the help")
        rows = console.app.shown.query_one("#help")
        assert [text for text, _ in rows.row(rows.cursor, 78)] == [heading]


async def test_the_finder_leads_to_an_account_and_to_a_pinned_key(drive: Any) -> None:
    async with drive() as console:
        await console.press("g", *"t.lind")
        await console.until(lambda: "account" in console.screen(), "the account")
        await console.press("enter")
        await console.until(lambda: console.name == "accounts" and console.app.shown.table.current is not None, "there")
        assert console.app.shown.table.current.name == "t.lindqvist"
        await console.press("g", *"okafor, sec")
        await console.until(lambda: "M. Okafor, security officer" in console.screen(), "the key")
        await console.press("enter")
        await console.until(lambda: console.name == "trust", "the pinned keys")


def test_each_kind_gets_its_part_of_what_the_finder_lists() -> None:
    def of(kind: str, number: int) -> list[FoundItem]:
        return [FoundItem(kind=kind, text=str(at), ref=str(at)) for at in range(number)]

    kinds = [one.kind for one in shared([of("repository", 100), of("tag", 1), of("key", 3)], 12)]
    assert {kind: kinds.count(kind) for kind in kinds} == {"repository": 8, "tag": 1, "key": 3}
    assert len(shared([of(str(at), 5) for at in range(9)], 4)) == 4
    assert shared([], 4) == []


def test_the_next_form_keeps_destination_media_and_key_and_nothing_of_the_content() -> None:
    draft = Draft(references=("a:1",), to="bravo", new_site=True, media=("/media/usb",), volume="dvd", key="mine",
                  keyid="0" * 16, purpose="patches", cosigners=("1" * 16,))  # fmt: skip
    assert draft.again() == Draft(to="bravo", media=("/media/usb",), volume="dvd", key="mine", keyid="0" * 16)
    assert not draft.again().unsaved
