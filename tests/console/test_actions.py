"""Every action of the registry can be carried out by its key, on every screen it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Input

from tests.console.doubles import intake
from tui.actions.further_screens import BY_SCREEN, LISTED, MORE
from tui.actions.registry import ACTIONS, ROOTS, Action, Context
from tui.dialogs.choose import Choose
from tui.dialogs.confirm import Confirm
from tui.dialogs.jump import Jump
from tui.dialogs.palette import Palette
from tui.dialogs.prompt import Prompt
from tui.screens.people.log_in import LogInForm
from tui.screens.start.home import NextActions
from tui.widgets.panel import Panel
from tui.widgets.tree import TreeRows

APPROVED, QUARANTINED = "alpha.bravo-000006", "alpha.bravo-000007"
BUNDLES = {"release": APPROVED, "release_part": APPROVED, "withdraw": "alpha.bravo-000005"}
"""The bundle that an action is done to, where it is not one that waits."""
REFUSED = "j0039"


async def reach(console: Any, screen: str, action: str) -> None:
    """Go to a screen with something under the cursor that the action can be done to."""
    app = console.app
    if action == "components" or action == "manifest" or screen == "artifact":
        app.open_thing("tag", "base/debian:12.6")
    elif screen == "report":
        app.open_further("report", BUNDLES.get(action, QUARANTINED))
    elif screen == "intake_entry":
        app.open_thing("intake", BUNDLES.get(action, QUARANTINED))
    elif screen == "job":
        app.open_thing("job", await _job(console, action))
    elif screen == "guide":
        app.open_guide("carry_out")
    elif screen in ROOTS:
        app.show_root(screen)
    await console.rest()
    if screen == "new_bundle" and action in ("plan", "build"):
        await _fill_form(console, planned=action == "build")
    if (screen, action) == ("repositories", "pick"):
        await console.press("enter")
    if screen == "intake" and action in ("release", "release_part"):
        await console.press("down", "down")
    if (screen, action) == ("intake", "withdraw"):
        await console.press("down", "down", "down")
    if (screen, action) == ("jobs", "sign"):
        await _job(console, action)
        await console.press("r", "home")
    if action == "dismiss":
        places = {"home": [*app.shown.query(NextActions)], "jobs": [*app.shown.query("#jobs")]}.get(screen, [])
        for rows in places:
            named = [*getattr(rows, "suggestions", ()), *getattr(rows, "records", ())]
            rows.move_to(
                next(at for at, one in enumerate(named) if REFUSED in (one.ids if screen == "home" else one.id))
            )
        await console.rest()
    if action == "refresh":
        console.inside.entries.insert(0, intake.make(99, "released", console.inside.now()))


async def _job(console: Any, action: str) -> str:
    """A job that the action can be done to."""
    if action in ("sign", "cosign"):
        cosigner = ["a434ee58eb00eea7"]
        job = await console.inside.start_job(
            "build",
            {"to": "charlie", "out": ["/media/usb-blue"], "references": ["base/debian:12.6"],
             "sign_with": "30f2c341ae8cd9a4", "cosigners": cosigner},
        )  # fmt: skip
        console.seconds.now += 60
        if action == "cosign":
            console.inside.demo_job(job.id).signed_at = console.seconds.now
            console.seconds.now += 60
        return str(job.id)
    if action == "open":
        job = await console.inside.start_job("import", {"paths": ["/media/usb-blue/alpha.bravo-000008"]})
        console.seconds.now += 60
        return str(job.id)
    return REFUSED if action == "dismiss" else "j0041"


async def _fill_form(console: Any, *, planned: bool) -> None:
    app = console.app
    draft = app.draft.change(
        references=("base/debian:12.6",), to="charlie", media=("/media/usb-blue",), key="engineer",
        keyid="30f2c341ae8cd9a4",
    )  # fmt: skip
    if planned:
        draft = draft.change(plan=await console.inside.plan(draft.plan_params()))
    app.set_draft(draft)
    app.shown.load()
    await console.rest()


def at(name: str) -> Callable[[Any], bool]:
    return lambda console: console.name == name


def asks(kind: type) -> Callable[[Any], bool]:
    return lambda console: isinstance(console.app.screen, kind)


def says(text: str) -> Callable[[Any], bool]:
    return lambda console: text in console.screen()


def shows_pane(pane: str) -> Callable[[Any], bool]:
    return lambda console: bool(console.app.shown.query_one(f"#{pane}").display)


def _copied(console: Any) -> bool:
    return bool(console.app.clipboard) and "copied" in console.screen()


def _collapsed(console: Any) -> bool:
    return console.app.shown.query_one(TreeRows).row_count == 1


EFFECTS: dict[str, Callable[[Any], bool]] = {
    **{name: at(name) for name in ROOTS},
    "next_pane": lambda console: console.app.focused.id == "own",
    "filter": lambda console: isinstance(console.app.focused, Input),
    "sort": asks(Choose),
    "columns": asks(Choose),
    "mark": lambda console: len(console.app.shown.table_now().marked) == 1,
    "mark_range": lambda console: len(console.app.shown.table_now().marked) == 1,
    "mark_all": lambda console: len(console.app.shown.table_now().marked) == console.app.shown.table_now().row_count,
    "withdraw": asks(Prompt),
    "inspect": asks(Confirm),
    "block": asks(Prompt),
    "maintain": asks(Choose),
    "jump": asks(Jump),
    "palette": asks(Palette),
    "pick": lambda console: len(console.app.draft.references) == 1,
    "change": asks(Choose),
    "step": at("repositories"),
    "tree": shows_pane("tree"),
    "components": shows_pane("components"),
    "manifest": shows_pane("manifest"),
    "config": shows_pane("config"),
    "compare": asks(Choose),
    "plan": lambda console: console.app.draft.plan is not None,
    "build": at("job"),
    "clear": says("the form is empty"),
    "bring_in": asks(Choose),
    "import_next": asks(Choose),
    "approve": at("report"),
    "release": asks(Confirm),
    "release_part": asks(Choose),
    "import_part": asks(Choose),
    "reject": asks(Prompt),
    "report": at("report"),
    "cancel": asks(Confirm),
    "sign": asks(Prompt),
    "cosign": asks(Prompt),
    "dismiss": lambda console: console.inside.demo_job(REFUSED).dismissed is not None,
    "copy": _copied,
    "save": asks(Prompt),
    "refresh": says("alpha.bravo-000099"),
    "redraw": lambda console: console.name == "home" and "What next" in console.screen(),
    "swap": lambda console: console.app.status is not None and console.app.status.site == "alpha",
    "lock": asks(LogInForm),
    "log_out": asks(LogInForm),
    "password": asks(Prompt),
    "back": at("home"),
    "quit": lambda console: console.app.return_code == 0,
}
"""What is there after an action's key was pressed, for every action there is."""

