"""The private keys this console may sign with: opened in this process, for one act, never sent anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from appliance.cosigning import CoSigned
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey


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
