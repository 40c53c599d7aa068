"""Channels: what stands where, and a promotion and a rollback from it; on a real station by a policy of two people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.image_signatures.applied import sign
from appliance.settings.gates import Stage
from appliance.settings.image_policy import PolicyRules
from bundles.signing.keys import create_private
from bundles.signing.pinning import trust_key
from tests.console.lines import Lines
from tests.console.real import live
from tests.stage import Station


async def test_each_channel_says_what_stands_and_what_is_wrong_with_it(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("channels")
        await console.rest()
        assert "production/team/web-portal:stable" in console.screen()
        assert "soaked for two days" in console.screen()
        await console.press("down")
        assert "CVE-2026-1412" in console.screen()
        await console.press("down")
        assert "changed by hand" in console.screen()
        assert "dev/team/reports:2" in console.screen()


async def test_it_is_promoted_and_rolled_back_on_a_real_station(tmp_path: Path) -> None:
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        keys = [create_private(), create_private()]
        for key, owner in zip(keys, ("Anna", "Boris"), strict=True):
            trust_key(alpha.folder / "trust", key.public, purpose="release", owner=owner)
            sign(alpha.folder, PolicyRules(stage=[Stage(name="staging"), Stage(name="production")]), key)
        for number in ("1", "2"):
            content = tmp_path / number
            content.write_text(number)
            alpha.run("collect", f"file:{content}", "--as", f"files/tool:{number}")
            alpha.run("repo", "promote", f"files/tool:{number}", "--to", "staging", "--tag", "next")
        first, second = (
            alpha.run("repo", "show", f"files/tool:{number}", "--json").json["digest"] for number in ("1", "2")
        )
        async with live(alpha.folder) as console:
            console.app.show_root("channels")
            await console.shows("staging/files/tool:next")
            await console.press("p")
            await console.type("nowhere")
            await console.press("enter", "enter")
            await console.shows("no such stage")
            await console.press("p")
            await console.type("production")
            await console.press("enter")
            await console.type("tested")
            await console.press("enter")
            await console.shows("production/files/tool:next stands at")
            await console.shows("production/files/tool:next  ")
            items = alpha.run("repo", "history", "production", "--json").json["items"]
            assert [(one["digest"], one["reason"]) for one in items] == [(second, "tested")]
            await console.press("down", "b")
            await console.shows("Roll staging/files/tool:next back: why?")
            await console.press("enter")
            await console.shows("staging/files/tool:next stands at")
        (_, staging) = alpha.run("repo", "channels", "--json").json["items"]
        assert (staging["digest"], staging["act"]) == (first, "rollback")
        what, back, yes = "which words there are:", "empty goes back:", "anything else no:"
        with Lines(alpha.folder) as lines:
            lines.shows(what)
            lines.does("c", "production/files/tool:next [--] unknown", back)
            lines.does("2", "staging/files/tool:next", back)
            lines.does("p", "To which stage", back)
            lines.does("production", "promotion:")
            lines.does("again", yes)
            lines.does("y", "production/files/tool:next stands at", what)
            lines.does("c", back)
            lines.does("1", back)
            lines.does("b", "rollback:")
            lines.does("", yes)
            lines.does("no", what)
            lines.does("p", "of which time?", back)
            lines.does("1", "Service levels", "Storage", what)
            lines.types("q")
            assert lines.ended() == 0
        items = alpha.run("repo", "history", "production", "--json").json["items"]
        assert [(one["act"], one["digest"]) for one in items] == [("promote", first), ("promote", second)]
