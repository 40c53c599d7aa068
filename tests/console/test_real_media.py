"""Real stations with accounts on both sides: bars and grids that fill, what a missing or damaged volume blocks, deltas,
and a certificate that ends on Home."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from appliance.access.certificates import default_names, make_server
from appliance.limits import access as limits
from appliance.paths import StationPaths
from tests.console.real_station import PASSWORD, RealStation, console_of
from tests.peers.stock import Layout

REFERENCE = "team/app:1"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStation]:
    folder = tmp_path_factory.mktemp("alpha")
    station = RealStation(folder, side="outside")
    station.call("user", "claim", "ada", code=station.make(), password=PASSWORD)
    station.call("key", "create", "engineer", "--no-passphrase")
    station.start()
    station.people()
    station.call("user", "login", "jana", password=PASSWORD)
    layout = Layout(folder / "layout" / "team" / "app")
    layout.tag("1", layout.artifact({f"part-{number}": os.urandom(700_000) for number in range(5)}))
    station.call("collect", f"oci:{layout.folder}:1", "--as", REFERENCE)
    yield station
    station.stop()


@pytest.fixture(scope="module")
def bravo(tmp_path_factory: pytest.TempPathFactory, alpha: RealStation) -> Iterator[RealStation]:
    """It trusts alpha's engineer; its server certificate ends in five days."""
    station = RealStation(tmp_path_factory.mktemp("bravo"))
    station.call("user", "claim", "ada", code=station.make(), password=PASSWORD)
    public = station.home / "engineer.pem"
    public.write_text(alpha.call("key", "export", "engineer"))
    station.call("key", "trust", public, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SERVER_DAYS", 6)
        make_server(StationPaths(station.root), default_names())
    station.start()
    station.people()
    yield station
    station.stop()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, alpha: RealStation) -> Path:
    """The first bundle of alpha.bravo, in several volumes."""
    medium = tmp_path_factory.mktemp("medium")
    return build(alpha, medium)


def build(alpha: RealStation, medium: Path) -> Path:
    """A bundle in several volumes, with all that it names."""
    alpha.call("user", "login", "jana", password=PASSWORD)
    words = ("bundle", "build", "--to", "bravo", "--out", medium, "--volume", "1MiB", "--sign-with", "engineer")
    return Path(alpha.call(*words, "--since", "none", REFERENCE).splitlines()[-1])


async def test_a_bar_fills_for_the_medium_that_is_written_and_compared(
    alpha: RealStation, bundle: Path, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    async with console_of(alpha) as console:
        await console.log_in("jana")
        await console.until(lambda: console.app.status is not None, "an answer")
        station = console.app.link.station
        (key,) = [key for key in await station.keys() if key.name == "engineer"]
        params = {"to": "bravo", "out": [str(medium)], "references": [REFERENCE], "sign_with": key.keyid,
                  "volume": "1MiB"}  # fmt: skip
        job = await station.start_job("build", params)
        console.app.open_thing("job", job.id)
        await console.until(
            lambda: "to-sign" in console.screen() or "goes on" in console.screen(), "it is to be signed"
        )
        if "goes on" not in console.screen():
            await console.press("n")
        await console.shows("[ok] done")
        await console.shows("[███████████████] 100%")
        await console.shows("a folder of this disk, not a medium")


async def test_deltas_say_what_the_inside_is_taken_to_hold_and_a_lost_bundle_is_void(
    alpha: RealStation, bundle: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(build, alpha, tmp_path)  # the one that is void: other tests stand on the first
    async with console_of(alpha) as console:
        await console.log_in("jana")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("deltas")
        await console.shows(", assumed")
        assert "3.5 MB" in console.screen()
        assert "none was made" in console.screen()
        await console.press("v")
        await console.until(lambda: bool(console.app.screen.query("#answer")), "the question")
        console.app.screen.query_one("#answer", Input).value = "lost on its way"
        await console.press("enter")
        await console.shows("void: alpha.bravo-00000")
    assert alpha.events("bundle.void")


async def test_a_delta_is_planned_from_what_the_inside_is_taken_to_hold(
    alpha: RealStation, bundle: Path, tmp_path: Path
) -> None:
    async with console_of(alpha) as console:
        await console.log_in("jana")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.set_draft(console.app.draft.change(references=(REFERENCE,), media=(str(tmp_path),)))
        console.app.show_root("deltas")
        await console.shows(", assumed")
        await console.press("n")
        await console.shows("Next: p plans it")
        assert "Destination     bravo" in console.screen()
        await console.press("p")
        await console.shows("3.5 MB are not carried; it is based on what the stream's bundles")


async def test_a_missing_volume_and_a_damaged_one_are_in_the_grid_with_what_they_block(
    bravo: RealStation, bundle: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some" / bundle.name
    shutil.copytree(bundle, some)
    last = sorted((some / "volumes").iterdir())[-1]
    last.unlink()
    bad = tmp_path / "bad" / bundle.name
    shutil.copytree(bundle, bad)
    flipped = sorted((bad / "volumes").iterdir())[-1]
    flipped.chmod(0o644)
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    async with console_of(bravo) as console:
        await console.log_in("bob")
        await console.until(lambda: console.app.status is not None, "an answer")
        station = console.app.link.station
        job = await station.start_job("import", {"paths": [str(some)]})
        console.app.open_thing("job", job.id)
        await console.shows("[>>] incomplete")
        await console.shows("- not here")
        assert f"{last.stem} missing: needed by {REFERENCE}" in console.screen()
        again = await station.job(job.id)
        assert [part.state for part in again.parts].count("missing") == 1
        job = await station.start_job("import", {"paths": [str(bad)]})
        console.app.open_thing("job", job.id)
        await console.shows("X damaged")
        assert f"{last.stem} damaged: needed by {REFERENCE}" in console.screen()
        other = tmp_path / "other" / bundle.name
        shutil.copytree(bundle, other)
        for path in sorted((other / "volumes").iterdir())[:-1]:
            path.unlink()
        job = await station.start_job("import", {"paths": [str(some), str(other)]})
        console.app.open_thing("job", job.id)
        await console.shows("[ok] done")  # its grid is there for who saw it fill: it may be over before it is opened
        assert (await station.job(job.id)).state == "done"


async def test_home_says_when_a_certificate_ends(bravo: RealStation) -> None:
    async with console_of(bravo) as console:
        await console.log_in("olga")
        await console.shows("[!!] the server certificate ends in 5 days, at 20")


async def test_the_courier_writes_no_receipt_here_without_the_role(bravo: RealStation) -> None:
    async with console_of(bravo) as console:
        await console.log_in("olga")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("deltas")
        await console.shows("forbidden: no role of it may export or read receipts")
        await console.press("e")
        await console.shows("Receipt: no role of it may export or read receipts")


async def test_the_courier_writes_a_receipt_and_it_is_listed(bravo: RealStation, tmp_path: Path) -> None:
    async with console_of(bravo) as console:
        await console.log_in("bob")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("deltas")
        await console.shows("none was made")
        await console.press("e")
        await console.until(lambda: bool(console.app.screen.query("#answer")), "the question")
        console.app.screen.query_one("#answer", Input).value = str(tmp_path / "receipt")
        await console.press("enter")
        await console.shows("[ok] done")
        console.app.show_root("deltas")
        await console.press("r")
        await console.until(lambda: "Receipts of this station, and what is kept for deltas on them  1 of 1"
                            in console.screen(), "the receipt")  # fmt: skip
