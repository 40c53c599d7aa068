"""A person's key that is in a file, and not in the station's folder: named at the console, opened, used for one act."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles.errors import UsageError
from bundles.signing.keys import PublicKey, create_private, save_private
from tests.console.doubles.data import KEYIDS
from tests.console.keys import PASSPHRASE
from tests.peer_tools import require
from tui.station.keyring import FolderKeyring


async def _as(console: Any, monkeypatch: Any, *names: str) -> None:
    """Whoever is logged in has these keys, and none is in the station's folder."""
    who = await console.inside.who()

    async def known() -> Any:
        return msgspec.structs.replace(who, keys=tuple(KEYIDS[name] for name in names))

    async def none() -> Any:
        return ()

    monkeypatch.setattr(console.inside, "who", known)
    monkeypatch.setattr(console.inside, "keys", none)
    await console.app.look_at_station()


async def test_an_officer_approves_with_a_key_file(drive: Any, monkeypatch: Any) -> None:
    async with drive() as console:
        await _as(console, monkeypatch, "officer")
        await console.press("4", "a", "a")
        await console.shows("Your private key's file?")
        await console.press(*"/home/mo/officer.pem", "enter")
        await console.shows("Passphrase of the key /home/mo/officer.pem")
        await console.press(*PASSPHRASE, "enter")
        await console.shows("approved, 1 of 2")


async def test_a_new_bundle_is_signed_with_a_key_file_that_is_named_once(drive: Any) -> None:
    async with drive() as console:
        await console.press("w", "3", *["down"] * 5, "enter", "end", "enter")
        await console.shows("New bundle: Your private key's file?")
        await console.press(*"/home/eve/nobody.pem", "enter", *PASSPHRASE, "enter")
        await console.shows("is not a key that is pinned here")
        await console.press("escape", "enter", "end", "enter", "ctrl+u", *"/home/eve/engineer.pem", "enter")
        await console.shows("Passphrase of the key /home/eve/engineer.pem")
        await console.press(*"wrong", "enter")
        await console.shows("does not open the key")
        await console.press(*PASSPHRASE, "enter")
        await console.shows("/home/eve/engineer.pem  ")
        draft = console.app.draft
        assert (draft.key, draft.keyid) == ("/home/eve/engineer.pem", KEYIDS["engineer"])
        assert draft.build_params()["sign_with"] == KEYIDS["engineer"]
        assert console.app.key_file == draft.key


async def test_the_file_of_another_persons_key_signs_nothing(drive: Any, monkeypatch: Any) -> None:
    async with drive() as console:
        await _as(console, monkeypatch, "officer")
        await console.press("4", "a", "a", *"deputy.pem", "enter", *PASSPHRASE, "enter")
        await console.shows("is not a release key that stands for")
        await console.press("escape", "4")
        assert all(not entry.decisions or entry.state != "quarantined" for entry in console.inside.entries)


async def test_who_has_no_key_is_told_what_helps(drive: Any, monkeypatch: Any) -> None:
    async with drive() as console:
        await _as(console, monkeypatch)
        await console.press("4", "a", "a")
        await console.shows("have an administrator bind it")


def test_a_keyring_takes_a_file_by_its_path_and_a_name_from_its_folder(tmp_path: Path) -> None:
    file, own, bare = create_private(), create_private(), create_private()
    (tmp_path / "station/keys").mkdir(parents=True)
    save_private(tmp_path / "mine.pem", file, b"some words")
    save_private(tmp_path / "bare.pem", bare, None)
    save_private(tmp_path / "station/keys/own.pem", own, None)
    ring = FolderKeyring(tmp_path / "station")
    path = str(tmp_path / "mine.pem")
    assert ring.about(path).encrypted
    assert not ring.about(str(tmp_path / "bare.pem")).encrypted
    assert ring.unlock(path, "some words") == file.public.keyid
    keyid, signature = ring.sign(path, "some words", b"payload")
    assert (keyid, file.public.verify(b"payload", signature)) == (file.public.keyid, True)
    assert ring.unlock("own", "") == own.public.keyid
    (tmp_path / "public.pem").write_bytes(file.public.to_pem())
    for wrong in (str(tmp_path / "public.pem"), str(tmp_path / "nothing.pem"), str(tmp_path)):
        with pytest.raises(UsageError):
            ring.about(wrong)
    with pytest.raises(UsageError, match="does not open"):
        ring.unlock(path, "other words")


def test_a_keyring_opens_an_encrypted_ssh_key_by_its_passphrase(tmp_path: Path) -> None:
    require("ssh-keygen")
    file = tmp_path / "anna"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "some words", "-f", file], check=True)
    ring = FolderKeyring(tmp_path)
    assert ring.about(str(file)).encrypted
    keyid, signature = ring.sign(str(file), "some words", b"payload")
    public = PublicKey.from_pem(Path(f"{file}.pub").read_bytes())
    assert (keyid, public.verify(b"payload", signature)) == (public.keyid, True)
    with pytest.raises(UsageError, match="does not open"):
        ring.unlock(str(file), "other words")
