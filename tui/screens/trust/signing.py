"""Signing in this console: choose a key, give its passphrase, sign the station's exact bytes, send the signature."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import msgspec

from appliance.api.trust import OwnKey
from bundles.errors import LockgateError, UsageError
from bundles.io.display import safe
from tui.dialogs.choose import Choose, Option
from tui.dialogs.passphrase import Passphrase
from tui.dialogs.prompt import Prompt, needed
from tui.screens.base import Answer, Refusal, StationScreen
from tui.station.port import Station
from tui.terminal.workers import begin

T = TypeVar("T")

Fetch = Callable[[Station, str], Awaitable[bytes]]
"""Gives the bytes to sign for a key id."""

Send = Callable[[Station, str, bytes, bytes], Awaitable[T]]
"""Hands over key id, payload and signature."""


_FILE: Final = "\0file"
"""The option of a key in a file, which no key of the folder is called."""


NO_KEY: Final = "pin it for releases (p on Trust), and have an administrator bind it to the account"
"""What helps a person whom no key stands for."""


@dataclass(frozen=True)
class Offer:
    """Which keys may be chosen to sign with: those of the station's folder that fit, and a file with one of `ids`.
    `wanted` says what a key must be, for one that is not."""

    keys: tuple[OwnKey, ...]
    ids: frozenset[str]
    wanted: str

    def objection(self, keyid: str) -> str:
        """Why a key may not be used, or nothing."""
        return "" if keyid in self.ids else f"key {safe(keyid)} is not {self.wanted}"


class SigningScreen(StationScreen):
    """A screen on which people sign."""

    def sign(self, offer: Offer, explain: str, fetch: Fetch, send: Send[T], then: Callable[[T], None]) -> None:
        """Sign with one of the keys; `explain` says what is signed. `then` gets what `send` answered."""

        def go(key: OwnKey, passphrase: str) -> None:
            self.say("busy", "opening the key and signing")
            begin(self, partial(self._sign, key, passphrase, fetch, send, then), "act")

        self.choose_key(offer, explain, go)

    def choose_key(self, offer: Offer, explain: str, go: Callable[[OwnKey, str], None]) -> None:
        """Ask for a key (where there is a choice) and its passphrase (where it has one), then `go`. A key of the folder
        comes first; whose key is in a file names it."""

        def chosen(key: OwnKey) -> None:
            if key.encrypted:
                prompt = Passphrase(key, explain, partial(self._unlock, offer))
                self.console_app.push_screen(prompt, lambda text: None if text is None else opened(key, text))
            else:
                opened(key, "")

        def opened(key: OwnKey, passphrase: str) -> None:
            if key.keyid:
                go(key, passphrase)
            else:
                begin(self, partial(self._learn, offer, key, passphrase, go), "open")

        def ask_file() -> None:
            prompt = Prompt("Your private key's file?", f"{explain}\nIt must be {offer.wanted}.", check=needed)
            self.console_app.push_screen(prompt, given)

        def given(path: str | None) -> None:
            if path:
                begin(self, partial(read, path), "open")

        async def read(path: str) -> None:
            name = path.strip() if "/" in path else f"./{path.strip()}"
            try:
                key = await asyncio.to_thread(self.console_app.keyring.about, name)
            except LockgateError as error:
                self.post_message(Refusal(error, None))
            else:
                self.post_message(Answer(chosen, key))

        if len(offer.keys) == 1:
            chosen(offer.keys[0])
            return
        if not offer.keys:
            ask_file()
            return
        by_name = {key.name: key for key in offer.keys}
        options = [Option(key.name, safe(key.name), key.keyid) for key in offer.keys]
        options.append(Option(_FILE, "a key in a file", "type its path"))
        self.console_app.push_screen(
            Choose("Sign with which key?", options, explain),
            lambda names: None if not names else ask_file() if names[0] == _FILE else chosen(by_name[names[0]]),
        )

    def _unlock(self, offer: Offer, name: str, passphrase: str) -> None:
        """Open a key in the dialog that asks for its passphrase, which stays open where the key may not be used."""
        keyid = self.console_app.keyring.unlock(name, passphrase)
        _require(offer, name, keyid)

    async def _learn(self, offer: Offer, key: OwnKey, passphrase: str, go: Callable[[OwnKey, str], None]) -> None:
        """Learn the id of a key in a file, which only opening it tells."""
        try:
            keyid = await asyncio.to_thread(self.console_app.keyring.unlock, key.name, passphrase)
            _require(offer, key.name, keyid)
        except LockgateError as error:
            self.post_message(Refusal(error, None))
        else:
            named = msgspec.structs.replace(key, keyid=keyid)
            self.post_message(Answer(lambda opened: go(opened, passphrase), named))

    async def _sign(self, key: OwnKey, passphrase: str, fetch: Fetch, send: Send[T], then: Callable[[T], None]) -> None:
        link, keyring = self.console_app.link, self.console_app.keyring
        try:
            payload = await link.ask(lambda station: fetch(station, key.keyid))
            keyid, signature = await asyncio.to_thread(keyring.sign, key.name, passphrase, payload)
            answer = await link.ask(lambda station: send(station, keyid, payload, signature))
        except LockgateError as error:
            self.post_message(Refusal(error, None))
        else:
            self.post_message(Answer(then, answer))


def _require(offer: Offer, name: str, keyid: str) -> None:
    objection = offer.objection(keyid)
    if objection:
        raise UsageError(objection, thing=name, remedy="give the file of another key")


async def release_keys(station: Station) -> Offer:
    """What the person who is logged in may decide with: the keys that are trusted for release and stand for the
    account; on an open station, which knows no accounts, every one that is trusted for release."""
    trusted = {key.keyid for key in await station.trust() if "release" in key.purposes and not key.revoked}
    who = await station.who()
    ids = frozenset(trusted if who.open else trusted & set(who.keys))
    wanted = "trusted for release" if who.open else f"a release key that stands for {safe(who.account)}"
    return Offer(tuple(key for key in await station.keys() if key.keyid in ids), ids, wanted)
