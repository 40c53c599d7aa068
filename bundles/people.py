"""One person under one name: the forms in which names are compared, and the characters that nobody sees.

The tables are Unicode 15.0's: Default_Ignorable_Code_Point of the Unicode Character Database
(DerivedCoreProperties.txt) with two characters beside it that are drawn as nothing, and the confusables of Unicode
Technical Standard 39 (`bundles/unicode`, with the licence; made by `packaging/unicode-tables`).

Looking alike is no equivalence: `ELIA` is Elia, and looks like `Ella` in a small I's place, but Elia is not Ella. So a
name has several forms, and two names are one person's where they share one (docs/adr/0011-one-person.md).
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Final

_IGNORABLE: Final = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_BLANK: Final = frozenset({0x2800, 0x1D159})
"""The blank Braille pattern and the null notehead."""
_WIDE_BLANKS: Final = dict.fromkeys((0x2800, 0x1D159, 0x115F, 0x1160, 0x3164, 0xFFA0), " ")
"""Characters that nobody sees and that take a letter's room: they look like a space."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE: Final = _BLANK | {code for first, last in _IGNORABLE for code in range(first, last + 1)}
_ROUNDS: Final = 8
"""How often a name is folded and mapped until nothing changes; no character of the tables needs more than three."""


def is_unseen(letter: str) -> bool:
    """Whether a character is drawn as nothing: ignorable, blank, a control, or unassigned."""
    return ord(letter) in _INVISIBLE or unicodedata.category(letter) in _UNSEEN


@functools.lru_cache(maxsize=4096)
def forms(name: str) -> frozenset[str]:
    """The forms that a name is compared in: without what case, width, spaces and unseen characters make of it, each
    letter as its prototype (UTS #39, section 4, skeleton). Who shares one of them is the same person.

    Letters are compared in small letters, in capitals, and as they are written: a capital Nu is an N, a small one a v.
    """
    spaced = name.translate(_WIDE_BLANKS)
    plain = _plain(name)
    written = _skeleton(_seen(_skeleton(name)))  # before and after NFKC, which takes some characters apart
    found = frozenset({_settled(plain), _settled(written), _seen(_skeleton(plain.upper()))})
    return found if spaced == name else found | forms(spaced)


def person(name: str) -> str:
    """A name's form in small letters, for a person to read. The same for its own result. Two names that do not share
    it may be one person's all the same (`forms`)."""
    return _settled(_plain(name))


def is_same(one: str, other: str) -> bool:
    """Whether two names are one person's."""
    return not forms(one).isdisjoint(forms(other))


def gather(known: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Each person once, with the forms of all their names; who shares one with somebody is the same person."""
    people: list[frozenset[str]] = []
    for names in known:
        same = [one for one in people if one & names]
        people = [one for one in people if not one & names]
        people.append(names.union(*same))
    return people


def count(names: Iterable[str]) -> int:
    """How many people some names are."""
    return len(gather(forms(name) for name in names))


def _seen(name: str) -> str:
    """A name without what nobody sees, in one width and with single spaces."""
    words = unicodedata.normalize("NFKC", name).split()
    return " ".join(" ".join("".join(letter for letter in word if not is_unseen(letter)) for word in words).split())


def _plain(name: str) -> str:
    """A name without what spelling may differ in: case, width, spaces, and what nobody sees."""
    return _seen(_seen(name).casefold()).casefold()


def _settled(name: str) -> str:
    """A plain name with its letters as their prototypes. A prototype may be a capital, and is folded in turn."""
    name = _plain(name)
    for _ in range(_ROUNDS):
        mapped = _plain(_skeleton(name))
        if mapped == name:
            break
        name = mapped
    return name


def _skeleton(name: str) -> str:
    prototypes = _prototypes()
    mapped = "".join(prototypes.get(letter, letter) for letter in unicodedata.normalize("NFD", name))
    return unicodedata.normalize("NFC", mapped)


@functools.cache
def _prototypes() -> Mapping[str, str]:
    """What each confusable character stands for."""
    return {source: target for target, sources in _table() for source in sources}


def _table() -> Iterator[tuple[str, str]]:
    text = (files("bundles") / "unicode" / "confusables.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            target, _, sources = line.partition(";")
            yield _characters(target), _characters(sources)


def _characters(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split())
