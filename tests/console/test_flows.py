"""The main job from the screen alone: a bundle carried out, across, in and released; what is refused is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tests.console.keys import PASSPHRASE


async def _pick_and_address(console: Any) -> None:
    """From the guide: two artifacts, the first site offered, the first medium, the first key."""
    await console.press("w", "8", "enter", "enter")
    assert console.name == "repositories"
    await console.press("enter", "space", "space", "3")
    assert "2 picked" in console.screen()
    await console.press("down", "enter", "enter")
    await console.press("down", "down", "enter", "space", "enter")
    await console.press("down", "down", "enter", "enter")
    assert "Next: p plans it" in console.screen()


async def test_a_delta_carries_only_what_is_not_known_to_be_there(drive: Any) -> None:
    async with drive() as console:
        await _pick_and_address(console)
        assert "Based on        nothing: a full bundle" in console.screen()
        await console.press("p")
        assert "18 blobs" in console.screen()
        await console.press("up", "up", "up", "enter", "down", "enter")
        assert "Based on        what is known to be there: a delta" in console.screen()
        assert "Next: p plans it" in console.screen(), "another base is another plan"
        await console.press("p")
        assert "2 blobs" in console.screen()
        assert " are not carried; it is based on receipt 3" in console.screen()
        await console.press("enter", "end", "enter")
        assert "Which receipt or want-list?" in console.screen()
        await console.press(*"receipt", "enter")
        assert "a path begins with /" in console.screen()
        await console.press("ctrl+u", *"/media/usb-blue/receipt", "enter")
        assert console.app.draft.build_params()["since"] == "/media/usb-blue/receipt"


async def test_a_bundle_is_carried_out_across_and_in_by_keys_alone(drive: Any) -> None:
    async with drive() as console:
        await _pick_and_address(console)
        await console.press("p")
        assert "medium 1" in console.screen()
        assert "0001" in console.screen()
        assert not console.outside.demo_jobs, "a plan writes nothing and begins nothing"
        await console.press("b")
        console.seconds.now += 30
        await console.shows("Passphrase of the key engineer")
        assert "You sign bundle alpha.bravo-000009 for bravo." in console.screen()
        await console.press(*PASSPHRASE, "enter")
        console.seconds.now += 60
        await console.shows("safe to remove: /media/usb-blue")

        await console.press("w")
        await console.shows("bravo inside")
        await console.press("4", "i")
        await console.shows("alpha.bravo-000009")
        await console.press("escape", "i", "enter")
        console.seconds.now += 60
        await console.shows("enter opens the bundle")
        await console.press("4", "i", "down", "enter")
        console.seconds.now += 60
        await console.shows("alpha.bravo-000009")
        await console.shows("enter opens the bundle")
        await console.press("enter")
        await console.shows("Next: read the report")
        await console.press("o")
        assert "What this station found" in console.screen()
        await console.press("a", "enter", *PASSPHRASE, "enter")
        await console.shows("approved, 1 of 2")
        await console.press("a", "down", "enter", *PASSPHRASE, "enter")
        await console.shows("e releases it")
        await console.press("e", "y")
        await console.shows("released: base/debian:12.5, base/debian:12.6")
        assert console.inside.entries[0].state == "released"


async def test_a_tampered_bundle_shows_its_first_failure_and_what_to_do(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "i", "down", "enter")
        console.seconds.now += 60
        await console.shows("[!!] refused")
        assert "[!!] volumes     a volume's bytes are not what was signed" in console.screen()
        assert "do not use this medium" in console.screen()
        assert all(entry.id != "alpha.bravo-000008" for entry in console.inside.entries)


async def test_a_wrong_passphrase_signs_nothing_and_says_so(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "a", "a", "enter", "x", "enter")
        await console.shows("the passphrase does not open the key")
        assert console.inside.entries[0].approvals == 0


async def test_the_next_passphrase_after_a_wrong_one_is_typed_into_the_same_field(drive: Any) -> None:
    """Were the field closed, its letters would be keys of the screen below: `s` saves, `q` quits."""
    async with drive() as console:
        await console.press("4", "a", "a", "enter", *"wrong", "enter")
        await console.shows("the passphrase does not open the key")
        await console.press(*"sq", "enter")
        await console.shows("the passphrase does not open the key")
        assert "sq" not in console.screen()
        await console.press(*PASSPHRASE, "enter")
        await console.shows("1 of 2")
        assert console.inside.entries[0].approvals == 1


async def test_a_passphrase_is_never_on_the_screen(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "a", "a", "enter", *"secret")
        assert "secret" not in console.screen()


async def test_a_rejection_needs_a_reason(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "x", "enter")
        assert "this is needed" in console.screen()
        await console.press(*"no", "enter", "enter", *PASSPHRASE, "enter")
        await console.shows("is rejected")
        assert console.inside.entries[0].state == "rejected"


async def test_the_same_person_does_not_approve_twice(drive: Any) -> None:
    async with drive() as console:
        for _ in range(2):
            await console.press("4", "a", "a", "enter", *PASSPHRASE, "enter")
        assert "this key has approved already" in console.screen()


async def test_a_job_is_cancelled_after_a_yes(drive: Any) -> None:
    async with drive() as console:
        await console.press("5", "c", "n")
        assert console.inside.demo_jobs[0].cancelled_at is None
        await console.press("c", "y")
        assert "import j0041 is cancelled" in console.screen()


async def test_a_cosigner_puts_a_signature_onto_the_written_medium(drive: Any) -> None:
    async with drive() as console:
        await _pick_and_address(console)
        console.app.set_draft(console.app.draft.change(cosigners=("a434ee58eb00eea7",)))
        await console.press("3", "p", "b")
        console.seconds.now += 30
        await console.shows("Passphrase of the key engineer")
        await console.press(*PASSPHRASE, "enter")
        console.seconds.now += 60
        await console.shows("o co-signs it")
        await console.press("o", *PASSPHRASE, "enter")
        await console.shows("co-signed by a434ee58eb00eea7")
        assert "safe to remove" in console.screen()


async def test_leaving_with_a_form_that_is_not_empty_asks_first(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter", "space", "q")
        assert "Leave the console?" in console.screen()
        await console.press("escape")
        assert console.app.return_code is None
        await console.press("q", "y")
        assert console.app.return_code == 0


async def test_a_summary_is_saved_to_a_new_file_and_never_over_another(
    drive: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    async with drive() as console:
        console.app.open_thing("intake", "alpha.bravo-000006")
        await console.rest()
        await console.press("s", "enter")
        await console.shows("saved to")
        (saved,) = tmp_path.iterdir()
        text = saved.read_text()
        assert "alpha.bravo-000006" in text
        assert "2 of 2: M. Okafor, security officer, T. Lindqvist, deputy officer" in text
        await console.press("s", "enter")
        await console.shows("the file exists")


async def test_a_guide_comes_back_to_the_step_that_is_next(drive: Any) -> None:
    async with drive() as console:
        await _pick_and_address(console)
        assert "Carry out, step 3 of 7: Plan" in console.screen()
        await console.press("8")
        assert console.name == "guide"
        assert "> [>>] 3  Plan" in console.screen()
        await console.press("escape", "1")
        assert "step 3 of 7" not in console.screen(), "a guide that was left does not follow"


async def test_bring_in_ends_with_a_summary_to_save(drive: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    async with drive() as console:
        console.inside.entries = []
        console.inside.demo_jobs = []
        await console.press("r", "8", "down", "enter")
        assert "> [>>] 1  Insert the medium" in console.screen()
        console.inside.entries = [_released(console)]
        console.inside.demo_jobs = [_import_of(console)]
        await console.press("r")
        await console.shows("> [>>] 5  Summary")
        await console.press("enter", "enter")
        await console.shows("saved to")
        (saved,) = tmp_path.iterdir()
        assert "alpha.bravo-000001 was read whole" in saved.read_text()


def _released(console: Any) -> Any:
    from tests.console.doubles import intake

    return intake.make(1, "released", console.inside.now(), ("officer", "deputy"))


def _import_of(console: Any) -> Any:
    from tests.console.doubles.jobs import DemoJob, Phase

    inside = console.inside
    return DemoJob(
        "j0001", "import", {"paths": ["/media/usb-blue"]}, (Phase("verify and store", 1, 1.0),),
        lambda: {"id": "alpha.bravo-000001"}, inside.seconds() - 60, inside.now(), inside.time_of,
    )  # fmt: skip


async def test_a_destination_that_nobody_knows_is_asked_about_before_it_is_taken(drive: Any) -> None:
    async with drive() as console:
        await _pick_and_address(console)
        assert console.app.draft.plan_params()["new_site"] is False
        for answer, taken in (("n", ("bravo", False)), ("y", ("brav0", True))):
            console.app.screen.change("to")
            await console.rest()
            await console.press("end", "enter", *"brav0", "enter")
            assert "Is brav0 a new site?" in console.screen()
            assert "Known: bravo" in console.screen()
            await console.press(answer)
            draft = console.app.draft
            assert (draft.to, draft.new_site) == taken
        assert console.app.draft.build_params()["new_site"] is True


async def test_a_plan_says_what_of_its_stream_is_unfinished_and_which_folder_is_no_medium(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await _pick_and_address(console)
        await console.press("p")
        plan = console.app.draft.plan
        media = tuple(msgspec.structs.replace(one, disk="/") for one in plan.media)
        left = ("alpha.bravo-000008 was signed and is not on its media",)
        console.app.set_draft(
            console.app.draft.change(plan=msgspec.structs.replace(plan, media=media, unfinished=left))
        )
        console.app.screen.draft_changed()
        await console.rest()
        assert "[!!] alpha.bravo-000008 was signed and is not on its media" in console.screen()
        assert "stay free of this disk" in console.screen()
