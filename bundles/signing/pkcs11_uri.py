"""PKCS#11 URIs (RFC 7512): which private key on which token, and by which library it is reached.

A secret is never in one: `pin-value` and `pin-source` are refused, since an argument is seen by every account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from bundles.errors import UsageError

SCHEME: Final = "pkcs11:"
_LONGEST: Final = 1_000
_PATH: Final = frozenset({"token", "serial", "object", "id", "type", "manufacturer", "model"})
_QUERY: Final = frozenset({"module-path"})
_SECRET: Final = frozenset({"pin-value", "pin-source"})
_TEXT: Final = re.compile(r"[A-Za-z0-9\-._~%:\[\]@!$'()*+,=&/?;]*\Z")
"""What may stand in one (RFC 7512, section 2.3); everything else is percent-encoded."""
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM: Final = "pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/…/opensc-pkcs11.so"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key on a token: the token by label or serial number, the key by label or id, None where the URI has none; and
    the library that speaks to the token."""

    module: Path
    token: str | None
    serial: str | None
    label: str | None
    id: bytes | None

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"{self.label or (self.id or b'').hex()} on token {self.token or self.serial}"


def is_uri(text: str) -> bool:
    """Whether a key is named by one."""
    return text.startswith(SCHEME)


def parse(text: str) -> TokenKey:
    """Read a URI. Raises UsageError: not of its form, an attribute twice or of another kind, a secret, no token, no key
    or no library named."""
    if len(text) > _LONGEST or not _TEXT.match(text) or _BROKEN.search(text):
        raise _malformed(text, "it holds what must be percent-encoded, or is too long")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    found: dict[str, bytes] = {}
    for part, known in [*((one, _PATH) for one in path.split(";")), *((one, _QUERY) for one in query.split("&"))]:
        name, equals, value = part.partition("=")
        if not part:
            continue
        if name in _SECRET:
            raise UsageError(
                "a PIN is no argument", thing=name, remedy="it is asked for, or give it with --passphrase-fd"
            )
        if not equals or name not in known or name in found:
            raise _malformed(name, "an attribute that is not known, not in its place, or there twice")
        found[name] = unquote_to_bytes(value)
    if found.get("type", b"private") != b"private":
        raise _malformed(text, "only a private key signs")
    token, serial, label = (_word(found.get(name), name) for name in ("token", "serial", "object"))
    if token is None and serial is None:
        raise _malformed(text, "it names no token")
    if label is None and found.get("id") is None:
        raise _malformed(text, "it names no key")
    module = _word(found.get("module-path"), "module-path")
    if module is None or not module.startswith("/"):
        raise _malformed(text, "it names no library by its whole path (module-path)")
    return TokenKey(Path(module), token, serial, label, found.get("id"))


def _word(raw: bytes | None, name: str) -> str | None:
    """An attribute's text."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text:
        raise _malformed(name, "it is no text")
    return text


def _malformed(thing: str, why: str) -> UsageError:
    return UsageError(f"not the name of a key on a token: {why}", thing=thing[:120], remedy=f"as {_FORM}")
