"""Signing in this console: choose a key, give its passphrase, sign the station's exact bytes, send the signature."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from appliance.api.trust import OwnKey
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.dialogs.choose import Choose, Option
from tui.dialogs.passphrase import Passphrase
from tui.screens.base import Answer, Refusal, StationScreen
from tui.station.port import Station
from tui.terminal.workers import begin

T = TypeVar("T")

Fetch = Callable[[Station, str], Awaitable[bytes]]
"""Gives the bytes to sign for a key id."""

Send = Callable[[Station, str, bytes, bytes], Awaitable[T]]
"""Hands over key id, payload and signature."""


class SigningScreen(StationScreen):
    """A screen on which people sign."""

    def sign(
        self, keys: Sequence[OwnKey], explain: str, fetch: Fetch, send: Send[T], then: Callable[[T], None]
    ) -> None:
        """Sign with one of `keys`; `explain` says what is signed. `then` gets what `send` answered."""

        def go(key: OwnKey, passphrase: str) -> None:
            self.say("busy", "opening the key and signing")
            begin(self, partial(self._sign, key, passphrase, fetch, send, then), "act")

        self.choose_key(keys, explain, go)

    def choose_key(self, keys: Sequence[OwnKey], explain: str, go: Callable[[OwnKey, str], None]) -> None:
        """Ask for one of `keys` (where there are several) and its passphrase (where it has one), then `go`."""

        def chosen(key: OwnKey) -> None:
            if key.encrypted:
                prompt = Passphrase(key, explain, self.console_app.keyring.unlock)
                self.console_app.push_screen(prompt, lambda text: None if text is None else go(key, text))
            else:
                go(key, "")

        if len(keys) == 1:
            chosen(keys[0])
            return
        by_name = {key.name: key for key in keys}
        who = self.console_app.presence.who
        mine = who.keys if who is not None else ()
        options = [
            Option(key.name, safe(key.name), f"{key.keyid}, yours" if key.keyid in mine else key.keyid) for key in keys
        ]
        self.console_app.push_screen(
            Choose("Sign with which key?", options, explain),
            lambda names: chosen(by_name[names[0]]) if names else None,
        )

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


async def release_keys(station: Station) -> tuple[OwnKey, ...]:
    """The station's keys that are trusted for release; first those that stand for the account that is logged in."""
    trusted = {key.keyid for key in await station.trust() if "release" in key.purposes and not key.revoked}
    mine = (await station.who()).keys
    found = [key for key in await station.keys() if key.keyid in trusted]
    return tuple(sorted(found, key=lambda key: key.keyid not in mine))
