"""Signing in this console: choose a key, give its passphrase, sign the station's exact bytes, send the signature."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from appliance.api.trust import OwnKey
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.decisions.signing import Fetch, Offer, Send, learn, named_key, require_offered, secret_of, sign_and_send
from tui.dialogs.choose import Choose, Option
from tui.dialogs.confirm import Confirm
from tui.dialogs.passphrase import Passphrase
from tui.dialogs.path_prompt import PathPrompt
from tui.screens.station_screen import StationScreen

T = TypeVar("T")

_FILE: Final = "\0file"
"""The option of a key in a file, which no key of the folder is called."""


class SigningScreen(StationScreen):
    """A screen on which people sign."""

    def sign(
        self,
        what: str,
        offer: Offer,
        explain: str,
        fetch: Fetch,
        send: Send[T],
        then: Callable[[T], None],
        *,
        asks: bool = False,
    ) -> None:
        """Sign with one of the keys; `what` names what is signed in a few words for the dialogs' titles, `explain` says
        it whole. `then` gets what `send` answered. `asks`: a key without a passphrase signs after a yes."""

        def go(key: OwnKey, passphrase: Secret) -> None:
            if asks and not key.encrypted:
                question = Confirm(f"{what} with the key {safe(key.name)}?", explain)
                self.console_app.push_screen(question, lambda yes: signs(key, passphrase) if yes else None)
            else:
                signs(key, passphrase)

        def signs(key: OwnKey, passphrase: Secret) -> None:
            self.say("busy", "opening the key and signing")
            app = self.console_app
            self.work(partial(sign_and_send, app.link, app.keyring, key, passphrase, fetch, send), then, group="act")

        self.choose_key(what, offer, explain, go)

    def choose_key(self, what: str, offer: Offer, explain: str, go: Callable[[OwnKey, Secret], None]) -> None:
        """Ask for a key (where there is a choice) and its passphrase (where it has one), then `go`. A key of the folder
        comes first; whose key is in a file names it."""

        def chosen(key: OwnKey) -> None:
            if key.encrypted:
                prompt = Passphrase(what, key, explain, partial(self._unlock, offer), secret_of(key))
                self.console_app.push_screen(prompt, lambda text: None if text is None else opened(key, Secret(text)))
            else:
                opened(key, Secret())

        def opened(key: OwnKey, passphrase: Secret) -> None:
            if key.keyid:
                go(key, passphrase)
            else:
                named = partial(learn, self.console_app.keyring, offer, key, passphrase)
                self.work(named, lambda learnt: go(learnt, passphrase), group="open")

        def ask_file() -> None:
            explained = f"{explain}\nIt must be {offer.wanted}. A key on a token is named by its PKCS#11 URI."
            named = self.console_app.key_file
            prompt = PathPrompt(f"{what}: Your private key's file?", explained, value=named)
            self.console_app.push_screen(prompt, given)

        def given(path: str | None) -> None:
            if path:
                name, keyring = named_key(path.strip()), self.console_app.keyring
                self.work(lambda: asyncio.to_thread(keyring.about, name), found, group="open")

        def found(key: OwnKey) -> None:
            self.console_app.key_file = key.name
            chosen(key)

        if len(offer.keys) == 1:
            chosen(offer.keys[0])
            return
        if not offer.keys:
            ask_file()
            return
        by_name = {key.name: key for key in offer.keys}
        options = [Option(key.name, safe(key.name), key.keyid) for key in offer.keys]
        options.append(Option(_FILE, "a key in a file or on a token", "type its path or URI"))
        self.console_app.push_screen(
            Choose(f"{what}: Sign with which key?", options, explain),
            lambda names: None if not names else ask_file() if names[0] == _FILE else chosen(by_name[names[0]]),
        )

    def _unlock(self, offer: Offer, name: str, passphrase: str) -> None:
        """Open a key in the dialog that asks for its passphrase, which stays open where the key may not be used."""
        require_offered(offer, name, self.console_app.keyring.unlock(name, passphrase))
