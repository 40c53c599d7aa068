"""What private keys and tokens look like: an anchor of fixed bytes, and a check of no more than a window behind it.

Every check is an expression without nested repetition over at most `WINDOW` bytes, so that a file takes time in
proportion to its size, whatever stands in it. Where a form has a checksum it is verified: text that only looks like one
is no finding.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

WINDOW: Final = 2048
"""Bytes from an anchor on that a check sees."""
_BATCH: Final = 4096
"""Bytes that are searched at once, at least: pieces may be of one byte."""
_WORD: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BECH32: Final = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PEM: Final = re.compile(rb"-----BEGIN ((?:[A-Z0-9]{1,12} ){0,3})PRIVATE KEY(?: BLOCK)?-----")
_BODY_LINE: Final = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}\Z")
_TRIM: Final = b" \t\r\"',#*+|>\\;"
_BODY_LEAST: Final = 40
_BODY_KEPT: Final = 512
_DISTINCT_LEAST: Final = 10
"""Different characters of base64 in a key; a placeholder has fewer."""
_AWS_SECRET: Final = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_AWS_NEAR: Final = 400


class Form(NamedTuple):
    """What is looked for. `check` is handed the bytes from the anchor on, and gives the secret in them, b"" for none.
    `is_word`: whether nothing of a longer word stands before it."""

    name: str
    anchor: bytes
    check: Callable[[bytes], bytes]
    is_word: bool = True


def _shaped(pattern: bytes) -> Callable[[bytes], bytes]:
    compiled = re.compile(pattern)

    def check(window: bytes) -> bytes:
        found = compiled.match(window)
        return found[0] if found else b""

    return check


def _private_key(window: bytes) -> bytes:
    """The first base64 of a key in PEM armour (RFC 7468), with the headers of RFC 1421 or of OpenPGP, in a file, in
    JSON (`\\n`) or in a program's text."""
    begun = _PEM.match(window)
    if begun is None:
        return b""
    body = window[begun.end() :].split(b"-----END ", 1)[0].replace(b"\\r", b"").replace(b"\\n", b"\n")
    text = b""
    for line in body.split(b"\n"):
        stripped = line.strip(_TRIM)
        if _BODY_LINE.match(stripped):
            text += stripped
        elif text or (stripped and b":" not in stripped):
            break
    if len(text) < _BODY_LEAST or len(set(text)) < _DISTINCT_LEAST:
        return b""
    return text[:_BODY_KEPT]


def _putty(window: bytes) -> bytes:
    found = re.match(rb"PuTTY-User-Key-File-[123]: [a-z0-9-]{3,40}\r?\nEncryption: [a-z0-9-]{3,20}\r?\n", window)
    return window[:_BODY_KEPT] if found else b""


def _age(window: bytes) -> bytes:
    """An identity of age (age-encryption.org/v1): Bech32 (BIP 173) in capitals, its checksum verified."""
    found = re.match(rb"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}(?![A-Z0-9])", window)
    if found is None:
        return b""
    prefix, data = "age-secret-key-", found[0][16:].decode()
    values = [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]
    check = 1
    for value in (*values, *map(_BECH32.index, data)):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return found[0] if check == 1 else b""


def _github(window: bytes) -> bytes:
    """A token of GitHub, whose last six characters are the CRC-32 of the thirty before them in base 62."""
    found = re.match(rb"gh[pousr]_([0-9A-Za-z]{30})([0-9A-Za-z]{6})(?![0-9A-Za-z_])", window)
    if found is None:
        return b""
    left, said = zlib.crc32(found[1]), ""
    for _ in range(6):
        left, digit = divmod(left, 62)
        said = _BASE62[digit] + said
    return found[0] if said.encode() == found[2] else b""


def _aws(window: bytes) -> bytes:
    """An access key's id with a secret key near behind it; the id alone is no secret."""
    found = re.match(rb"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])", window)
    if found is None or found[0].endswith(b"EXAMPLE"):
        return b""
    for secret in _AWS_SECRET.finditer(window, found.end(), found.end() + _AWS_NEAR):
        text = secret[0]
        if re.search(rb"[A-Z]", text) and re.search(rb"[a-z]", text) and re.search(rb"[0-9]", text):
            return found[0] + text
    return b""


