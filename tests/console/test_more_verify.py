"""Verify: each rule's verdict, the signer and the key's words, the first failure with what to do; nothing taken in."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from bundles.decide.bundle import RULES
from bundles.errors import CancelledError
from tests.console.doubles import data
from tests.console.real import live
from tests.intake.inside import small_bundle
from tests.stage import Station
from tui.wording.fingerprints import word_lines


async def verify(console: Any, *, tampered: bool = False) -> None:
    console.app.show_root("verify")
    await console.rest()
    await console.press("v", *(("space", "down", "space") if tampered else ()), "enter")
    await console.until(lambda: console.app.shown.findings is not None, "the findings")


async def test_v_shows_every_rule_the_signer_and_the_words(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await verify(console)
        text = console.screen()
        for rule in RULES:
            assert rule in text
        assert "[ok] verifies: every signature, every rule, every byte" in text
        assert "[ok] 13 the next of its stream in this station's ledger" in text
        assert "signed by Release Engineering, alpha, key 30f2c341ae8cd9a4 (ecdsa-p256)" in text
        for line in word_lines(data.FINGERPRINTS["engineer"], 2):
            assert line in text
        assert all(entry.id != "alpha.bravo-000008" for entry in console.inside.entries), "nothing is taken in"


async def test_the_first_failure_is_in_view_with_what_to_do(drive: Any) -> None:
    async with drive() as console:
        await verify(console, tampered=True)
        text = console.screen()
        assert "[!!] refused: do not use it" in text
        assert "failed a volume's bytes are not what was signed" in text
        assert "do     do not use this medium" in text
        await console.press("y")
        assert console.app.clipboard == data.digest("alpha.bravo-000008")


async def test_a_folder_without_a_bundle_says_so(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("verify")
        await console.press("v", "space", "end", "space", "enter", *"nowhere", "enter")
        await console.shows("no bundle is here: nowhere")


async def test_s_saves_the_report_as_a_page(drive: Any, tmp_path: Path) -> None:
    async with drive() as console:
        await verify(console, tampered=True)
        await console.press("s")
        console.app.focused.value = str(tmp_path / "report.txt")
        await console.press("enter")
        await console.shows("saved to")
        text = (tmp_path / "report.txt").read_text()
        assert "LOCKGATE VERIFICATION REPORT" in text
        assert "VERDICT     REFUSED: do not use it" in text
        assert "Sequence: the next of its stream in this station's ledger" in text


async def test_c_stops_a_verification(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def slow(paths: Any, progress: Any) -> Any:
        begun.set()
        stopped = threading.Event()
        for done in range(60_000):
            progress("verify", done % 100, 100)
            stopped.wait(0.001)
        raise AssertionError("it was not stopped")

    async with drive() as console:
        monkeypatch.setattr(console.inside.desk, "verify", slow)
        console.app.show_root("verify")
        await console.press("c")
        assert "Stop: nothing is being verified" in console.screen()
        await console.pilot.press("v")
        await console.shows("Verify what?")
        await console.pilot.press("enter")
        assert begun.wait(30)
        while "c stops it" not in console.screen():
            await console.pilot.pause()
        await console.pilot.press("c")
        await console.shows(str(CancelledError("stopped").what))
        assert console.app.shown.findings is None


async def test_a_real_bundle_on_a_real_station_is_verified_and_a_flipped_bit_refused(tmp_path: Path) -> None:
    made = small_bundle(tmp_path / "medium")
    pem = tmp_path / "engineer.pem"
    pem.write_bytes(made.key.public.to_pem())
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        async with live(bravo.folder, (120, 40)) as console:

            async def look() -> str:
                console.app.show_root("verify")
                await console.press("v")
                await console.shows("Verify what?")
                rows = console.app.screen.query("OptionRows").first()
                rows.marked = {"another folder"}  # type: ignore[attr-defined]
                await console.press("enter")
                await console.shows("Which folder?")
                await console.type(str(made.folder))
                await console.press("enter")
                await console.until(lambda: console.app.shown.findings is not None, "the findings")  # type: ignore[union-attr]
                await console.pilot.pause()
                return console.screen()

            text = await look()
            assert "[!!] 3  every signature is a pinned key's, and holds" in text
            assert "do     compare its fingerprint with the sender" in text

            bravo.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
            text = await look()
            assert "[ok] verifies" in text
            assert "signed Engineering" in text
            for line in word_lines(made.key.public.fingerprint, 2):
                assert line in text
            assert "[ok] 13 the next of its stream" in text

            bravo.run("intake", "import", made.folder)
            text = await look()
            assert "this station would not take it in" in text
            assert "a replay: this bundle is in the ledger" in text

            volume = next((made.folder / "volumes").iterdir())
            volume.chmod(0o644)
            raw = bytearray(volume.read_bytes())
            raw[len(raw) // 2] ^= 1
            volume.write_bytes(bytes(raw))
            text = await look()
            assert "[!!] refused: do not use it" in text
            assert "failed" in text
