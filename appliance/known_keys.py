"""Public keys a station knows: of its own key folder, and pinned ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.paths import STATION_KEYS, StationPaths
from bundles import limits
from bundles.errors import LockgateError, UsageError
from bundles.io.files import read_small
from bundles.signing.keys import PUBLIC_SUFFIX, PublicKey, is_encrypted, load_public
from bundles.signing.trust import TrustFolder


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that this station can sign with, by its public half. `encrypted`: it needs a passphrase; `station`: the
    station signs with it by itself."""

    name: str
    key: PublicKey
    encrypted: bool

    @property
    def station(self) -> bool:
        return self.name in STATION_KEYS


def own_keys(paths: StationPaths) -> list[OwnKey]:
    """The key folder, by name. Raises UsageError naming a file that is not what its name says, PermissionError."""
    found = []
    # Not glob: that takes a folder it may not read for an empty one.
    for path in sorted(entry for entry in paths.keys.iterdir() if entry.name.endswith(PUBLIC_SUFFIX)):
        name = path.name.removesuffix(PUBLIC_SUFFIX)
        found.append(OwnKey(name, load_public(path), _needs_passphrase(paths, name)))
    return found


def _needs_passphrase(paths: StationPaths, name: str) -> bool:
    """False where the private half is elsewhere: there is nothing to open."""
    try:
        return is_encrypted(read_small(paths.keys / f"{name}.pem", limits.KEY_FILE))
    except LockgateError:
        return False


def find_public_key(paths: StationPaths, keyid: str) -> PublicKey:
    """The public key of that id. Raises UsageError where the station knows none."""
    for own in own_keys(paths):
        if own.key.keyid == keyid:
            return own.key
    record = TrustFolder.load(paths.trust).find(keyid)
    if record is None:
        raise UsageError(
            "no such key",
            thing=keyid,
            remedy="see: lockgate key list; create it (lockgate key create) or pin it (lockgate key trust)",
        )
    return record.key


def check_cosigners(paths: StationPaths, keyids: Iterable[str]) -> None:
    """Whether somebody is known for each who could co-sign with that key. Raises UsageError for one that nobody has
    pinned and that is none of the station's own, or that is revoked: the bundle would wait for it for ever."""
    trust = TrustFolder.load(paths.trust)
    for keyid in keyids:
        try:
            find_public_key(paths, keyid)
        except UsageError:
            raise UsageError(
                "no such co-signer: nobody has pinned this key here",
                thing=keyid,
                remedy="pin it: lockgate key trust FILE --purpose bundle --owner WHO --from SITE;"
                " see: lockgate key list",
            ) from None
        record = trust.find(keyid)
        if record is not None and record.revoked is not None:
            raise UsageError("the co-signer's key is revoked", thing=keyid, remedy="name the one that took its place")
