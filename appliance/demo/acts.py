"""What was done at the demo's stations before anybody comes: by the same calls of the control API, checks and
signatures as a person's.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from appliance.api.states import FINAL_STATES
from appliance.control.client import ControlClient, error_of
from appliance.demo.content import FIRST, SECOND, THIRD, write_layout
from appliance.demo.people import ADMINISTRATOR, INSIDE, OUTSIDE, PASSWORD, Person
from appliance.paths import StationPaths
from appliance.trust_acts import pin
from bundles.errors import FailedError, LockgateError
from bundles.signing.keys import PrivateKey, create_private, load_public, save_private

Answer = dict[str, Any]


class Desk:
    """A station of the demo as one person uses it; an async context manager."""

    def __init__(self, root: Path, person: str) -> None:
        self._client, self._person = ControlClient(root), person

    async def __aenter__(self) -> Desk:
        await self._client.__aenter__()
        await self._client.log_in(self._person, PASSWORD)
        return self

    async def __aexit__(self, *told: Any) -> None:
        await self._client.log_out()
        await self._client.__aexit__(*told)

    async def get(self, path: str, **query: object) -> Answer:
        return await self._client.get(path, **query)

    async def post(self, path: str, body: Answer) -> Answer:
        return await self._client.post(path, body)

    async def job(self, kind: str, params: Mapping[str, Any], key: PrivateKey | None = None) -> Answer:
        """Do a job, sign what it asks for with `key`, and return its result. Raises the error that it ended with."""
        begun = await self._client.submit(kind, params)
        async for name, told in self._client.watch(begun["id"]):
            if name == "job" and told["state"] == "to-sign" and key is not None:
                payload, keyids, _ = await self._client.to_sign(begun["id"])
                if key.public.keyid in keyids:
                    await self._client.sign(begun["id"], key.public.keyid, key.sign(payload))
            if name == "job" and told["state"] in FINAL_STATES:
                error = error_of(told)
                if error is not None:
                    raise error
                return dict(told["result"])
        raise FailedError("the station broke off", thing=str(begun["id"]))


Keys = dict[str, PrivateKey]
"""The private key of each person who signs, by name."""


def make_keys() -> Keys:
    """A key for each person who signs."""
    return {person.name: create_private() for person in (*OUTSIDE, *INSIDE) if person.sign_for}


def hand_out(root: Path, people: tuple[Person, ...], keys: Keys, source: str) -> None:
    """Each key into the key folder of its owner's station, pinned there; so is the key that signs for the site
    `source`."""
    for person in (*OUTSIDE, *INSIDE):
        if not person.sign_for:
            continue
        if person in people:
            save_private(StationPaths(root).keys / f"{person.name}.pem", keys[person.name], PASSWORD.encode())
        if person in people or person.sign_for == "bundle":
            sites = [source] if person.sign_for == "bundle" else []
            pin(root, keys[person.name].public, purpose=person.sign_for, owner=person.full_name, sites=sites)


def pin_receipts(outside: Path, inside: Path) -> None:
    """What the inside says that it holds, counts outside."""
    receipt = load_public(StationPaths(inside).keys / "receipt.pub.pem")
    pin(outside, receipt, purpose="receipt", owner=f"the station {inside.name}", sites=[inside.name])


async def make_people(root: Path, people: tuple[Person, ...], keys: Mapping[str, PrivateKey]) -> None:
    """The accounts of a station, each with its role and its key."""
    async with Desk(root, ADMINISTRATOR) as ada:
        for person in people:
            account = {"name": person.name, "full_name": person.full_name, "uid": None, "password": PASSWORD}
            await ada.post("/v1/accounts", account)
            path = f"/v1/accounts/{person.name}"
            if person.sign_for == "release":
                await ada.post(f"{path}/bind-key", {"keyid": keys[person.name].public.keyid})
            await ada.post(f"{path}/grant", {"role": person.role, "pattern": "**"})


async def send(outside: Path, media: Path, key: PrivateKey) -> list[Path]:
    """Collect the demo's images and build three bundles for bravo, each on a medium of its own; the bundles' folders,
    the first as soon as it is there."""
    layout = media.parent / "images"
    await asyncio.to_thread(write_layout, layout)
    written = []
    async with Desk(outside, "jana") as jana:
        await jana.job("collect", {"sources": [{"kind": "layout", "path": str(layout)}]})
        for number, references in enumerate((FIRST, SECOND, THIRD), 1):
            medium = media / f"medium-{number}"
            medium.mkdir()
            params = {"references": list(references), "to": "bravo", "new_site": number == 1, "out": [str(medium)],
                      "sign_with": key.public.keyid}  # fmt: skip
            built = await jana.job("build", params, key)
            written.append(Path(built["path"]))
    return written


async def bring_in(inside: Path, bundles: list[Path], keys: Mapping[str, PrivateKey]) -> None:
    """The first bundle is released; the second has one approval of the two that it needs; the first once more is
    refused as a replay. The third is left for whoever is in training."""
    first, second, _ = bundles
    async with Desk(inside, "bob") as bob:
        await bob.job("import", {"paths": [str(first)]})
        for officer in ("olga", "otto"):
            await _approve(inside, first.name, officer, keys[officer])
        async with Desk(inside, "olga") as olga:
            await olga.post(f"/v1/intake/{quote(first.name, safe='')}/release", {})
        await bob.job("import", {"paths": [str(second)]})
        await _approve(inside, second.name, "olga", keys["olga"])
        try:
            await bob.job("import", {"paths": [str(first)]})
        except LockgateError:
            pass
        else:
            raise FailedError("a replay was taken in", thing=first.name)


async def _approve(root: Path, bundle: str, officer: str, key: PrivateKey) -> None:
    path = f"/v1/intake/{quote(bundle, safe='')}/approval"
    async with Desk(root, officer) as desk:
        wanted = await desk.get(path, keyid=key.public.keyid, decision="approve", why="")
        signature = base64.b64encode(key.sign(base64.b64decode(wanted["payload"]))).decode()
        await desk.post(path, {"payload": wanted["payload"], "keyid": key.public.keyid, "signature": signature})


async def send_receipt(inside: Path, media: Path) -> Path:
    """bravo's receipt on the medium that goes back, for whoever is in training to take in at alpha."""
    out = media / "medium-1" / "receipt"
    async with Desk(inside, "bob") as bob:
        await bob.job("receipt", {"out": str(out)})
    return out


SEEDED: Final = "seeded"
READY: Final = "ready"
FAILED: Final = "failed"
"""What the keeper says, a word a line."""
