"""Signatures of an artifact at the console: whose they are and whether they count, and one of one's own, on a real
station; a key on a token is named by its URI and opened by its PIN."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.api.signatures import ImageSignature, Signatures, SignedImage
from bundles.errors import UsageError
from bundles.signing.fingerprint_words import spoken
from bundles.signing.keys import PublicKey, create_private, save_private
from tests.console.real import live
from tests.softhsm import PIN, Card, inserted
from tests.stage import Station
from tui.decisions.signing import named_key, secret_of
from tui.screens.content.artifact import ArtifactScreen
from tui.station.keyring import FolderKeyring
from tui.wording.signatures import lines, verdict


async def test_an_artifact_is_signed_at_the_console_and_whose_it_is_is_shown(tmp_path: Path) -> None:
    content = tmp_path / "hello.bin"
    content.write_bytes(b"hello")
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        alpha.run("collect", f"file:{content}", "--as", "tools/hello:1")
        key = create_private()
        save_private(alpha.folder / "keys/build.pem", key, None)
        async with live(alpha.folder, (120, 40)) as console:
            console.app.push_screen(ArtifactScreen("tools/hello:1"))
            await console.shows("tools/hello:1")
            await console.until(lambda: console.app.screen.artifact is not None)
            await console.press("o")
            await console.shows("[--] no signature")
            await console.press("n")
            await console.shows("pinned for images")  # nobody's key is, so a file is asked for
            await console.press("escape")
            public = alpha.folder / "keys/build.pub.pem"
            alpha.run("key", "trust", public, "--purpose", "image", "--owner", "Build team")
            await console.press("n")
            await console.shows("Sign the image with the key build?")
            await console.press("y")
            await console.shows("[ok] Build team signs it (sigstore-bundle)")
            await console.shows(spoken(key.public.fingerprint).split(",")[0])
            found = alpha.run("signature", "list", "tools/hello:1", "--json").json
            assert (found["state"], found["images"][0]["signed_by"]) == ("signed", ["Build team"])
            alpha.run("key", "revoke", key.public.keyid, "--why", "lost")
            await console.press("r")
            await console.shows("that does not count")
            await console.shows("key-revoked")


async def test_the_ways_back_and_to_the_clipboard(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await console.press("2", "enter", "down", "enter")
        await console.rest()
        reference = console.app.screen.reference
        await console.press("o")
        await console.rest()
        assert console.name == "signatures"
        assert "[ok] Build team signs it" in console.screen()
        assert "attests slsa-provenance" in console.screen()
        assert "unknown-key" in console.screen()
        await console.press("y")
        assert console.app.clipboard == console.app.screen.found.digest
        await console.press("escape")
        await console.rest()
        assert console.app.screen.reference == reference


def test_each_state_and_hostile_words_are_said_as_they_are() -> None:
    for state in ("signed", "through-index", "refused", "unsigned", "not-read", "\x1b[31mnew"):
        assert "\x1b" not in verdict(state)[0]
    assert verdict("not-read")[1] == "need"
    assert verdict("anything else")[1] == "need"
    evil = ImageSignature(format="cosign", claim="signature", carrier="sha256:0", verified=True, owner="A\x1b[2J",
                          keyid="0" * 16, identity="CN=\u202eevil", annotations={"a\n": "b\x07"})  # fmt: skip
    image = SignedImage(digest="sha256:0", kind="image", state="signed", signatures=(evil,))
    found = Signatures(reference="a:1", digest="sha256:0", state="signed", images=(image,))
    text = "\n".join("".join(part for part, _ in line) for line in lines(found, ["0" * 16]))
    assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert "yours signs it" in text


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    with inserted(tmp_path_factory.getbasetemp()) as made:
        yield made


async def test_a_key_on_a_token_opens_by_its_pin(card: Card, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    card.put("console", key)
    keyring, uri = FolderKeyring(tmp_path), card.uri("console")
    about = keyring.about(named_key(uri))
    assert (about.name, about.encrypted) == (uri, True)
    assert secret_of(about) == "PIN of console on token card 1"
    public = PublicKey.of(key.public_key())
    assert await asyncio.to_thread(keyring.unlock, uri, PIN.decode()) == public.keyid
    keyid, signature = await asyncio.to_thread(keyring.sign, uri, PIN.decode(), b"said")
    assert keyid == public.keyid
    assert public.verify(b"said", signature)
    with pytest.raises(UsageError):
        await asyncio.to_thread(keyring.unlock, uri, "0000")


@pytest.mark.parametrize("typed", ["pkcs11:", "pkcs11:token=t;object=o;pin-value=1?module-path=/p.so"])
def test_what_is_no_uri_of_a_key_is_refused_before_a_pin_is_asked(tmp_path: Path, typed: str) -> None:
    with pytest.raises(UsageError):
        FolderKeyring(tmp_path).about(named_key(typed))
