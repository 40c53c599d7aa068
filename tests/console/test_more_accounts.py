"""Accounts: who there is, what they may, and every act of an administrator by its key."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.widgets import Input

from tests.console.doubles import accounts
from tests.console.doubles.state import DemoChange
from tests.console.keys import PASSPHRASE
from tui.dialogs.told import SecretDialog

LONG = [*"a long password"]
LONG[1] = LONG[6] = "space"


async def at(console: Any, name: str) -> None:
    """The screen, with the cursor on an account."""
    console.app.show_root("accounts")
    await console.rest()
    names = [one["name"] for one in console.inside.accounts]
    await console.press("home", *["down"] * names.index(name))


def account(console: Any, name: str) -> dict[str, Any]:
    return accounts.find(console.inside, name)


async def fill(console: Any, text: str) -> None:
    console.app.screen.query_one(Input).value = text
    await console.press("enter")


async def test_accounts_are_listed_with_roles_state_and_when_they_were_seen(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await at(console, "p.novak")
        screen = console.screen()
        for one in console.inside.accounts:
            assert one["name"] in screen
        assert "reader team/*" in screen
        assert "[!!] disabled" in screen
        assert "[!!] locked out" in screen
        assert "2026-05-04 13:58" in screen
        detail = console.app.shown.query_one("#detail").as_text()
        assert "locked until 2026-05-04 14:04 after failed log-ins; e unlocks it" in detail


async def test_the_whole_key_of_an_officer_is_shown(drive: Any) -> None:
    async with drive() as console:
        await at(console, "m.okafor")
        assert account(console, "m.okafor")["keys"][0] in console.screen()


async def test_the_filter_narrows_by_name_and_full_name(drive: Any) -> None:
    async with drive() as console:
        await at(console, "a.lindgren")
        await console.press("slash", *"okafor", "enter")
        await console.shows("Accounts  1 of 1")
        assert "b.bell" not in console.screen()


async def test_n_makes_a_person(drive: Any) -> None:
    async with drive() as console:
        await at(console, "a.lindgren")
        await console.press("n", "enter", *"k.moss", "enter")
        await fill(console, "Kim Moss")
        await console.press(*LONG, "enter", *LONG, "enter")
        await console.shows("Created k.moss. No roles yet")
        assert account(console, "k.moss")["full_name"] == "Kim Moss"
        assert console.inside.passwords["k.moss"] == "a long password"


async def test_n_makes_a_robot_whose_secret_is_shown_once(drive: Any) -> None:
    async with drive() as console:
        await at(console, "a.lindgren")
        await console.press("n", "down", "enter")
        await fill(console, "robot-press")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SecretDialog), "the secret")
        assert "lgs_" in console.screen()
        await console.press("enter", "y")
        assert console.app.clipboard.startswith("lgs_")
        await console.press("escape")
        assert "lgs_" not in console.screen()
        await console.press("down")
        assert "lgs_" not in console.app.shown.as_text()


async def test_a_gives_a_role_on_a_pattern_and_x_takes_it(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("a", "down", "enter")
        await fill(console, "team/**")
        await console.shows("b.bell is writer team/**")
        assert {"role": "writer", "pattern": "team/**"} in account(console, "b.bell")["roles"]
        await console.press("x", "down", "enter")
        await console.shows("b.bell is no writer team/** any more")
        assert [held["role"] for held in account(console, "b.bell")["roles"]] == ["courier"]


async def test_d_disables_and_e_enables(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("d")
        assert "with every token it has" in console.screen()
        await console.press("y")
        await console.shows("b.bell is disabled")
        assert account(console, "b.bell")["disabled"]
        await console.press("d")
        assert "it is disabled: e enables it" in console.screen()
        await console.press("e")
        await console.shows("b.bell may log in")
        assert account(console, "b.bell")["disabled"] is None


async def test_e_unlocks_a_name(drive: Any) -> None:
    async with drive() as console:
        await at(console, "p.novak")
        await console.press("e")
        await console.shows("p.novak may log in")
        assert account(console, "p.novak")["locked_until"] is None


async def test_p_gives_a_person_another_password_and_a_robot_has_none(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("p", *LONG, "enter", *LONG, "enter")
        await console.shows("the password of b.bell is another one")
        assert console.inside.passwords["b.bell"] == "a long password"
        await at(console, "robot-ci")
        await console.press("p")
        assert "Set password: it is a robot" in console.screen()


async def test_o_gives_a_robot_another_secret(drive: Any) -> None:
    async with drive() as console:
        await at(console, "robot-ci")
        await console.press("o")
        assert "The old one is good for a day more" in console.screen()
        await console.press("y")
        await console.until(lambda: isinstance(console.app.screen, SecretDialog), "the secret")
        await console.press("escape")
        await at(console, "b.bell")
        await console.press("o")
        assert "it is a person" in console.screen()


async def test_t_ends_every_log_in(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("t", "y")
        await console.shows("b.bell has no token any more")


async def test_b_binds_a_key_and_u_takes_it_away(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("u")
        assert "no key is bound to it" in console.screen()
        await console.press("b", "end", "enter")
        await fill(console, "no key")
        assert "16 of 0-9 and a-f" in console.screen()
        await fill(console, "0123456789abcdef")
        await console.shows("0123456789abcdef stands for b.bell")
        assert account(console, "b.bell")["keys"] == ["0123456789abcdef"]
        await console.press("u", "enter")
        await console.shows("0123456789abcdef stands for nobody")
        assert account(console, "b.bell")["keys"] == []


async def test_v_explains_every_permission_and_esc_leads_back(drive: Any) -> None:
    async with drive() as console:
        await at(console, "a.lindgren")
        await console.press("v")
        await fill(console, "team/app")
        await console.shows("a.lindgren in team/app")
        assert "an administrator may never approve" in console.screen()
        await console.press("escape")
        assert "Accounts  1 of" in console.screen()


@pytest.mark.parametrize("key", ["n", "a", "x", "d", "e", "p", "o", "t", "b", "u", "v"])
async def test_who_is_no_administrator_sees_why_and_changes_nothing(drive: Any, key: str) -> None:
    async with drive() as console:
        await console.press("O", *"b.bell", "enter", *PASSPHRASE, "enter")
        await console.until(lambda: console.app.presence.name == "b.bell")
        console.app.show_root("accounts")
        await console.rest()
        assert "forbidden: separation of duties: a courier may never see or change accounts" in console.screen()
        assert "okafor" not in console.screen()
        await console.press(key)
        message = " ".join(" ".join(console.screen().splitlines()[-4:-1]).split())
        assert ": separation of duties: a courier may never see or change accounts" in message


async def test_hostile_names_are_made_fit(drive: Any) -> None:
    async with drive() as console:
        one = account(console, "b.bell")
        one["full_name"], one["keys"] = "\x1b[2J\u202eBob [@click=app.quit]", ["\x07beef"]
        await at(console, "b.bell")
        assert "\x1b" not in console.screen()
        assert "\u202e" not in console.screen()
        assert "\x07" not in console.screen()
        assert "[@click=app.quit]" in console.screen()


async def at_changes(console: Any) -> None:
    """The screen, with the cursor on the first change that waits."""
    await at(console, "a.lindgren")
    await console.press("tab")


async def test_waiting_changes_are_listed_with_who_asked_and_when_they_take_effect(drive: Any) -> None:
    async with drive() as console:
        await at(console, "a.lindgren")
        assert "Waiting changes  1 of 1" in console.screen()
        await console.press("tab")
        screen = console.screen()
        assert "change   a new password for t.lindqvist" in screen
        assert "asked    by a.lindgren, 2026-05-04 09:30" in screen
        assert "confirm  t.lindqvist or another administrator than a.lindgren" in screen
        assert "effect   when it is confirmed; over 2026-05-18 09:30" in screen
        assert "c Confirm   z Cancel" in screen.splitlines()[-1]


async def test_c_confirms_a_waiting_change_after_a_question_that_names_it(drive: Any) -> None:
    async with drive() as console:
        await at_changes(console)
        await console.press("c")
        assert "Confirm: a new password for t.lindqvist?" in console.screen()
        await console.press("n")
        assert "t.lindqvist" not in console.inside.passwords
        await console.press("c", "y")
        await console.shows("confirmed: a new password for t.lindqvist")
        assert console.inside.passwords["t.lindqvist"] == "a new password"
        assert "Waiting changes" not in console.screen()
        assert console.app.screen.focused.id == "accounts"


async def test_z_cancels_a_waiting_change(drive: Any) -> None:
    async with drive() as console:
        await at_changes(console)
        await console.press("z", "y")
        await console.shows("cancelled: a new password for t.lindqvist")
        assert "t.lindqvist" not in console.inside.passwords
        assert "Waiting changes" not in console.screen()


async def test_who_asked_for_a_change_is_refused_and_told_what_to_do(drive: Any) -> None:
    async with drive() as console:
        await at(console, "b.bell")
        await console.press("a", *["down"] * 7, "enter", "enter")
        await console.shows("not done yet: b.bell is administrator on **")
        await console.press("tab", "down", "c", "y")
        await console.shows("who asked for the change may not confirm it")
        assert "ask a second administrator" in console.screen()
        assert "Waiting changes  2 of 2" in console.screen()


async def test_an_officer_sees_and_confirms_the_change_of_their_own_account_alone(drive: Any) -> None:
    async with drive() as console:
        await at(console, "m.okafor")
        await console.press("b", "end", "enter")
        await fill(console, "0123456789abcdef")
        await console.shows("not done yet")
        await console.press("O", *"t.lindqvist", "enter", *PASSPHRASE, "enter")
        await console.until(lambda: console.app.presence.name == "t.lindqvist")
        console.app.show_root("accounts")
        await console.shows("Waiting changes  1 of 1")
        assert "okafor" not in console.screen()
        await console.press("c", "y")
        await console.shows("confirmed: a new password for t.lindqvist")


@pytest.mark.parametrize("key", ["a", "x", "d", "e", "p", "o", "t", "b", "u", "v"])
async def test_keys_of_accounts_do_nothing_to_a_waiting_change(drive: Any, key: str) -> None:
    async with drive() as console:
        await at_changes(console)
        before = [dict(one) for one in console.inside.accounts]
        await console.press(key)
        assert "choose an account first" in console.screen().splitlines()[-2]
        assert console.inside.accounts == before


async def test_hostile_words_of_a_change_are_made_fit(drive: Any) -> None:
    async with drive() as console:
        kept = console.inside.changes[0]
        kept.shown = msgspec.structs.replace(kept.shown, text="\x1b[2J\u202ea [@click=app.quit]", asked_by="\x07ada")
        await at_changes(console)
        await console.press("c")
        assert not {"\x1b", "\u202e", "\x07"} & set(console.screen())
        assert "[@click=app.quit]" in console.screen()


async def test_a_change_that_takes_effect_by_waiting_says_when(drive: Any) -> None:
    async with drive() as console:
        kept = console.inside.changes[0]
        kept.shown = msgspec.structs.replace(kept.shown, due="2026-05-07T09:30:00Z")
        await at_changes(console)
        assert "effective 2026-05-07 09:30" in console.screen()
        assert "effect   2026-05-07 09:30 at the latest: there is no second administrator" in console.screen()


@pytest.mark.parametrize("screen", ["intake", "intake_entry", "approval"])
async def test_the_question_before_a_release_names_the_changes_of_accounts(drive: Any, screen: str) -> None:
    async with drive() as console:
        await console.press("4", "down", "down")
        if screen == "intake_entry":
            await console.press("enter")
        elif screen == "approval":
            console.app.open_further("approval", "alpha.bravo-000006")
            await console.rest()
        await console.press("e")
        assert "Release alpha.bravo-000006?" in console.screen()
        assert "1 change of accounts waits:" in console.screen()
        assert "[>>] account: a new password for t.lindqvist" in console.screen()
        await console.press("y")
        await console.shows("[ok] released:")


async def test_a_change_that_took_effect_behind_the_question_is_told_after_the_release(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "down", "down", "e")
        kept = console.inside.changes[0]
        kept.shown = msgspec.structs.replace(kept.shown, state="done", how="delay", decided="2026-05-04T14:00:00Z")
        await console.press("y")
        await console.shows("released. Not shown before: a new password for t.lindqvist")
        assert "by waiting alone, nobody confirmed it" in " ".join(console.screen().split())


async def test_many_changes_do_not_push_the_answer_out_of_the_question(drive: Any) -> None:
    async with drive() as console:
        first = console.inside.changes[0].shown
        for number in range(40):
            shown = msgspec.structs.replace(first, id=f"{number:08d}", text=f"a new password for {'x' * 60}{number}")
            console.inside.changes.append(DemoChange(shown, {}))
        await console.press("4", "down", "down", "e")
        assert "and 37 more" in console.screen()
        assert "y: yes   n or esc: no" in console.screen()
