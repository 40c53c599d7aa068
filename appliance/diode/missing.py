"""Which blocks are missing, as a short code that a person reads off one screen and types at another.

`1-3,17.4KQ7`: ranges of blocks, a dot, and four characters of Crockford's base32 that are made of the transfer and of
the ranges: a code that was mistyped, or is another transfer's, is refused. `all.…` is every block.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from bundles.errors import UsageError

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK: Final = 4
_LENGTH: Final = 60
"""Characters of a code at most: what is more is sent along with its neighbours."""

_CODE: Final = re.compile(r"(all|[0-9]{1,7}(?:-[0-9]{1,7})?(?:,[0-9]{1,7}(?:-[0-9]{1,7})?)*)\.([0-9A-Z]{4})\Z")
_READ: Final = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make_code(transfer: str, blocks: Iterable[int], count: int) -> str:
    """The code of the missing `blocks` of a transfer that has `count`; "" where none is missing."""
    ranges = _ranges(sorted(set(blocks)))
    if not ranges:
        return ""
    while len(text := _write(ranges, count)) > _LENGTH - _CHECK - 1:
        gap = min(range(1, len(ranges)), key=lambda at: ranges[at][0] - ranges[at - 1][1])
        ranges[gap - 1 : gap + 1] = [(ranges[gap - 1][0], ranges[gap][1])]
    return f"{text}.{_check(transfer, text)}"


def read_code(transfer: str, code: str, count: int) -> list[int]:
    """The blocks of a code. Raises UsageError where it is not this transfer's, or mistyped."""
    match = _CODE.match(_upper(code.strip()))
    if match is not None and _check(transfer, match[1]) == match[2].translate(_READ):
        if match[1] == "all":
            return list(range(1, count + 1))
        found: set[int] = set()
        for part in match[1].split(","):
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if not 1 <= low <= high <= count:
                break
            found.update(range(low, high + 1))
        else:
            return sorted(found)
    raise UsageError(
        "not a code of this bundle's missing blocks", thing=repr(code)[:80],
        remedy="type it as the receiving side shows it (lockgate diode list), with the same bundle and the same mtu",
    )  # fmt: skip


def _upper(code: str) -> str:
    ranges, _, check = code.rpartition(".")
    return f"{ranges.lower()}.{check.upper()}"


def _ranges(blocks: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for block in blocks:
        if found and found[-1][1] == block - 1:
            found[-1] = (found[-1][0], block)
        else:
            found.append((block, block))
    return found


def _write(ranges: Sequence[tuple[int, int]], count: int) -> str:
    if list(ranges) == [(1, count)]:
        return "all"
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _check(transfer: str, text: str) -> str:
    number = int.from_bytes(hashlib.sha256(f"{transfer} {text}".encode()).digest()[:4], "big")
    return "".join(_ALPHABET[number >> 5 * at & 31] for at in range(_CHECK))
