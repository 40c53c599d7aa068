"""Deltas: what each inside is known to hold, since when and by what; want-lists; what is kept for receipts."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from appliance.api.bundles import Delta
from tests.console.keys import PASSPHRASE
from tui.screens.outgoing.deltas import known_by


async def outside(console: Any) -> None:
    await console.press("w")
    console.app.show_root("deltas")
    await console.rest()


async def fill(console: Any, text: str) -> None:
    console.app.screen.query_one(Input).value = text
    await console.press("enter")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"last_sequence": 0}, "nothing was sent"),
        ({"last_sequence": 31}, "sequence 31, assumed"),
        ({"last_sequence": 4, "receipt": 1}, "receipt 1, no inventory"),
        ({"last_sequence": 8, "receipt": 3, "inventory": True}, "receipt 3"),
    ],
)
def test_by_what_something_is_known_to_be_inside(fields: dict[str, Any], words: str) -> None:
    assert known_by(Delta(stream="alpha.bravo", **fields)) == words


async def test_streams_are_shown_with_receipt_date_and_bytes(drive: Any) -> None:
    async with drive(size=(100, 30)) as console:
        await outside(console)
        screen = console.screen()
        for text in ("alpha.bravo", "receipt 3", "2026-04-25 07:30", "48.0 GB", "sequence 31, assumed", "22.0 GB"):
            assert text in screen
        assert "number 3 of 2026-04-25 07:30, read 2026-04-25 16:12, up to bundle 5" in screen
        assert "alpha.bravo-000006" in screen
        await console.press("down")
        assert "no receipt came back: a delta assumes that every bundle arrived" in console.screen()


async def test_the_inside_shows_its_receipts_and_what_is_kept_for_them(drive: Any) -> None:
    async with drive(size=(100, 30)) as console:
        console.app.show_root("deltas")
        await console.rest()
        assert "1,802 blobs, 48.0 GB" in console.screen()
        assert "alpha.bravo, foxtrot.bravo" in console.screen()
        await console.press("tab", "down")
        receipt = console.app.shown.receipts.current
        assert receipt.number == 2
        assert receipt.digest in console.screen()
        await console.press("y")
        assert console.app.clipboard == receipt.digest


async def test_v_voids_the_last_bundle_of_a_stream_with_a_reason(drive: Any) -> None:
    async with drive() as console:
        await outside(console)
        await console.press("v")
        assert "alpha.bravo-000008 is lost: why?" in console.screen()
        await fill(console, "the courier's car burnt")
        await console.shows("void: alpha.bravo-000008; the next bundle carries it again")


async def test_n_begins_a_delta_for_the_site_of_a_stream(drive: Any) -> None:
    async with drive() as console:
        await outside(console)
        await console.press("down", "n")
        assert console.name == "new_bundle"
        assert "Destination     delta" in console.screen()
        assert "Based on        what is known to be there: a delta" in console.screen()


async def test_e_writes_a_receipt(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("deltas")
        await console.press("e")
        await fill(console, "here")
        assert "a path begins with /" in console.screen()
        await fill(console, "/media/usb-blue/receipt")
        await console.until(lambda: console.name == "job", "the job")
        assert "receipt" in console.screen()


async def test_who_may_neither_is_told_why(drive: Any) -> None:
    async with drive() as console:
        await console.press("O", *"m.okafor", "enter", *PASSPHRASE, "enter")
        await console.until(lambda: console.app.presence.name == "m.okafor")
        console.app.show_root("deltas")
        await console.rest()
        assert "forbidden: separation of duties: a security-officer may never build" in console.screen()
        assert "forbidden: no role of it may export or read receipts" in console.screen()
