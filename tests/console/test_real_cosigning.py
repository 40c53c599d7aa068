"""Co-signing from the screen of a job, on a real station: how far the check is, stopping it, and what it leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.reading import tail
from appliance.clock import now
from appliance.cosigning import CoSigned
from bundles.ports import Progress
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.console.real import Live
from tests.stage import Station
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look

WORDS = "correct horse battery"


@dataclass
class Built:
    """alpha with a bundle on a medium that `second` has yet to sign."""

    alpha: Station
    keyid: str
    folder: Path
    job: str

    @property
    def signature(self) -> Path:
        return self.folder / f"SHA256SUMS.{self.keyid}.sig"

    def events(self) -> list[dict[str, Any]]:
        return [one for one in tail(self.alpha.folder / "audit", 50) if one["act"] == "bundle.sign"]

    def missing(self) -> list[str]:
        result = self.alpha.run("job", "show", self.job, "--json").json["result"]
        return [str(keyid) for keyid in result["missing_signers"]]


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Built]:
    alpha = Station(tmp_path / "alpha", "alpha", "outside")
    second = create_private()
    save_private(alpha.folder / "keys" / "second.pem", second, WORDS.encode())
    trust_key(alpha.folder / "trust", second.public, purpose="bundle", owner="Second", sites=["alpha"])
    (tmp_path / "content").write_bytes(b"content" * 10_000)
    (tmp_path / "usb").mkdir()
    with alpha:
        alpha.run("key", "create", "engineer", "--no-passphrase")
        alpha.run("collect", f"file:{tmp_path / 'content'}", "--as", "files/thing:1")
        alpha.run("bundle", "build", "files/thing:1", "--to", "bravo", "--out", tmp_path / "usb", "--sign-with",
                  "engineer", "--cosigner", second.public.keyid)  # fmt: skip
        (job,) = [one["id"] for one in alpha.run("job", "list", "--json").json["items"] if one["kind"] == "build"]
        yield Built(alpha, second.public.keyid, tmp_path / "usb" / "alpha.bravo-000001", job)


class Held(FolderKeyring):
    """The station's key folder, whose check of media waits at its first word until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.began, self.go, self.over = threading.Event(), threading.Event(), threading.Event()

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        def held(phase: str, done: int, total: int) -> None:
            progress(phase, done, total)
            self.began.set()
            assert self.go.wait(60)

        try:
            return super().cosign(folders, name, passphrase, held)
        finally:
            self.over.set()


@asynccontextmanager
async def on_job(built: Built, keyring: FolderKeyring) -> AsyncIterator[Live]:
    """A console of 80x24 that shows the build."""
    app = LockgateConsole(ControlStation(built.alpha.folder), keyring, now=now, look=Look(colour=False))
    async with app.run_test(size=(80, 24)) as pilot:
        console = Live(app, pilot)
        await console.until(lambda: app.status is not None, "the first answer")
        app.open_thing("job", built.job)
        await console.shows("o co-signs it")
        await console.shows("o Co-sign")
        yield console
        await app.link.station.close()


async def begin(console: Live, passphrase: str = WORDS) -> None:
    await console.press("o")
    await console.shows("Passphrase of the key second")
    assert "You co-sign alpha.bravo-000001" in console.screen()
    await console.type(passphrase)
    await console.press("enter")


async def test_a_co_signature_is_written_recorded_and_told_to_the_station(built: Built) -> None:
    async with on_job(built, FolderKeyring(built.alpha.folder)) as console:
        await begin(console, "another passphrase")
        await console.shows("[!!]")
        assert not built.signature.exists()
        await begin(console)
        await console.shows(f"co-signed by {built.keyid}")
        await console.until(lambda: "o Co-sign" not in console.screen(), "the footer")
    assert built.signature.exists()
    assert [event["outcome"] for event in built.events()] == ["done"]
    assert built.missing() == []


async def test_the_jobs_say_what_they_are_about_in_words(built: Built) -> None:
    async with on_job(built, FolderKeyring(built.alpha.folder)) as console:
        console.app.show_root("jobs")
        await console.shows("collect   files/thing:1")
        assert "{" not in console.screen()


async def test_how_far_the_check_is_stands_on_the_screen_and_c_stops_it(built: Built) -> None:
    keyring = Held(built.alpha.folder)
    async with on_job(built, keyring) as console:
        await begin(console)
        assert await asyncio.to_thread(keyring.began.wait, 60)
        await console.shows("checking the media:")
        assert "c stops it" in console.screen()
        assert "c Cancel" in console.screen().splitlines()[-1]
        assert "o Co-sign" not in console.screen()
        assert "enter Open" not in console.screen()
        await console.press("c")
        keyring.go.set()
        await console.shows("stopped: nothing was signed")
        await console.shows("o Co-sign")
    assert not built.signature.exists()
    assert built.events() == []
    assert built.missing() == [built.keyid]


@pytest.mark.parametrize("leave", ["escape", "5"])
async def test_who_leaves_the_screen_while_media_are_checked_signs_nothing(built: Built, leave: str) -> None:
    keyring = Held(built.alpha.folder)
    async with on_job(built, keyring) as console:
        await begin(console)
        assert await asyncio.to_thread(keyring.began.wait, 60)
        await console.press(leave)
        keyring.go.set()
        assert await asyncio.to_thread(keyring.over.wait, 60)
    assert not built.signature.exists()
    assert built.events() == []
