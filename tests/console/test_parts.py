"""A job's parts: a bar per medium that fills while it is written and compared, a grid of volumes that fills."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.api.jobs import Part
from tests.console.keys import PASSPHRASE
from tui.terminal.look import Look
from tui.widgets.parts import medium_lines, transfer_lines, volume_lines

LOOK = Look(colour=False)
GB = 1_000_000_000


def text(lines: list[list[tuple[str, str]]]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


def volume(index: int, medium: int, state: str, about: str = "") -> Part:
    return Part(name=f"volumes/{index:04d}.7z", medium=medium, state=state, total=GB, about=about)


def test_a_medium_is_half_full_when_it_is_written_and_full_when_it_is_compared() -> None:
    writing = Part(name="/media/a", state="writing", done=GB, total=4 * GB)
    comparing = Part(name="/media/b", medium=2, state="comparing", done=2 * GB, total=4 * GB)
    done = Part(name="/media/c", medium=3, state="done", done=4 * GB, total=4 * GB)
    first, second, third = text(medium_lines(LOOK, (writing, comparing, done))).split("\n")
    assert first.startswith("[..] writing   [███░░░░░░░░░░░░]  25%  1.0 GB of 2.0 GB")
    assert second.startswith("[..] comparing [███████░░░░░░░░]  50%  2.0 GB of 2.0 GB")
    assert third.startswith("[ok] done      [███████████████] 100%")
    assert third.endswith("/media/c")


def test_a_medium_that_failed_says_what_happened() -> None:
    failed = Part(name="/media/a", state="failed", about="the medium is full: /media/a")
    assert text(medium_lines(LOOK, (failed,))) == "[!!] failed    /media/a: the medium is full: /media/a"


def test_a_blob_fills_while_it_is_fetched_and_sources_that_failed_say_why() -> None:
    blob = Part(name=f"sha256:{'ab' * 32}", state="fetching", done=GB, total=4 * GB)
    failed = [Part(name=f"registry/app:{number}", state="failed", about="wants an account") for number in range(6)]
    first, *others, last = text(transfer_lines(LOOK, (failed[0], blob, *failed[1:]))).split("\n")
    assert first.startswith("[..] fetching  [███░░░░░░░░░░░░]  25%  1.0 GB of 4.0 GB")
    assert first.endswith("sha256:abababababab")
    assert others == [f"[!!] failed    registry/app:{number}: wants an account" for number in range(4)]
    assert last == "     and 2 sources more, in the log"


def test_the_grid_has_a_row_per_medium_and_a_cell_per_volume() -> None:
    parts = [volume(index, 1, "verified") for index in range(1, 13)]
    parts += [volume(13, 2, "verified"), volume(14, 2, "reading"), volume(15, 2, "waiting")]
    parts += [volume(16, 3, "missing"), volume(17, 3, "missing")]
    shown = text(volume_lines(LOOK, parts))
    assert "[ok] medium 1  0001 ██████████ ██" in shown
    assert "[..] medium 2  0013 █▒░" in shown
    assert "[>>] medium 3  0016 --" in shown
    assert "█ verified  ▒ being read  ░ to be read  - not here   17 volumes, 17.0 GB" in shown


def test_what_waits_for_a_missing_or_damaged_volume_is_named() -> None:
    parts = [volume(1, 1, "damaged", "team/app:1"), volume(2, 1, "missing", "team/web:2, team/web:3")]
    shown = text(volume_lines(LOOK, parts))
    assert "[!!] 0001 damaged: needed by team/app:1" in shown
    assert "[>>] 0002 missing: needed by team/web:2, team/web:3" in shown
    many = [volume(index, 1, "missing", f"team/app:{index}") for index in range(1, 10)]
    assert "and 5 volumes more, in the log" in text(volume_lines(LOOK, many))


def test_hostile_names_are_made_fit() -> None:
    parts = [volume(1, 1, "missing", "x\x1b[2J\u202e"), Part(name="\x1b]0;x\x07/0002.7z", state="missing")]
    for shown in (text(volume_lines(LOOK, parts)), text(medium_lines(LOOK, parts))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_without_unicode_the_grid_says_the_same() -> None:
    shown = text(volume_lines(Look(colour=False, ascii=True), [volume(1, 1, "verified"), volume(2, 1, "reading")]))
    assert "0001 #:" in shown


async def test_the_bars_fill_while_the_media_are_written_and_compared(drive: Any) -> None:
    async with drive() as console:
        params = {"to": "charlie", "out": ["/media/usb-blue", "/media/usb-red"], "references": ["base/debian:12.6"],
                  "sign_with": "30f2c341ae8cd9a4"}  # fmt: skip
        job = await console.inside.start_job("build", params)
        console.seconds.now += 10
        console.app.open_thing("job", job.id)
        await console.shows("to-sign")
        await console.press("n", *PASSPHRASE, "enter")
        await console.shows("goes on")
        seconds = [phase.seconds for phase in console.inside.demo_job(job.id).phases]
        console.seconds.now += seconds[1] / 2
        await console.shows("[..] writing")
        console.seconds.now += seconds[1]
        await console.shows("[..] comparing")
        console.seconds.now += 2 * seconds[2]
        await console.shows("[ok] done")
        assert "/media/usb-blue" in console.screen()


async def test_the_grid_fills_while_the_media_are_read(drive: Any) -> None:
    async with drive() as console:
        job = await console.inside.start_job("import", {"paths": ["/media/usb-blue/alpha.bravo-000008"]})
        console.app.open_thing("job", job.id)
        console.seconds.now += 4
        await console.shows("▒ being read")
        assert "medium 1" in console.screen()
        assert "medium 2" in console.screen()
        console.seconds.now += 60
        await console.shows("█ verified   4 volumes")


async def test_a_damaged_volume_is_marked_and_what_it_blocks_is_named(drive: Any) -> None:
    async with drive() as console:
        job = await console.inside.start_job("import", {"paths": ["/media/usb-red/alpha.bravo-000008"]})
        console.app.open_thing("job", job.id)
        console.seconds.now += 60
        await console.shows("[!!] 0002 damaged: needed by platform/postgres:16.6")


async def test_several_media_are_read_at_once_and_one_alone_needs_no_mark(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "i", "space", "down", "space", "enter")
        await console.until(lambda: console.name == "job", "the job")
        assert console.app.shown.job.params == {
            "paths": ["/media/usb-blue/alpha.bravo-000008", "/media/usb-red/alpha.bravo-000008"]
        }
        await console.press("escape", "i", "down", "enter")
        await console.until(lambda: console.name == "job", "the job")
        await console.until(lambda: console.app.shown.job is not None, "its first word")
        assert console.app.shown.job.params == {"paths": ["/media/usb-red/alpha.bravo-000008"]}


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_very_many_volumes_leave_the_log_in_view_and_are_walked_through(
    drive: Any, size: tuple[int, int]
) -> None:
    async with drive(size=size) as console:
        await console.press("5", "enter")
        shown = console.app.shown
        parts = tuple(volume(n, n // 40, "damaged" if n == 1999 else "verified") for n in range(2000))
        shown.job_heard(msgspec.structs.replace(shown.job, kind="import", parts=parts))
        await console.rest()
        log, grid = shown.query_one("#log"), shown.query_one("#parts")
        assert console.app.focused is log
        assert log.region.bottom <= shown.query_one("#body").region.bottom
        assert log.size.height >= 4, console.screen()
        grid.focus()
        await console.press("end")
        assert "X damaged" in console.screen()
