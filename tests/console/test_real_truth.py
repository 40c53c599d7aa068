"""What goes wrong on a real station stands on Home, in Recover and on the ledger until a person has seen to it; screens
hear of changes by themselves, and say what they do not know."""

from __future__ import annotations

from pathlib import Path

from tests.bundles.small import MemoryStore, file_artifact
from tests.console.real import live
from tests.intake.inside import carry
from tests.stage import Station
from tui.widgets.table import Table


async def test_what_was_refused_stays_until_it_is_dismissed_and_screens_hear_of_it(tmp_path: Path) -> None:
    store = MemoryStore()
    contents = [file_artifact(store, b"hello\n")]
    first = carry(tmp_path / "one", store, contents)
    third = carry(tmp_path / "three", store, contents, sequence=3, previous="sha256:" + "0" * 64)
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        async with live(bravo.folder, size=(120, 40)) as console:
            await console.press("6")
            await console.shows("empty: no keys are pinned")
            for made in (first, third):
                pem = tmp_path / f"{made.key.public.keyid}.pem"
                pem.write_bytes(made.key.public.to_pem())
                bravo.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
            await console.until(lambda: "no keys are pinned" not in console.screen(), "the pinned keys, without r")

            await console.press("7")
            await console.shows("empty: no bundle has come or gone yet")
            bravo.run("intake", "import", first.folder)
            await console.shows("next 000002")
            bravo.run("intake", "import", third.folder, expect=3)
            bravo.run("intake", "import", third.folder, expect=3)
            bravo.run("intake", "import", first.folder, expect=3)
            await console.shows("gap alpha.bravo-000003, refused 2 times")
            await console.shows("replay alpha.bravo-000001, refused")
            assert "[ok] next" not in console.screen()
            entries = console.app.screen.query_one("#entries", Table)
            assert len(entries.records) == 1  # bundles, and not the ledger's rows

            await console.press("1")
            await console.shows("import refused 2 times")
            home = console.screen()
            assert home.count("import refused") == 2, home

            await console.press("8", "down", "down", "enter")
            await console.shows("import refused, 2 times")
            assert "Nothing to recover" not in console.screen()

        async with live(bravo.folder, size=(120, 40)) as console:  # another console, and another day
            await console.shows("import refused 2 times")
            rows = console.app.screen.query_one("#suggestions")
            place = next(at for at, one in enumerate(rows.suggestions) if "2 times" in one.text)
            await console.press(*["down"] * place, "d")
            await console.shows("Dismiss: import refused 2 times")
            await console.press("y")
            await console.until(lambda: console.screen().count("import refused") == 1, "the other one is left")
            dismissed = bravo.run("audit", "show", "--json").stdout
            assert dismissed.count("job.dismiss") == 2
            await console.press("7")
            await console.until(lambda: "gap alpha.bravo-000003" not in console.screen(), "the ledger hears of it")


async def test_a_console_without_its_station_knows_nothing_and_says_so(tmp_path: Path) -> None:
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        async with live(bravo.folder) as console:
            await console.shows("What next")
            assert bravo.process is not None
            bravo.process.terminate()
            await console.shows("does not answer since")
            for key, false in (
                ("6", "no keys are pinned"), ("4", "nothing was carried in yet"), ("5", "no jobs yet"),
                ("2", "no repositories"), ("7", "no bundle has come"),
            ):  # fmt: skip
                await console.press(key)
                await console.shows("unknown: the station does not answer")
                assert false not in console.screen()
                assert "no extra rules" not in console.screen()
