"""Blocked, Recall and Sites, on a real station: what is blocked is shown again, and a destination is listed and not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.console.real import live
from tests.stage import Station
from tui.screens.content.artifact import ArtifactScreen


async def test_content_is_blocked_recalled_and_shown_again_and_a_site_listed(tmp_path: Path) -> None:
    content = tmp_path / "hello.bin"
    content.write_bytes(b"hello")
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        alpha.run("collect", f"file:{content}", "--as", "tools/hello:1")
        async with live(alpha.folder) as console:
            console.app.show_root("blocks")
            await console.shows("empty: nothing is blocked")
            await console.press("u")
            await console.shows("Unblock: choose a blocked digest first")
            alpha.run("block", "add", "tools/hello:1", "--why", "looked into")
            await console.shows("looked into")
            assert alpha.run("repo", "show", "tools/hello:1", "--json").json["blocked"] == "looked into"
            assert "[!!] blocked: looked into" in alpha.run("repo", "show", "tools/hello:1").stdout
            console.app.push_screen(ArtifactScreen("tools/hello:1"))
            await console.shows("blocked, nobody may pull it: looked into")
            await console.press("escape", "R")
            await console.shows("Where it went, and who has it")
            await console.shows("lockgate audit show")  # no bundle has to do with it: that is not "nobody has it"
            assert "nothing to recall" not in console.screen()
            await console.press("escape", "u")
            await console.shows("It is shown again wherever it was released or pushed")
            await console.press("y")
            await console.shows("empty: nothing is blocked")
            assert alpha.run("block", "list", "--json").json["items"] == []

            console.app.show_root("sites")
            await console.shows("no site is known")
            await console.press("n")
            await console.shows("List a site: which?")
            await console.type("bravo")
            await console.press("enter")
            await console.shows("bravo is listed")
            assert [one["site"] for one in alpha.run("site", "list", "--json").json["items"]] == ["bravo"]
            await console.press("u")
            await console.shows("Take bravo off the list?")
            await console.press("y")
            await console.shows("no site is known")


async def test_a_role_that_may_not_unblock_is_told_which_may(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("blocks")
        await console.press("u", "y")
        await console.rest()
        assert "nothing is blocked" in console.screen()
        await console.press("2", "enter", "down", "enter", "R")
        assert console.name == "recall"
