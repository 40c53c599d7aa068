"""One person under one name: the form in which two names are compared, and the characters that nobody sees.

The table is Default_Ignorable_Code_Point of the Unicode Character Database 15.0 (DerivedCoreProperties.txt, Unicode
License V3), and the characters beside it that are drawn as nothing: the blank Braille pattern and the null notehead.
Letters that look alike are `bundles.signing.policy.check_owner`'s business: a name that mixes alphabets is not pinned.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_IGNORABLE: Final = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_BLANK: Final = frozenset({0x2800, 0x1D159})
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE: Final = _BLANK | {code for first, last in _IGNORABLE for code in range(first, last + 1)}


def is_unseen(letter: str) -> bool:
    """Whether a character is drawn as nothing: ignorable, blank, a control, or unassigned."""
    return ord(letter) in _INVISIBLE or unicodedata.category(letter) in _UNSEEN


def person(name: str) -> str:
    """A name without what spelling may differ in: case, width, spaces, and what nobody sees. The same for its own
    result."""
    words = unicodedata.normalize("NFKC", name).casefold().split()
    seen = ("".join(letter for letter in word if not is_unseen(letter)) for word in words)
    return " ".join(unicodedata.normalize("NFKC", " ".join(seen)).casefold().split())
