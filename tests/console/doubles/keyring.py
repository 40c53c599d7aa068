"""The demo's keys: derived from their names, one passphrase for all, and worth nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from appliance.api.trust import OwnKey
from bundles.errors import UsageError
from tests.console.doubles import data
from tui.station.keyring import image_signature

if TYPE_CHECKING:
    from appliance.cosigning import CoSigned
    from bundles.image_signatures.making import Made
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey, PublicKey


class DemoKeyring:
    """The demo's people: keys derived from their names, one passphrase for all."""

    def about(self, path: str) -> OwnKey:
        if not path.endswith(".pem"):
            raise UsageError("no such key", thing=path, remedy="in the demo any name that ends in .pem is a key's file")
        return OwnKey(name=path, keyid="", algorithm="ecdsa-p256", encrypted=True)

    def unlock(self, name: str, passphrase: str) -> str:
        if passphrase != data.PASSPHRASE:
            raise UsageError(
                "the passphrase does not open the key", thing=name, remedy=f"in the demo it is {data.PASSPHRASE}"
            )
        return demo_private(_called(name)).public.keyid

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        self.unlock(name, passphrase)
        key = demo_private(_called(name))
        return key.public.keyid, key.sign(payload)

    def sign_image(self, name: str, passphrase: str, repository: str, digest: str) -> tuple[str, Made]:
        self.unlock(name, passphrase)
        return image_signature(demo_private(_called(name)), repository, digest)

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        from appliance.cosigning import CoSigned

        keyid, signature = self.sign(name, passphrase, b"")
        progress("verify", 1, 1)
        return CoSigned(Path(folders[0]).name, keyid, signature, (Path(folders[0]),), (), ())


def _called(name: str) -> str:
    """The demo key's name: a file is called like its key."""
    return PurePosixPath(name).stem if "/" in name else name


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