ELSEWHERE: dict[tuple[str, str], Callable[[Any], bool]] = {
    ("open", "home"): at("intake_entry"),
    ("open", "repositories"): shows_pane("tags"),
    ("open", "artifact"): _collapsed,
    ("open", "intake"): at("intake_entry"),
    ("open", "jobs"): at("job"),
    ("open", "job"): at("intake_entry"),
    ("open", "trust"): at("key"),
    ("open", "ledger"): lambda console: console.app.focused.id == "entries",
    ("open", "guides"): at("guide"),
    ("open", "more"): at(LISTED[0].name),
    ("open", "report"): says("► Changes of accounts"),
    ("approve", "report"): asks(Choose),
    ("release", "report"): asks(Confirm),
    ("reject", "report"): asks(Prompt),
    ("filter", "report"): lambda console: isinstance(console.app.focused, Input),
    ("bring_in", "home"): at("guide"),
    ("dismiss", "home"): asks(Confirm),
    ("mark_range", "repositories"): says("tags are picked"),
    ("mark_all", "repositories"): says("tags are picked"),
    ("filter", "artifact"): shows_pane("components"),
    ("bring_in", "media"): asks(Choose),
}
"""Where an action does something of its own on a screen."""

WHERE = {"next_pane": "trust", "refresh": "intake", "back": "jobs", "copy": "intake"}
"""Where an action that is everywhere is tried; at home where nothing is said."""

OWN_TESTS = {action.name for further in MORE for action in further.actions}
CASES = [
    (action, screen)
    for action in ACTIONS
    if action.keys and action.name not in OWN_TESTS
    for screen in (action.screens or (WHERE.get(action.name, "home"),))
    if screen not in BY_SCREEN or (action.name, screen) in ELSEWHERE
]


