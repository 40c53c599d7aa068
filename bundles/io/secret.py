"""Secrets: a type of text that never prints, and texts from which secrets are taken out.

A `Secret` is a `str` for whoever uses its characters (`encode`, `json.dumps`, comparison), and says `(secret)` where
it is printed: in `repr`, `str`, `format`, a log line, a debugger or a traceback with its variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from bundles.errors import UsageError

HIDDEN: Final = "(secret)"
"""What is printed in a secret's place."""

_SHORTEST: Final = 3
"""Characters from which a secret is taken out of a text: a shorter one would take out parts of common words."""

_TOKENS: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]+"  # RFC 6750, 2.1; RFC 7617, 2
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"  # RFC 7468
    r"|(?<![A-Za-z0-9_-])(?![0-9a-f]+(?![A-Za-z0-9_-]))(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])"
    r"[A-Za-z0-9_-]{32,}(?![A-Za-z0-9_-])",
    re.DOTALL,
)
"""What looks like a credential, whoever holds it: a header's, a private key, a random token of 24 bytes or more in
base64url. Digests are hexadecimal, and stay."""


class Secret(str):
    """A password, a passphrase, a token: its characters, which are never printed. `reveal` gives them as a `str`."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Secret:
        return super().__new__(cls, text.reveal() if isinstance(text, Secret) else text)

    def reveal(self) -> str:
        """The characters, as a text that prints."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not stored")


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with `(secret)` in the place of each of `secrets` and of all that looks like a credential."""
    for secret in sorted(secrets, key=len, reverse=True):
        plain = secret.reveal() if isinstance(secret, Secret) else secret
        if len(plain) >= _SHORTEST:
            text = text.replace(plain, HIDDEN)
    return _TOKENS.sub(HIDDEN, text)


def passphrase_from(descriptor: int, option: str = "--passphrase-fd") -> bytes:
    """A secret up to a newline from an open descriptor, which stays open; `option` is what named it.

    Raises UsageError.
    """
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.readline().rstrip(b"\r\n")
    except (OSError, TypeError, ValueError, OverflowError):  # the last three: a number that no descriptor can have
        raise UsageError(
            f"descriptor {descriptor} cannot be read",
            thing=f"{option} {descriptor}",
            remedy=f"open one for reading: {option} 3 3< FILE",
        ) from None
