"""The demo's folder: keys that come on its media, and the words of `tui.station.station_folder` done to its lists in
memory.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.trust import OwnKey, Revoked, TrustedKey
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.ports import Progress
from bundles.signing.widening import Widening
from tests.console.doubles import data, intake
from tests.console.doubles.state import DemoState
from tui.station.station_folder import Grant, Heard, KeyFile, Rotated

if TYPE_CHECKING:
    from bundles.verifier.examine import Findings

_ALGORITHM: Final = "ecdsa-p256"
_PEOPLE: Final = 2


class DemoDesk:
    """A key file of the demo is any path that ends in `.pem`: its name is the key."""

    def __init__(self, station: DemoState) -> None:
        self._station = station

    def read_key(self, path: str) -> KeyFile:
        if not path.endswith(".pem"):
            raise UsageError("no such key", thing=path, remedy="in the demo any name that ends in .pem is a key's file")
        fingerprint = data.digest(f"key {PurePosixPath(path).stem}").removeprefix("sha256:")
        return KeyFile(path, fingerprint[:16], _ALGORITHM, fingerprint)

    def pin(self, path: str, grant: Grant, heard: Heard | None = None) -> str:
        key = self.read_key(path)
        if heard is not None:
            from bundles.signing.ceremony import digits_of

            if digits_of(heard.words) != key.fingerprint:
                raise RefusedError("what was read out is not this key's fingerprint", thing=key.keyid)
        pinned = TrustedKey(
            keyid=key.keyid,
            purposes=(grant.purpose,),
            owner=grant.owner,
            sites=grant.sites,
            algorithm=key.algorithm,
            not_before=grant.not_before or None,
            not_after=grant.not_after or None,
            fingerprint=key.fingerprint,
        )
        self._station.trusted = [one for one in self._station.trusted if one.keyid != key.keyid] + [pinned]
        return key.keyid

    def revoke(self, keyid: str, why: str) -> None:
        said = Revoked(at=self._station.now(), why=why)
        self._station.trusted = [
            msgspec.structs.replace(one, revoked=said) if one.keyid == keyid else one for one in self._station.trusted
        ]

    def untrust(self, keyid: str, why: str) -> None:
        self._station.trusted = [one for one in self._station.trusted if one.keyid != keyid]

    def correct(self, keyid: str, why: str, owner: str, sites: Sequence[str]) -> None:
        self._station.trusted = [
            msgspec.structs.replace(one, owner=owner or one.owner, sites=tuple(sites) or one.sites)
            if one.keyid == keyid
            else one
            for one in self._station.trusted
        ]

    def widening(self, keyid: str, grant: Grant) -> Widening | None:
        known = next((one for one in self._station.trusted if one.keyid == keyid and one.owner == grant.owner), None)
        if known is None:
            return None
        new = () if grant.purpose in known.purposes else (f"purpose {grant.purpose}",)
        return Widening(", ".join(known.purposes), new)

    def create(self, name: str, passphrase: str) -> KeyFile:
        fingerprint = data.digest(f"key {name}").removeprefix("sha256:")
        made = OwnKey(name=name, keyid=fingerprint[:16], algorithm=_ALGORITHM, encrypted=True)
        self._station.own_keys = [*self._station.own_keys, made]
        return KeyFile(f"/keys/{name}.pub.pem", made.keyid, _ALGORITHM, fingerprint)

    def rotate(self, name: str, passphrase: str) -> Rotated:
        old = next((key for key in self._station.own_keys if key.name == name), None)
        if old is None:
            raise UsageError("no such key", thing=name)
        fingerprint = data.digest(f"key {name} anew").removeprefix("sha256:")
        kept = f"{name}.{old.keyid}"
        made = OwnKey(name=name, keyid=fingerprint[:16], algorithm=_ALGORITHM, encrypted=True)
        self._station.own_keys = [
            *(made if key is old else key for key in self._station.own_keys),
            msgspec.structs.replace(old, name=kept),
        ]
        return Rotated(name, made.keyid, fingerprint, kept)

    def verify(self, paths: Sequence[str], progress: Progress) -> Findings:
        from tests.console.doubles.verify import findings

        return findings(self._station, paths[0], progress)


def _override(station: DemoState, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A floor as two people say it: the bytes to sign, or how many have said so."""
    if "signature" not in arguments:
        said = json.dumps({name: str(value) for name, value in sorted(arguments.items())}).encode()
        return {"payload": base64.b64encode(said).decode()}
    station.said.add(str(arguments["keyid"]))
    people = len(station.said)
    if people >= _PEOPLE:
        station.said.clear()
    return {"people": people, "needed": _PEOPLE}


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """What stands on a key: alpha's key signed every bundle of alpha's, the officers decided about most of them."""
    if path == "/v1/clock":
        newest = max((entry.manifest["created"] for entry in station.entries), default="")
        return {"now": station.now(), "floor": newest, "why": station.entries[0].id if newest else ""}
    if path.startswith("/v1/streams/"):
        return _override(station, arguments)
    if path != "/v1/recall":
        return None
    thing = str(arguments["thing"])
    owners = {data.KEYIDS["engineer"]: "signed it"}
    owners |= {data.KEYIDS[name]: "decided about it" for name in ("officer", "deputy")}
    how = owners.get(thing)
    found = [
        entry
        for entry in station.entries
        if (how == "signed it" and entry.stream == intake.STREAM)
        or any(decision.keyid == thing for decision in entry.decisions)
    ]
    if how is None or not found:
        raise NotFoundError("no bundle has anything to do with it", thing=thing, remedy="give a keyid or a digest")
    shown = [entry for entry in found if entry.state == "released"]
    tags = sorted({(name, entry.id) for entry in shown for name in intake.references(entry)})
    newest = dict(tags)
    return {
        "thing": thing,
        "bundles": [
            {"id": entry.id, "digest": entry.digest, "state": entry.state, "as": how}
            for entry in sorted(found, key=lambda entry: entry.id)
        ],
        "tags": [
            {"reference": name, "digest": data.digest(name), "bundle": bundle, "shown": "yes"}
            for name, bundle in newest.items()
        ],
        "pulls": [
            {"actor": f"node-{number:02d}", "thing": f"{name}@{data.digest(name)}", "last": data.day(60 + number),
             "count": 3 * number, "from": [f"10.20.0.{number}"]}
            for number, name in enumerate(list(newest)[:3], 4)
        ],
    }  # fmt: skip
