"""A secret in shares, some of which together give it back (Shamir, "How to share a secret", 1979), byte by byte over
GF(2^8) with AES's polynomial (FIPS 197, section 4.2).

Fewer shares than needed say nothing about the secret. A check value stands beside it: a share that was typed wrong is
found before a key is opened with it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles.errors import MalformedError, UsageError
from bundles.io.display import some

SECRET: Final = 32
MOST: Final = 16
"""Shares of one secret: people who each keep one."""
_POLYNOMIAL: Final = 0x11B
_CHECK: Final = 4
_LINE: Final = re.compile(r"lockgate-share (\d{1,2}) of (\d{1,2}), (\d{1,2}) needed: ([0-9a-f]{64}) ([0-9a-f]{8})\Z")


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` of `count`, of which `needed` give the secret back; `check` begins the secret's sha256."""

    number: int
    count: int
    needed: int
    value: bytes
    check: bytes

    def render(self) -> str:
        """One line for a person to keep."""
        return (
            f"lockgate-share {self.number} of {self.count}, {self.needed} needed: {self.value.hex()} {self.check.hex()}"
        )


def parse(text: str) -> Share:
    """A share's line. Raises MalformedError."""
    match = _LINE.match(text.strip())
    if match is None:
        raise MalformedError("not a share", thing=repr(text)[:60], remedy="give the line that the escrow printed")
    number, count, needed = (int(match[place]) for place in (1, 2, 3))
    if not 1 <= number <= count <= MOST or not 2 <= needed <= count:
        raise MalformedError("a share of an impossible number", thing=f"{number} of {count}, {needed} needed")
    return Share(number, count, needed, bytes.fromhex(match[4]), bytes.fromhex(match[5]))


def split(secret: bytes, count: int, needed: int) -> tuple[Share, ...]:
    """`count` shares of a secret of 32 bytes. Raises UsageError for impossible numbers."""
    if len(secret) != SECRET or not 2 <= needed <= count <= MOST:
        raise UsageError(
            "an escrow takes 2 or more of at most 16 shares",
            thing=f"{needed} of {count}",
            remedy="say --needed, --shares",
        )
    lines = [[byte, *secrets.token_bytes(needed - 1)] for byte in secret]
    check = hashlib.sha256(secret).digest()[:_CHECK]
    return tuple(Share(x, count, needed, bytes(_value(line, x) for line in lines), check) for x in range(1, count + 1))


def join(shares: Sequence[Share]) -> bytes:
    """The secret. Raises UsageError: too few shares, one twice, of two escrows, or one that is wrong."""
    if not shares:
        raise UsageError("no share was given", remedy="give each with --share FILE")
    first = shares[0]
    if len({(share.count, share.needed, share.check) for share in shares}) != 1:
        raise UsageError("the shares are not of one escrow", remedy="compare their last eight digits")
    if len({share.number for share in shares}) != len(shares):
        raise UsageError("a share was given twice", remedy="give different ones")
    if len(shares) < first.needed:
        raise UsageError(f"{len(shares)} of {some(first.needed, 'share')}", remedy="bring the others together")
    used = shares[: first.needed]
    secret = bytes(_at_zero([(share.number, share.value[place]) for share in used]) for place in range(SECRET))
    if hashlib.sha256(secret).digest()[:_CHECK] != first.check:
        raise UsageError("a share is wrong", remedy="compare each with its paper, and type it again")
    return secret


def _multiply(one: int, two: int) -> int:
    product = 0
    while two:
        if two & 1:
            product ^= one
        one <<= 1
        if one & 0x100:
            one ^= _POLYNOMIAL
        two >>= 1
    return product


def _inverse(number: int) -> int:
    result = 1
    for _ in range(254):
        result = _multiply(result, number)
    return result


def _value(coefficients: Sequence[int], x: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = _multiply(total, x) ^ coefficient
    return total


def _at_zero(points: Sequence[tuple[int, int]]) -> int:
    """Lagrange's interpolation at 0."""
    total = 0
    for x, y in points:
        term = y
        for other, _ in points:
            if other != x:
                term = _multiply(term, _multiply(other, _inverse(other ^ x)))
        total ^= term
    return total
