"""A custody record as the form: steps, signatures, decisions, hand-overs and events, with the audit log's head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.console.real import live
from tests.intake.inside import name_of, small_bundle
from tests.stage import Station

BUNDLE = "alpha.bravo-000006"


async def saved(console: Any, key: str, path: Path) -> str:
    await console.press(key)
    console.app.focused.value = str(path)
    await console.press("enter")
    await console.shows("saved to")
    return path.read_text()


async def test_the_record_is_shown_whole_with_who_has_it_and_the_head(drive: Any) -> None:
    async with drive(size=(120, 60)) as console:
        console.app.open_further("custody_record", BUNDLE)
        await console.rest()
        text = console.screen()
        for known in (
            "2 hand-overs; K. Adeyemi, bravo has it, medium COURIER-07",
            "M. Okafor, security officer",
            "R. Sato, alpha",
            "B-20417",
            "custody.hand-over",
            console.app.shown.record.head,
            console.app.shown.record.digest,
        ):
            assert known in text
        await console.press("y")
        assert console.app.clipboard == console.app.shown.record.head


async def test_s_saves_it_as_text_and_p_as_a_page(drive: Any, tmp_path: Path) -> None:
    async with drive() as console:
        console.app.open_further("custody_record", BUNDLE)
        await console.rest()
        text = await saved(console, "s", tmp_path / "form.txt")
        assert text.startswith(f"CUSTODY RECORD  {BUNDLE}")
        assert "Handed over by ___" in text
        page = await saved(console, "p", tmp_path / "form.html")
        assert page.startswith("<!doctype html>")
        assert "B-20417" in page


async def test_h_adds_a_hand_over_to_the_record(drive: Any) -> None:
    async with drive() as console:
        console.app.open_further("custody_record", BUNDLE)
        await console.press("h")
        for answer in ("K. Adeyemi", "the safe", "COURIER-07", "", "", ""):
            console.app.focused.value = answer
            await console.press("enter")
        await console.shows("3 hand-overs; the safe has it")


async def test_hostile_names_stay_text_on_the_screen_and_in_both_files(drive: Any, tmp_path: Path) -> None:
    async with drive() as console:
        console.app.open_further("custody_record", BUNDLE)
        await console.press("h")
        for answer in ("\u202egnp.exe", "<script>x</script>", "a\u200bb", "", "", ""):
            console.app.focused.value = answer
            await console.press("enter")
        await console.shows("\\u202egnp.exe")
        text = await saved(console, "s", tmp_path / "form.txt")
        page = await saved(console, "p", tmp_path / "form.html")
        for written in (text, page):
            assert "\u202e" not in written
            assert "\u200b" not in written
        assert "<script>" not in page


async def test_a_real_stations_hand_over_is_in_its_record_and_in_its_log(tmp_path: Path) -> None:
    made = small_bundle(tmp_path / "medium")
    pem = tmp_path / "engineer.pem"
    pem.write_bytes(made.key.public.to_pem())
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        bravo.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        bravo.run("intake", "import", made.folder)
        async with live(bravo.folder) as console:
            console.app.show_root("custody")
            await console.shows(name_of())
            await console.press("h")
            await console.shows("Hand-over of")
            for answer in ("R. Sato", "J. Moreau", "COURIER-07", "4C53", "B-1", ""):
                await console.type(answer)
                await console.press("enter")
            await console.shows("written down")
            await console.press("enter")
            await console.shows("1 hand-over; J. Moreau has it, medium COURIER-07")
            await console.press("p")
            await console.shows("Save to which file?")
            await console.type(str(tmp_path / "form.html"))
            await console.press("enter")
            await console.shows("saved to")
        assert "Engineering" in (tmp_path / "form.html").read_text()
        record = bravo.run("bundle", "custody", name_of(), "--json").json
        (hand,) = record["handovers"]
        assert (hand["giver"], hand["taker"], hand["seal"]) == ("R. Sato", "J. Moreau", "B-1")
        assert "custody.hand-over" in [event["act"] for event in record["events"]]
