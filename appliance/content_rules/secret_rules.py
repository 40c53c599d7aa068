"""Rules about private keys and secrets: where they are, and never what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

import msgspec

from appliance.content_rules.file_rules import Paths, is_within
from appliance.content_rules.file_types import EXECUTABLES
from appliance.content_rules.rule import File, Finding, Look, Rule, Severity
from appliance.content_rules.secret_forms import PRIVATE_KEYS, TOKENS, Form, Search

_PKCS7_DATA: Final = bytes.fromhex("2a864886f70d010701")
_KEY_BAGS: Final = (bytes.fromhex("2a864886f70d010c0a0102"), bytes.fromhex("2a864886f70d010c0a0101"))
"""What holds a private key in a PKCS#12 file, encrypted or not (RFC 7292, 4.2)."""
_RSA_OID: Final = bytes.fromhex("06092a864886f70d010101")
_EC_OID: Final = bytes.fromhex("06072a8648ce3d0201")
_ED25519_OID: Final = bytes.fromhex("06032b6570")
_JAVA_KEY: Final = (b"\0\0\0\1", b"\0\0\0\3")
"""Tags of an entry of a Java key store: a private key, a secret key."""
_EACH: Final = 64
"""Findings of one file that are told apart; the file is found by the first."""


class PrivateKey(Rule):
    """Private keys in PEM, OpenSSH, OpenPGP, PuTTY, age, DER, PKCS#12 and Java key stores."""

    id: ClassVar[str] = "private-key"
    message: ClassVar[str] = "a private key"
    remedy: ClassVar[str] = "replace the key wherever it counts, and build the image without it"
    severity: ClassVar[Severity] = "critical"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def begin(self, file: File) -> Look | Iterable[Finding]:
        if is_within(file.path, self.settings.allow) or is_program(file):
            return ()
        return KeyLook(file)


class PrivateKeyInProgram(Rule):
    """Private keys within programs and libraries: cryptographic libraries have some that are public, to test themselves
    by (GnuTLS), and so it weighs less."""

    id: ClassVar[str] = "private-key-in-program"
    message: ClassVar[str] = "a private key within a program"
    remedy: ClassVar[str] = "ask its maker; name a library that tests itself by such keys in the rule's allow"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def begin(self, file: File) -> Look | Iterable[Finding]:
        if is_within(file.path, self.settings.allow) or not is_program(file):
            return ()
        return SecretLook(file, PRIVATE_KEYS)


class Secret(Rule):
    """Tokens and keys of services, where their form or their checksum tells them."""

    id: ClassVar[str] = "secret"
    message: ClassVar[str] = "a token or key of a service"
    remedy: ClassVar[str] = "withdraw it at the service, and build the image without it"
    severity: ClassVar[Severity] = "critical"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def begin(self, file: File) -> Look | Iterable[Finding]:
        return () if is_within(file.path, self.settings.allow) else SecretLook(file, TOKENS)


def is_program(file: File) -> bool:
    """Whether a file is a program or a library of a machine; text that begins like one is none."""
    return file.type in EXECUTABLES and b"\0" in file.head


class SecretLook:
    """A file that is searched for some forms."""

    def __init__(self, file: File, forms: tuple[Form, ...]) -> None:
        self._path, self._search, self._left = file.path, Search(forms), _EACH

    def feed(self, data: bytes) -> Iterator[Finding]:
        return self._told(self._search.feed(data)) if self._left else iter(())

    def end(self) -> Iterator[Finding]:
        return self._told(self._search.end()) if self._left else iter(())

    def _told(self, found: list[tuple[str, bytes]]) -> Iterator[Finding]:
        for name, secret in found[: self._left]:
            yield Finding(self._path, name, secret=secret)
        self._left -= min(self._left, len(found))


class KeyLook:
    """A file that is searched for private keys: armoured anywhere in it, in DER where it is nothing else."""

    def __init__(self, file: File) -> None:
        self._path, self._armoured = file.path, SecretLook(file, PRIVATE_KEYS)
        self._head, self._tail = file.head, b""
        self._is_pkcs12 = is_pkcs12(file.head)
        self._is_told = False

    def feed(self, data: bytes) -> Iterator[Finding]:
        yield from self._armoured.feed(data)
        if self._is_pkcs12 and not self._is_told:
            seen = self._tail + data
            if any(bag in seen for bag in _KEY_BAGS):
                self._is_told = True
                yield Finding(self._path, "a private key (PKCS#12)", secret=self._head)
            self._tail = seen[-16:]

    def end(self) -> Iterator[Finding]:
        yield from self._armoured.end()
        if what := binary_key(self._head):
            yield Finding(self._path, what, secret=self._head)


def is_pkcs12(head: bytes) -> bool:
    """Whether a file is a PKCS#12 store (RFC 7292): version 3, then data."""
    body = _sequence(head)
    return body.startswith(b"\x02\x01\x03\x30") and _PKCS7_DATA in body[:40]


def binary_key(head: bytes) -> str:
    """What a file is by its head where it is a private key by itself, in DER or a Java key store; "" for none."""
    if head.startswith(b"\xfe\xed\xfe\xed") and head[12:16] in _JAVA_KEY and head[8:12] != bytes(4):
        return "a private key (Java key store)"
    body = _sequence(head)
    if body[:3] in (b"\x02\x01\x00", b"\x02\x01\x01") and body[3:4] == b"\x30":  # RFC 5958
        algorithm = body[5:20]
        if algorithm.startswith((_RSA_OID, _EC_OID, _ED25519_OID)):
            return "a private key (PKCS#8)"
    if body.startswith(b"\x02\x01\x00\x02\x82") and body[7:8] == b"\0" and body[5] in (0, 1, 2):  # RFC 8017, A.1.2
        return "a private key (PKCS#1)"
    if body.startswith(b"\x02\x01\x01\x04") and body[4:5] in (b"\x20", b"\x30", b"\x42") and b"\xa0" in body[36:80]:
        return "a private key (SEC 1)"  # RFC 5915
    return ""


def _sequence(head: bytes) -> bytes:
    """What a DER sequence at the beginning holds, as far as the head goes; b"" where none begins."""
    if not head.startswith(b"\x30") or len(head) < 4:
        return b""
    length = head[1]
    if length < 0x80:
        return head[2:]
    return head[2 + (length & 0x7F) :] if length in (0x81, 0x82, 0x83) else b""
