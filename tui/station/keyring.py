"""The private keys this console may sign with: opened in this process, for one act, never sent anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from appliance.api.trust import OwnKey
from bundles.io.typed_paths import exists, is_file, typed_path

if TYPE_CHECKING:
    from appliance.cosigning import CoSigned
    from bundles.image_signatures.making import Made
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey


class Keyring(Protocol):
    """Blocking, because opening a key costs tenths of a second of key stretching: call it in a thread. A key is called
    by its name in the station's key folder, by its file (a name with a `/` in it), or, on a token, by its PKCS#11 URI:
    its passphrase is then the token's PIN."""

    def about(self, path: str) -> OwnKey:
        """A private key in a file, which is called by its path; `keyid` is empty. Raises UsageError: no such file, or
        no key in it."""
        ...

    def unlock(self, name: str, passphrase: str) -> str:
        """Open the key and let go of it: its id. Raises UsageError: no such key, wrong passphrase."""
        ...

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        """The key's id and its signature over `payload`. Raises UsageError: no such key, wrong passphrase."""
        ...

    def sign_image(self, name: str, passphrase: str, repository: str, digest: str) -> tuple[str, Made]:
        """The key's public half in PEM, and its signature of the image or index with this digest, as a document. Raises
        UsageError as `sign`, and for a key by which images are not signed."""
        ...

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        """Check written media whole, then put this key's signature onto them. What `progress` raises ends it."""
        ...


class FolderKeyring:
    """A station's `keys/` folder; co-signing is recorded in its audit log."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def about(self, path: str) -> OwnKey:
        from bundles import limits
        from bundles.errors import UsageError
        from bundles.io.files import read_small
        from bundles.signing.keys import is_encrypted
        from bundles.signing.pkcs11_uri import is_uri, parse

        if is_uri(path):
            parse(path)
            return OwnKey(name=path, keyid="", algorithm="", encrypted=True)
        file = typed_path(path)
        if not is_file(file):
            raise UsageError("no such key", thing=path, remedy="give the path of your private key's file")
        pem = read_small(file, limits.KEY_FILE)
        if b"PRIVATE KEY-----" not in pem:
            raise UsageError("not a private key", thing=path, remedy="give the private key's file, a PEM")
        return OwnKey(name=path, keyid="", algorithm="", encrypted=is_encrypted(pem))

    def unlock(self, name: str, passphrase: str) -> str:
        return self._open(name, passphrase).public.keyid

    def sign(self, name: str, passphrase: str, payload: bytes) -> tuple[str, bytes]:
        key = self._open(name, passphrase)
        return key.public.keyid, key.sign(payload)

    def sign_image(self, name: str, passphrase: str, repository: str, digest: str) -> tuple[str, Made]:
        return image_signature(self._open(name, passphrase), repository, digest)

    def _open(self, name: str, passphrase: str) -> PrivateKey:
        from bundles.signing.keys import check_name, load_private
        from bundles.signing.pkcs11_uri import is_uri, parse

        if is_uri(name):
            from bundles.signing.token_key import TokenPrivateKey

            return TokenPrivateKey(parse(name), passphrase.encode())
        path = typed_path(name) if "/" in name else self._root / "keys" / f"{check_name(name)}.pem"
        return load_private(path, passphrase.encode() or None)

    def cosign(self, folders: Sequence[str], name: str, passphrase: str, progress: Progress) -> CoSigned:
        from appliance.cosigning import cosign
        from bundles.format import sums

        here = [Path(folder) for folder in folders if exists(Path(folder) / sums.NAME)]
        return cosign(here, lambda: self._open(name, passphrase), self._root, progress)


def image_signature(key: PrivateKey, repository: str, digest: str) -> tuple[str, Made]:
    """A key's public half in PEM, and its signature of the artifact with this digest, as a Sigstore bundle."""
    from bundles.image_signatures.making import Form, sign_image
    from bundles.oci.digest import Digest

    made = sign_image(Form.SIGSTORE, Digest.parse(digest), key, name=repository)
    return key.public.to_pem().decode(), made
