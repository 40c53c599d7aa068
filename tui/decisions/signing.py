"""Which keys may sign, and how a signature is made: in this process, over the station's exact bytes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from appliance.api.jobs import Job, ToSign
from appliance.api.trust import OwnKey
from bundles.errors import UsageError
from bundles.io.display import safe
from bundles.io.secret import Secret
from bundles.signing.pkcs11_uri import is_uri, parse
from tui.station.keyring import Keyring
from tui.station.link import Link
from tui.station.port import Station
from tui.terminal.texts import count, size, words

T = TypeVar("T")

Fetch = Callable[[Station, str], Awaitable[bytes]]
"""Gives the bytes to sign for a key id."""

Send = Callable[[Station, str, bytes, bytes], Awaitable[T]]
"""Hands over key id, payload and signature."""


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


def named_key(typed: str) -> str:
    """How the keyring calls a key whose file, or whose PKCS#11 URI, somebody typed."""
    return typed if "/" in typed or is_uri(typed) else f"./{typed}"


def secret_of(key: OwnKey) -> str:
    """What opens a key, in words: the passphrase of a file, the PIN of a token."""
    return f"PIN of {parse(key.name).shown}" if is_uri(key.name) else f"Passphrase of the key {safe(key.name)}"


def require_offered(offer: Offer, name: str, keyid: str) -> None:
    """Go on only with a key that may be used. Raises UsageError."""
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


def job_offer(wanted: ToSign, keys: Sequence[OwnKey]) -> Offer:
    """The keys that a job asks to sign."""
    fitting = tuple(key for key in keys if key.keyid in wanted.keyids)
    return Offer(fitting, frozenset(wanted.keyids), f"a key that is asked to sign: {words(wanted.keyids)}")


def job_signature(job_id: str, wanted: ToSign) -> tuple[Fetch, Send[Job]]:
    """How the signature that a job waits for is made and handed over: over the bytes that were described."""
    payload = base64.b64decode(wanted.payload)

    async def fetch(station: Station, keyid: str) -> bytes:
        return payload

    async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> Job:
        return await station.give_signature(job_id, keyid, signature)

    return fetch, send


async def learn(keyring: Keyring, offer: Offer, key: OwnKey, passphrase: Secret) -> OwnKey:
    """The key with its id, which only opening a key in a file tells. Raises UsageError where it may not be used."""
    keyid = await asyncio.to_thread(keyring.unlock, key.name, passphrase)
    require_offered(offer, key.name, keyid)
    return msgspec.structs.replace(key, keyid=keyid)


async def sign_and_send(
    link: Link, keyring: Keyring, key: OwnKey, passphrase: Secret, fetch: Fetch, send: Send[T]
) -> T:
    """What `send` answers to the signature of a key over what `fetch` gives."""
    payload = await link.ask(lambda station: fetch(station, key.keyid))
    keyid, signature = await asyncio.to_thread(keyring.sign, key.name, passphrase, payload)
    return await link.ask(lambda station: send(station, keyid, payload, signature))


def describe(wanted: ToSign) -> str:
    """What is about to be signed, in words."""
    told = wanted.describe
    lines = []
    if told.get("id"):
        lines.append(f"You sign bundle {safe(str(told['id']))} for {safe(str(told.get('to', '')))}.")
    if isinstance(told.get("bytes"), int) and isinstance(told.get("artifacts"), int):
        volumes = count(int(told.get("volumes", 1)), "volume")
        lines.append(f"It carries {count(told['artifacts'], 'artifact')}, {size(told['bytes'])} in {volumes}.")
    why = [str(one) for one in told.get("undescribed", ())]
    bare = [str(name) for name in told.get("without_sbom", ())]
    bare = [name for name in bare if not any(one.startswith(f"{name}:") for one in why)]
    lines += [f"[!!] No SBOM could be made of {safe(one)}." for one in (*why, *bare)]
    lines += [f"[!!] Not carried, a foreign layer: {safe(str(name))}." for name in told.get("not_carried", ())]
    lines += [f"[!!] {safe(str(note))}." for note in told.get("notes", ())]
    return "\n".join([*lines, "The signature is made here; the key never leaves this console."])
