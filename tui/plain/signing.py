"""A signature at the line terminal: which key, its passphrase, then the same way as in the console."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from appliance.api.trust import OwnKey
from bundles.errors import LockgateError
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.decisions.signing import (
    NO_KEY,
    Fetch,
    Offer,
    Send,
    learn,
    named_key,
    require_offered,
    secret_of,
    sign_and_send,
)
from tui.plain.desk import Desk

T = TypeVar("T")

_FILE = "\0file"


async def sign(desk: Desk, what: str, offer: Offer, explain: str, fetch: Fetch, send: Send[T]) -> T | None:
    """What `send` answered; None where nobody signed."""
    if not offer.ids:
        desk.say("bad", f"no key is {offer.wanted}: {NO_KEY}")
        return None
    desk.say("", what)
    desk.say("", explain)
    chosen = await choose_key(desk, offer)
    if chosen is None:
        desk.say("note", "nothing was signed")
        return None
    key, passphrase = chosen
    if not key.encrypted and not await desk.yes(f"{what} with the key {safe(key.name)}?"):
        desk.say("note", "nothing was signed")
        return None
    return await sign_and_send(desk.link, desk.keyring, key, passphrase, fetch, send)


async def choose_key(desk: Desk, offer: Offer) -> tuple[OwnKey, Secret] | None:
    """A key of the offer that opens, and its passphrase; None where there is none."""
    key: OwnKey | None
    if len(offer.keys) == 1:
        key = offer.keys[0]
    elif offer.keys:
        options = [(one.name, f"{safe(one.name)}  {one.keyid}") for one in offer.keys]
        picked = await desk.choose("Sign with which key?", [*options, (_FILE, "a key in a file")])
        if not picked:
            return None
        key = next((one for one in offer.keys if one.name == picked[0]), None)
    else:
        key = None
    if key is None:
        path = await desk.terminal.ask(f"Your private key's file, {offer.wanted}; empty goes back")
        if not path:
            return None
        key = await asyncio.to_thread(desk.keyring.about, named_key(path))
    return await _open(desk, offer, key)


async def _open(desk: Desk, offer: Offer, key: OwnKey) -> tuple[OwnKey, Secret] | None:
    while True:
        passphrase = Secret()
        if key.encrypted:
            passphrase = await desk.terminal.secret(f"{secret_of(key)}, empty goes back")
            if not passphrase:
                return None
        try:
            if not key.keyid:
                return await learn(desk.keyring, offer, key, passphrase), passphrase
            opened = await asyncio.to_thread(desk.keyring.unlock, key.name, passphrase)
            require_offered(offer, key.name, opened)
        except LockgateError as error:
            if not key.encrypted:
                raise
            desk.say("bad", safe(error.diagnostics()))
        else:
            return key, passphrase
