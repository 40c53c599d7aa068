"""Bundles: outgoing and incoming have one home, each with where it stands, who acted, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.api.bundles import OutgoingBundle
from tests.bundles.small import MemoryStore, file_artifact
from tests.console.real import live
from tests.intake.inside import carry
from tests.stage import Station
from tui.wording.bundles import outgoing

ALL = ("to-sign", "signed", "unfinished", "written", "superseded", "voided", "quarantined", "approved", "released",
       "rejected", "withdrawn")  # fmt: skip


@pytest.mark.parametrize("word", ALL)
def test_every_standing_of_the_station_has_words_of_its_own(word: str) -> None:
    one = outgoing(
        OutgoingBundle(
            id="alpha.bravo-000001", stream="alpha.bravo", sequence=1, state="written", created="", standing=word
        )
    )
    assert one.word == word
    assert one.next[1] != word
    assert one.other == "bravo"


async def test_both_ways_are_listed_opened_and_told_of(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        console.app.show_root("bundles")
        await console.rest()
        screen = console.screen()
        assert screen.index("Incoming") < screen.index("Outgoing")  # the side's own way first
        assert "History of alpha.bravo-000007" in screen
        assert "hand-over: R. Sato" in screen
        assert "Next: enter opens it: read its report" in screen
        await console.press("tab")
        assert "carry it to the other side" in console.screen()
        assert "media" in console.screen()
        await console.press("enter")
        assert console.name == "custody_record"
        await console.press("escape", "tab", "tab", "enter")
        assert console.name == "intake_entry"


async def test_a_filter_narrows_both_lists(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("bundles")
        await console.press("slash", *"charlie")
        await console.rest()
        assert "no match" in console.screen()
        assert "bravo.charlie-000003" in console.screen()


async def test_a_real_bundle_that_came_in_stands_here_and_hears_of_its_release(tmp_path: Path) -> None:
    store = MemoryStore()
    made = carry(tmp_path / "one", store, [file_artifact(store, b"hello\n")])
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        pem = tmp_path / "key.pem"
        pem.write_bytes(made.key.public.to_pem())
        bravo.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        async with live(bravo.folder, size=(120, 40)) as console:
            console.app.show_root("bundles")
            await console.shows("empty: nothing was carried in yet")
            assert "nothing is on record" not in console.screen()  # nobody asked for the history of no bundle
            await console.shows("unknown: no bundle is chosen")
            bravo.run("intake", "import", made.folder)
            await console.shows("[>>] quarantined  alpha.bravo-000001")
            await console.shows("0 of 1 approvals")
            await console.shows("History of alpha.bravo-000001")
            await console.shows("quarantined:")
