"""Keys are a person's own: a file gives actions other keys, and what is wrong in it is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bundles.errors import UsageError
from tui.actions.keymap import Keymap, load
from tui.actions.registry import BY_NAME


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the person's own console.toml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "lockgate").mkdir(parents=True)
    return tmp_path / "config" / "lockgate"


def test_without_a_file_the_keys_are_the_registrys(home: Path) -> None:
    keymap = load(None)
    assert all(keymap.keys(action) == action.keys for action in BY_NAME.values())


def test_an_action_takes_the_keys_it_is_given_and_others_lose_them(home: Path) -> None:
    (home / "console.toml").write_text('[keys]\napprove = "e"\nfilter = ["slash", "ctrl+f"]\n')
    keymap = load(None)
    assert keymap.keys(BY_NAME["approve"]) == ("e",)
    assert keymap.keys(BY_NAME["release"]) == (), "a key means one thing on a screen"
    found = keymap.action("intake", "ctrl+f")
    assert found is not None
    assert found.name == "filter"


def test_the_persons_file_wins_over_the_stations(home: Path, tmp_path: Path) -> None:
    (tmp_path / "console.toml").write_text('[keys]\napprove = "f2"\nreject = "f3"\n')
    (home / "console.toml").write_text('[keys]\napprove = "ctrl+a"\n')
    keymap = load(tmp_path)
    assert keymap.keys(BY_NAME["approve"]) == ("ctrl+a",)
    assert keymap.keys(BY_NAME["reject"]) == ("f3",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[keys]\nfly = "f"\n', "no such action"),
        ("[keys]\napprove = 7\n", "not a key"),
        ("[keys]\napprove = []\n", "not a key"),
        ('[keys]\napprove = "ctrl+s"\n', "terminals keep for themselves"),
        ('[keys]\napprove = "ctrl+q"\n', "terminals keep for themselves"),
        ('[keys]\napprove = "alt+a"\n', "terminals keep for themselves"),
        ("[keys\n", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(home: Path, text: str, says: str) -> None:
    (home / "console.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        load(None)


async def test_a_changed_key_works_and_is_the_one_that_footer_and_help_show(drive: Any) -> None:
    async with drive(keymap=Keymap({"approve": ("ctrl+a",)})) as console:
        await console.press("4", "o", "a")
        assert "Approve" not in console.screen().splitlines()[-2], "the old key does nothing"
        assert "ctrl+a Approve" in console.screen().splitlines()[-1]
        await console.press("ctrl+a")
        await console.shows("Sign with which key?")
        await console.press("escape", "question_mark", "slash", *"approve")
        await console.shows("ctrl+a")