def named(value: object) -> str:
    return value.name if isinstance(value, Action) else str(value)


@pytest.mark.parametrize(("action", "screen"), CASES, ids=named)
async def test_an_action_is_carried_out_by_its_key(drive: Any, action: Action, screen: str) -> None:
    effect = ELSEWHERE.get((action.name, screen)) or EFFECTS.get(action.name)
    assert effect, f"the new action {action.name} needs a test: say in this module what it brings about"
    async with drive() as console:
        await reach(console, screen, action.name)
        await console.pilot.press(console.app.keymap.keys(action)[0])
        await console.until(lambda: effect(console), action.name)


def test_every_action_has_its_words_and_a_key_that_terminals_pass_on() -> None:
    for action in ACTIONS:
        assert action.keys or action.name in BY_SCREEN
        assert action.label
        assert len(action.help) <= 53, f"the help of {action.name} does not fit its line at 80 columns"
        for key in action.keys:
            assert key not in ("ctrl+s", "ctrl+q")
            assert "alt+" not in key
            assert not (key.startswith("f") and key[1:].isdigit())


def test_no_key_means_two_things_on_one_screen() -> None:
    screens = {screen for action in ACTIONS for screen in action.screens} | set(ROOTS)
    for screen in screens:
        keys = [key for action in ACTIONS if action.on(screen) for key in action.keys]
        assert len(keys) == len(set(keys)), f"{screen}: {sorted(key for key in keys if keys.count(key) > 1)}"


async def test_an_action_that_is_not_allowed_says_why_and_does_nothing(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "e")
        assert "Release: 0 of 2 approvals are given" in console.screen()
        assert console.name == "intake"


async def test_what_the_account_may_not_do_is_shown_with_the_stations_reason(drive: Any) -> None:
    async with drive() as console:
        import msgspec

        denied = {"approve": "your role is importer: approving takes an officer"}
        console.app.presence.who = msgspec.structs.replace(console.app.presence.who, denied=denied)
        await console.press("4", "a")
        assert "your role is importer" in console.screen()
        await console.press("colon", *"approve")
        assert "your role is importer" in console.screen()


async def test_the_palette_carries_an_action_out(drive: Any) -> None:
    async with drive() as console:
        await console.press("colon", *"ledger", "enter")
        assert console.name == "ledger"


async def test_enter_right_behind_the_letters_means_what_they_find(drive: Any) -> None:
    async with drive() as console:
        await console.press("colon")
        console.app.screen.query_one(Input).value = "audit"
        console.app.screen.accept()
        await console.rest()
        assert console.name == "audit"
        await console.press("g")
        console.app.screen.query_one(Input).value = "000005"
        console.app.screen.accept()
        await console.rest()
        assert console.name == "intake_entry"
        assert "alpha.bravo-000005" in console.screen()


async def test_the_jump_opens_what_it_found(drive: Any) -> None:
    async with drive() as console:
        await console.press("g", *"000005")
        await console.shows("alpha.bravo-000005 released")
        await console.press("enter")
        assert console.name == "intake_entry"
        assert "alpha.bravo-000005" in console.screen()


async def test_the_jump_finds_by_the_beginning_of_a_digest(drive: Any) -> None:
    async with drive() as console:
        tag = (await console.inside.tags("team/web-portal")).items[0]
        await console.press("g", *tag.digest.removeprefix("sha256:")[:8])
        await console.shows("> digest")
        await console.press("enter")
        await console.shows(f"team/web-portal:{tag.tag}")


async def test_the_footer_never_has_more_than_seven_hints_and_cuts_none(drive: Any) -> None:
    from tui.screens import edge_rows

    async with drive() as console:
        for screen in ROOTS:
            console.app.show_root(screen)
            await console.rest()
            context: Context = console.app.shown.context()
            hints = edge_rows.hints(console.app.keymap, context)
            assert len(hints) <= 7
            assert {"help", "palette"} <= {action.name for action in hints} or screen == "help"
            assert "…" not in console.screen().splitlines()[-1]


async def test_the_whole_digest_is_on_the_screen(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter")
        digest = console.app.shown.tags.current.digest
        assert digest in console.screen()
        await console.press("enter")
        assert digest in console.screen()
        detail = console.app.shown.query_one("#detail", Panel)
        assert digest in detail.as_text()
