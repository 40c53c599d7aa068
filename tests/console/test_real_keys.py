"""A key is made at the console of a real station, under a passphrase that was typed twice."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.audit.reading import tail
from bundles.errors import UsageError
from bundles.signing.keys import load_private
from tests.console.real import Live, live
from tests.stage import Station
from tui.screens.trust.acts import check_key_name

WORDS = "correct horse battery"


async def fill(console: Live, *texts: str) -> None:
    for text in texts:
        await console.type(text)
        await console.press("enter")


async def test_a_key_is_made_once_and_opens_with_its_passphrase(tmp_path: Path) -> None:
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        path = alpha.folder / "keys/engineer.pem"
        async with live(alpha.folder) as console:
            await console.press("6")
            await console.shows("no keys are pinned")
            await console.press("n")
            await console.shows("New key: what is it called?")
            await fill(console, "engineer.pem")
            await console.shows("write")
            await fill(console, "engineer")
            await console.shows("New key engineer: its passphrase")
            await fill(console, WORDS)
            await console.shows("New key engineer: the same once more")
            await fill(console, WORDS[1:])
            await console.shows("it is not the same as before")
            assert not path.exists()
            await fill(console, WORDS)
            await console.until(path.exists, "the key")
            await console.shows("engineer is")
            assert WORDS not in console.screen()
            await console.press("n")
            await fill(console, "engineer", WORDS, WORDS)
            await console.shows("the key exists")
        made = load_private(path, WORDS.encode())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(UsageError):
            load_private(path, None)
        events = [one for one in tail(alpha.folder / "audit", 50) if one["act"] == "key.create"]
        assert [(one["thing"], one["outcome"]) for one in events] == [(made.public.keyid, "done")]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "x.pem", "-", "\x1b[2J", "a" * 300])
def test_what_is_no_keys_name_is_said(name: str) -> None:
    assert check_key_name(name)


def test_a_keys_name_is_taken() -> None:
    assert check_key_name("engineer-2") == ""