def _registry_login(window: bytes) -> bytes:
    """A login of a registry, as clients keep it in config.json: base64 of `name:password`."""
    found = re.match(rb'"auth"\s{0,8}:\s{0,8}"([A-Za-z0-9+/]{8,1000}={0,2})"', window)
    if found is None:
        return b""
    try:
        name, colon, password = base64.b64decode(found[1], validate=True).partition(b":")
        return found[1] if colon and name.decode().isprintable() and password.decode().isprintable() else b""
    except (binascii.Error, UnicodeDecodeError):
        return b""


PRIVATE_KEYS: Final = (
    Form("a private key (PEM)", b"-----BEGIN ", _private_key, is_word=False),
    Form("a private key of PuTTY", b"PuTTY-User-Key-File-", _putty, is_word=False),
    Form("an identity of age", b"AGE-SECRET-KEY-1", _age),
)
TOKENS: Final = (
    Form("an access key of AWS", b"AKIA", _aws),
    Form("an access key of AWS", b"ASIA", _aws),
    *(Form("a token of GitHub", anchor, _github) for anchor in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),
    Form("a token of GitHub", b"github_pat_", _shaped(rb"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}(?![0-9A-Za-z_])")),
    Form("a token of GitLab", b"glpat-", _shaped(rb"glpat-[0-9A-Za-z_-]{20,300}")),
    Form("a token of Slack", b"xox", _shaped(rb"xox[abeoprs]-[0-9A-Za-z]{1,20}-[0-9A-Za-z-]{20,250}")),
    Form("a token of npm", b"npm_", _shaped(rb"npm_[0-9A-Za-z]{36}(?![0-9A-Za-z_])")),
    Form("a token of PyPI", b"pypi-AgE", _shaped(rb"pypi-AgE[0-9A-Za-z_-]{50,1000}")),
    Form("a key of Google's API", b"AIza", _shaped(rb"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])")),
    Form("a key of Azure's storage", b"AccountKey=", _shaped(rb"AccountKey=[0-9A-Za-z+/]{86}==")),
    Form("a live key of Stripe", b"sk_live_", _shaped(rb"sk_live_[0-9A-Za-z]{24,200}")),
    Form("a live key of Stripe", b"rk_live_", _shaped(rb"rk_live_[0-9A-Za-z]{24,200}")),
    Form("a key of SendGrid", b"SG.", _shaped(rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}(?![0-9A-Za-z_-])")),
    Form("a token of Docker Hub", b"dckr_pat_", _shaped(rb"dckr_pat_[0-9A-Za-z_-]{27}(?![0-9A-Za-z_-])")),
    Form("a token of Vault", b"hvs.", _shaped(rb"hvs\.[0-9A-Za-z_-]{90,300}")),
    Form("a token of DigitalOcean", b"dop_v1_", _shaped(rb"dop_v1_[0-9a-f]{64}(?![0-9A-Za-z])")),
    Form("a token of Hugging Face", b"hf_", _shaped(rb"hf_[A-Za-z]{34}(?![0-9A-Za-z_])")),
    Form("a login of a registry", b'"auth"', _registry_login, is_word=False),
)


class Search:
    """Looks for some forms in bytes that come piece by piece: each byte is looked at once, and a window is kept."""

    def __init__(self, forms: tuple[Form, ...]) -> None:
        self._forms = forms
        self._held, self._from = b"", 0

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """What begins in the bytes that are followed by a window: names and secrets."""
        self._held += data
        end = len(self._held) - WINDOW
        if end - self._from < _BATCH:
            return []
        found = self._search(end)
        self._held, self._from = self._held[end - 1 :], 1  # the byte before says whether a word begins
        return found

    def end(self) -> list[tuple[str, bytes]]:
        """What begins in the rest."""
        found = self._search(len(self._held))
        self._held, self._from = b"", 0
        return found

    def _search(self, end: int) -> list[tuple[str, bytes]]:
        """What begins before `end`."""
        held, found = self._held, list[tuple[str, bytes]]()
        for form in self._forms:
            at = held.find(form.anchor, self._from, end + len(form.anchor) - 1)
            while at >= 0:
                if not (form.is_word and at and held[at - 1] in _WORD):
                    secret = form.check(held[at : at + WINDOW])
                    if secret:
                        found.append((form.name, secret))
                at = held.find(form.anchor, at + 1, end + len(form.anchor) - 1)
        return found
