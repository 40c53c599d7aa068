"""Private keys that stay on a token: a smart card or a hardware security module, reached by PKCS#11.

The library that a URI names is loaded into this process; it is the caller's own word. The token signs a hash, and what
it gives is verified before anybody gets it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bundles.errors import FailedError, MalformedError, UsageError
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.pkcs11_uri import TokenKey

_HASHES: Final = {"ecdsa-p256": hashlib.sha256, "ecdsa-p384": hashlib.sha384}
"""The algorithms that a token signs by here."""


class TokenPrivateKey(PrivateKey):
    """A private key on a token. Each use is a session of its own, logged in for as long as it lasts."""

    def __init__(self, named: TokenKey, pin: bytes) -> None:
        """Raises UsageError: no such library, token or key, a wrong PIN, or a key of another kind; FailedError with the
        token's own reason."""
        self._named, self._pin = named, pin
        with _keys(named, pin) as (_, public):
            self.public = _public(public, named.shown)

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`; a token's differs each time. Raises FailedError, and UsageError as at first."""
        from pkcs11 import Mechanism

        digest = _HASHES[self.public.algorithm](data).digest()
        with _keys(self._named, self._pin) as (private, _):
            raw = bytes(private.sign(digest, mechanism=Mechanism.ECDSA))
        half = len(raw) // 2
        signature = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        if not self.public.verify(data, signature):
            raise FailedError(
                "the token's signature does not hold", thing=self._named.shown, remedy="check the token and its library"
            )
        return signature

    def derive(self, info: bytes) -> bytes:
        raise self._stays("use a key in PKCS#8 PEM")

    def to_pem(self, passphrase: bytes | None) -> bytes:
        raise self._stays("use the token's own tools")

    def to_cosign(self, passphrase: bytes) -> bytes:
        raise self._stays("use the token's own tools")

    def _stays(self, remedy: str) -> UsageError:
        return UsageError("the private part stays on the token", thing=self._named.shown, remedy=remedy)


@contextmanager
def _keys(named: TokenKey, pin: bytes) -> Iterator[tuple[Any, Any]]:
    """The private key's handle and the public key's, while the token is logged in. Raises UsageError, FailedError."""
    try:
        import pkcs11
        from pkcs11 import exceptions
    except ImportError:
        raise UsageError(
            "keys on tokens need python-pkcs11, which is not installed", thing=named.shown,
            remedy="install the program again from its lock (docs/howto/install.md)",
        ) from None  # fmt: skip
    if not named.module.is_file():
        raise UsageError("no such library", thing=str(named.module), remedy="give the token's PKCS#11 library")
    shown = named.shown
    try:
        token = pkcs11.lib(str(named.module)).get_token(token_label=named.token, token_serial=_bytes(named.serial))
        wanted: dict[str, Any] = {"label": named.label, "id": named.id}
        with token.open(user_pin=pin.decode()) as session:
            private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **wanted)
            yield private, session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, **wanted)
    except UnicodeDecodeError:
        raise UsageError("the PIN is no text", thing=shown, remedy="type it again") from None
    except exceptions.NoSuchToken:
        raise UsageError("no such token", thing=shown, remedy="put it in, and check its label") from None
    except exceptions.MultipleTokensReturned:
        raise UsageError("several tokens have this name", thing=shown, remedy="add serial= to the URI") from None
    except (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange):
        raise UsageError(
            "the PIN does not open the token", thing=shown, remedy="type it again; a few wrong ones lock the token"
        ) from None
    except exceptions.PinLocked:
        raise UsageError(
            "the token is locked by wrong PINs", thing=shown, remedy="unlock it with the token's own tools"
        ) from None
    except exceptions.NoSuchKey:
        raise UsageError(
            "the token has no such key with its public half", thing=shown, remedy="check object= and id= of the URI"
        ) from None
    except exceptions.MultipleObjectsReturned:
        raise UsageError("several keys have this name", thing=shown, remedy="add id= to the URI") from None
    except (exceptions.PKCS11Error, RuntimeError) as error:
        raise _failed(named, error) from None


def _public(handle: Any, shown: str) -> PublicKey:
    """The public half. Raises UsageError for a kind that no token signs by here."""
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_ec_public_key

    kind = "another kind"
    if handle.key_type == KeyType.EC:
        try:
            public = PublicKey.of(serialization.load_der_public_key(encode_ec_public_key(handle)))
        except (ValueError, MalformedError):
            public = None
        if public is not None and public.algorithm in _HASHES:
            return public
        kind = "another curve"
    raise UsageError(f"the key on the token is of {kind}", thing=shown, remedy=f"use one of {', '.join(_HASHES)}")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _failed(named: TokenKey, error: Exception) -> FailedError:
    reason = f"{type(error).__name__} {error}".strip()[:160]
    return FailedError(f"the token failed: {reason}", thing=named.shown, remedy="check the token and its library")
