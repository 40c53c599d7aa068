"""Every kind of dialog with its longest plausible text at 80x24: its keys and its choices stand, its text scrolls."""

from __future__ import annotations

from typing import Any

import pytest
from textual.containers import Vertical
from textual.widgets import Static

from appliance.api.trust import OwnKey
from bundles.io.secret import Secret
from tui.dialogs.choose import Choose, Option, OptionRows
from tui.dialogs.confirm import Confirm
from tui.dialogs.dialog import Dialog
from tui.dialogs.form import Field, Form
from tui.dialogs.passphrase import Passphrase
from tui.dialogs.path_prompt import PathPrompt
from tui.dialogs.prompt import Prompt
from tui.dialogs.told import SecretDialog

BUNDLE = "north-coast-registry.south-valley-enclave-000147"
DIGEST = "sha256:" + "ab" * 32
WORDS = "\n".join(f"  {number}  absurd yesteryear adviser examine" for number in range(1, 9))
LONG = (
    f"You approve {BUNDLE}: 74.1 GB from north-coast-registry, which carries 4,311 artifacts in 12 volumes on three "
    f"media.\nReason: {'a reason that somebody took the trouble to write down in full, ' * 4}\n{WORDS}\n{DIGEST}\n"
    + "\n".join(f"[!!] No SBOM could be made of team/service-{number}@{DIGEST}." for number in range(6))
    + "\nthe last line of it"
)
TITLE = f"Reject {BUNDLE}: why? It names also everything that it moves, from registry.example/team/service-with-a-name"
OPTIONS = [Option(f"key-{number}", f"engineer-{number}", DIGEST) for number in range(9)]
FIELDS = [Field(f"f{number}", f"words {number}-{number + 3}") for number in range(8)]

MADE = {
    "confirm": lambda: Confirm(TITLE, LONG),
    "prompt": lambda: Prompt(TITLE, LONG),
    "passphrase": lambda: Passphrase(
        f"Approve {BUNDLE}", OwnKey(name="o" * 40, keyid="ab" * 8, algorithm="", encrypted=True), LONG, lambda *_: None
    ),
    "form": lambda: Form(TITLE, FIELDS, LONG),
    "choose": lambda: Choose(TITLE, OPTIONS, LONG),
    "choose-several": lambda: Choose(TITLE, OPTIONS, LONG, several=True),
    "path": lambda: PathPrompt(TITLE, LONG, value="/media/north-coast-usb/" + "a-long-name/" * 12),
    "form-path": lambda: Form(TITLE, [*FIELDS[:7], Field("f7", "words 7-10", path=True)], LONG),
    "told": lambda: SecretDialog(TITLE, LONG, Secret("lgs_" + "x" * 60)),
}


@pytest.mark.parametrize("kind", MADE)
async def test_a_dialog_keeps_its_keys_and_choices_and_scrolls_its_text(drive: Any, kind: str) -> None:
    async with drive() as console:
        dialog: Dialog[Any] = MADE[kind]()
        console.app.push_screen(dialog)
        await console.rest()
        await console.rest()
        screen = console.screen()
        assert "Reject north-coast" in screen or "Approve north-coast" in screen
        assert dialog.hint.split("   ")[0] in screen.replace("\n", " "), screen
        assert f"{dialog.more}: more text" in screen
        if kind.startswith("form"):
            assert all(f"words {number}-{number + 3}" in screen for number in range(8)), screen
        if kind.startswith("choose"):
            assert dialog.query_one(OptionRows).size.height >= 9
            assert "engineer-8" in screen
        assert "the last line of it" not in screen
        key = next(key for key, way in dialog.scrolls_by.items() if way > 0)
        for _ in range(40):
            await console.press(key)
            if "the last line of it" in console.screen():
                break
        assert "the last line of it" in console.screen()
        assert dialog.hint.split("   ")[0] in console.screen().replace("\n", " ")
        assert isinstance(dialog.query_one("#hint"), Static)


@pytest.mark.parametrize("kind", MADE)
async def test_a_dialog_that_is_closed_is_given_no_size_any_more(drive: Any, kind: str) -> None:
    """What was asked for before the next painting comes when its widgets are gone."""
    async with drive() as console:
        dialog: Dialog[Any] = MADE[kind]()
        console.app.push_screen(dialog)
        await console.rest()
        await dialog.query(Vertical).remove()
        assert dialog.is_mounted
        dialog.fit()
        dialog.say_more()
        if isinstance(dialog, PathPrompt):
            await dialog._look()


async def test_a_short_dialog_says_nothing_of_more_text(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "x")
        await console.rest()
        assert "more text" not in console.screen()
        assert "Reject alpha.bravo-000007: why?" in console.screen()


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind not in ("told",)])
async def test_space_answers_no_dialog(drive: Any, kind: str) -> None:
    """It marks, or types a space; enter alone goes on."""
    async with drive() as console:
        dialog: Dialog[Any] = MADE[kind]()
        console.app.push_screen(dialog)
        await console.rest()
        await console.press("space", "space")
        assert console.app.screen is dialog
