"""The private keys this console may sign with: opened in this process, for one act, never sent anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundles.errors import UsageError
from tui.demo import data

if TYPE_CHECKING:
    from appliance.cosigning import CoSigned
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey, PublicKey


class Keyring(Protocol):
    """Blocking, because opening a key costs tenths of a second of key stretching: call it in a thread."""

    def unlock(self, name: str, passphrase: str) -> None:
        """Open the key and let go of it. Raises UsageError: no such key, wrong passphrase."""
        ...

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        """The key's id and its signature over `payload`. Raises UsageError: no such key, wrong passphrase."""
        ...

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        """Check written media whole, then put this key's signature onto them. What `progress` raises ends it."""
        ...


class FolderKeyring:
    """A station's `keys/` folder; co-signing is recorded in its audit log."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def unlock(self, name: str, passphrase: str) -> None:
        self._open(name, passphrase)

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        key = self._open(name, passphrase)
        return key.public.keyid, key.sign(payload)

    def _open(self, name: str, passphrase: str) -> PrivateKey:
        from bundles.signing.keys import check_name, load_private

        return load_private(self._root / "keys" / f"{check_name(name)}.pem", passphrase.encode() or None)

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        from appliance.cosigning import cosign
        from bundles.format import sums

        here = [Path(folder) for folder in folders if (Path(folder) / sums.NAME).exists()]
        return cosign(here, lambda: self._open(name, passphrase), self._root, progress)


class DemoKeyring:
    """The demo's people: keys derived from their names, one passphrase for all."""

    def unlock(self, name: str, passphrase: str) -> None:
        if passphrase != data.PASSPHRASE:
            raise UsageError(
                "the passphrase does not open the key", thing=name, remedy=f"in the demo it is {data.PASSPHRASE}"
            )

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        self.unlock(name, passphrase)
        key = demo_private(name)
        return key.public.keyid, key.sign(payload)

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        from appliance.cosigning import CoSigned

        keyid, signature = self.sign(name, passphrase, b"")
        progress("verify", 1, 1)
        return CoSigned(Path(folders[0]).name, keyid, signature, (Path(folders[0]),), (), ())


@lru_cache
def demo_private(name: str) -> PrivateKey:
    """The demo's key of a name: the same on every machine, and worth nothing for that reason."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from bundles.signing.keys import PrivateKey

    secret = int.from_bytes(hashlib.sha256(f"lockgate demo {name}".encode()).digest(), "big") >> 8
    return PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))


def demo_public(keyid: str) -> PublicKey | None:
    """The public half of the demo key with this id."""
    for name, known in data.KEYIDS.items():
        if known == keyid:
            return demo_private(name).public
    return None
