"""One bundle that waits: what it is, what was found and changes, what each signature will do; approve, reject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bundles.small import MemoryStore, file_artifact
from tests.console.keys import PASSPHRASE
from tests.console.real import live
from tests.intake.inside import carry, name_of
from tests.stage import Station

WAITING = "alpha.bravo-000007"


async def test_everything_that_one_should_know_is_on_one_page(drive: Any) -> None:
    async with drive(size=(120, 50)) as console:
        console.app.open_further("approval", WAITING)
        await console.rest()
        text = console.screen()
        for known in (
            "bundle from alpha, 5 artifacts",
            "papers monthly update, CR-2026-407, INTERNAL",
            "signed Release Engineering, alpha (30f2c341ae8cd9a4)",
            "wanted 2 of 2 approvals still needed",
            "sign with officer: approval 1 of 2: 1 more must follow within 72 hours",
            "nobody has approved it yet",
            "[ok] integrity: 24 volumes and 61 blobs are the signed ones",
            "[ i] changes: 1 new, 4 moved, 0 unchanged tags",
            "[ i] differences: 1 of 4 moved tags changes inside",
            "[ i] layers: 14 of 20 blobs are archives, with 41,210 entries: 3 setuid",
            "o shows it",
        ):
            assert known in text


async def test_a_signs_after_saying_what_the_signature_will_do(drive: Any) -> None:
    async with drive() as console:
        console.app.open_further("approval", WAITING)
        await console.press("a", "a")
        assert "officer: approval 1 of 2: 1 more must follow within 72 hours" in console.screen()
        await console.press("enter", *PASSPHRASE, "enter")
        await console.shows("approved, 1 of 2")
        await console.press("escape")
        assert "M. Okafor, security officer approved" in console.screen()
        assert "sign with deputy: approval 2 of 2: alpha.bravo-000007 may then be released" in " ".join(
            console.screen().split()
        )
        await console.press("a", "a", "down", "enter", *PASSPHRASE, "enter")
        await console.shows("e releases it")
        await console.press("e", "y")
        await console.shows("released: ")
        assert console.inside.entries[0].state == "released"


async def test_x_rejects_with_a_reason_and_shows_what_became_of_it(drive: Any) -> None:
    async with drive() as console:
        console.app.open_further("approval", WAITING)
        await console.press("x", *"no", "enter", "enter", *PASSPHRASE, "enter")
        await console.until(lambda: console.name == "intake_entry", "the bundle in the intake")
        assert console.inside.entries[0].state == "rejected"


async def test_enter_opens_the_bundle(drive: Any) -> None:
    async with drive() as console:
        console.app.open_further("approval", WAITING)
        await console.press("enter")
        assert console.name == "intake_entry"
        await console.press("escape")
        assert console.name == "approval"


async def test_y_copies_the_digest_and_s_saves_the_page(drive: Any, tmp_path: Path) -> None:
    async with drive() as console:
        console.app.open_further("approval", WAITING)
        await console.press("y")
        assert console.app.clipboard == console.inside.entries[0].digest
        await console.press("s")
        console.app.focused.value = str(tmp_path / "page.txt")
        await console.press("enter")
        await console.shows("saved to")
        assert "sign with officer: approval 1 of 2" in (tmp_path / "page.txt").read_text()


async def test_a_real_bundle_is_approved_released_blocked_and_withdrawn_from_the_screen(tmp_path: Path) -> None:
    store = MemoryStore()
    made = carry(tmp_path / "medium", store, [file_artifact(store, b"hello\n")], purpose="monthly patches")
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        bravo.run("key", "create", "officer", passphrase="a passphrase")
        for name, pem, purpose in (
            ("Officer", bravo.run("key", "export", "officer").stdout.encode(), ("release",)),
            ("Engineering", made.key.public.to_pem(), ("bundle", "--from", "alpha")),
        ):
            file = tmp_path / f"{name}.pem"
            file.write_bytes(pem)
            bravo.run("key", "trust", file, "--owner", name, "--purpose", *purpose)
        bravo.run("intake", "import", made.folder)
        async with live(bravo.folder) as console:
            console.app.show_root("approvals")
            await console.shows(name_of())
            await console.shows("1 of 1 approval still needed")
            await console.press("enter")
            await console.shows("monthly patches")
            await console.shows("sign with officer: approval 1 of 1")
            await console.shows("Engineering")
            await console.press("a")
            await console.shows("Verdict: ")
            await console.shows("by Engineering")
            await console.press("a")
            await console.shows("Passphrase of the key officer")
            await console.type("a passphrase")
            await console.press("enter")
            await console.shows("approved, 1 of 1")
            await console.press("escape")
            await console.shows("Officer approved")
            await console.shows("e releases it")
            await console.press("e")
            await console.shows("Release alpha.bravo-000001?")
            await console.press("y")
            await console.shows("released: files/thing:1")
            console.app.open_thing("tag", "files/thing:1")
            await console.shows("layer 1 of 1")  # what a key acts on is there, and not the headings alone
            await console.press("x")
            await console.shows("Block files/thing:1: why?")
            await console.type("a leaked key")
            await console.press("enter")
            await console.shows("blocked: shown to nobody now")
            console.app.open_thing("intake", name_of())
            await console.shows("Checks, volumes, artifacts")
            await console.press("u")
            await console.shows(f"Withdraw {name_of()}: why?")
            await console.type("a leaked key")
            await console.press("enter")
            await console.shows("is withdrawn")
            await console.press("v")
            await console.shows("anew?")
            await console.press("y")
            await console.shows("[ok] done")
            await console.press("5", "m", "enter")
            await console.shows("[ok] done")
        shown = bravo.run("intake", "show", name_of(), "--json").json
        assert shown["state"] == "quarantined"  # by its new report
        assert [step["state"] for step in shown["steps"]].count("withdrawn") == 1
        assert [one["why"] for one in bravo.run("block", "list", "--json").json["items"]] == ["a leaked key"]
        assert [one["kind"] for one in bravo.run("job", "list", "--json").json["items"]][:2] == ["gc", "inspect"]
