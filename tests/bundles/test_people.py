"""One person has one name, however it is spelt or drawn, and what nobody sees is shown."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import people
from bundles.io.display import safe
from bundles.people import count, forms, gather, is_same, is_unseen, person

IGNORABLE = Path(__file__).with_name("default_ignorable.txt")
UNSEEN = [
    "\u00ad", "\u034f", "\u115f", "\u17b4", "\u180b", "\u200b", "\u2060", "\u2800", "\u3164", "\ufe0f", "\uffa0",
    "\U0001bca0", "\U0001d159", "\U0001d173", "\U000e0001", "\U000e0100",
]  # fmt: skip


@pytest.mark.parametrize("unseen", UNSEEN, ids=[f"U+{ord(letter):04X}" for letter in UNSEEN])
def test_what_nobody_sees_makes_no_second_person_and_is_shown(unseen: str) -> None:
    assert person(f"An{unseen}na Berg") == person("Anna Berg")
    assert is_same(f"An{unseen}na Berg", "Anna Berg")
    assert unseen not in safe(f"An{unseen}na Berg")


@pytest.mark.parametrize("name", ["Ａnna Berg", "ANNA  BERG", " anna\u00a0berg ", "ａｎｎａ berg"])
def test_width_case_and_spaces_make_no_second_person(name: str) -> None:
    assert person(name) == person("Anna Berg")
    assert is_same(name, "Anna Berg")


ALIKE = {
    "a Cyrillic a": ("Аnna Berg", "Anna Berg"),
    "a small Cyrillic a": ("Annа Berg", "Anna Berg"),
    "a Greek Alpha": ("Αnna Berg", "Anna Berg"),
    "a Greek Nu": ("Νina", "Nina"),
    "Greek capitals": ("ΝΙΝΑ", "Nina"),
    "a Cyrillic word": ("Расе", "Pace"),
    "a capital I for an l": ("AIan", "Alan"),
    "an l for a capital I": ("lvan", "Ivan"),
    "an l for a capital I in capitals": ("lVAN", "Ivan"),
    "digits": ("ann0 1", "anno l"),
    "r and n": ("Ernma", "Emma"),
    "mathematical letters": ("𝐀nna", "Anna"),
    "a Roman numeral": ("ⅼisa", "Lisa"),
    "another apostrophe": ("O\u2019Brien", "O'Brien"),
    "another hyphen": ("Anna\u2010Maria", "Anna-Maria"),
    "a Cherokee letter": ("Ꭺnna", "Anna"),
    "two ways to write an accent": ("Jos\u00e9", "Jose\u0301"),
    "an Armenian letter": ("Օtto", "Otto"),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_name_that_looks_like_another_is_the_same_person(name: str) -> None:
    one, other = ALIKE[name]
    assert is_same(one, other)
    assert is_same(one.upper(), one)
    assert count([one, other, other.upper()]) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("Anna Berg", "Hanna Berg"), ("Elia Berg", "Ella Berg"), ("Nina", "Vina"), ("Jan", "Jav"), ("Mary", "Maru"),
        ("Müller", "Muller"), ("Zoë", "Zoe"), ("Rolf", "Ralf"), ("Анна", "Нина"), ("Νίκος", "Νίκη"), ("山本", "山木"),
    ],
)  # fmt: skip
def test_names_that_a_reader_tells_apart_are_two_people(names: tuple[str, str]) -> None:
    assert not is_same(*names)
    assert count(names) == 2


def test_a_name_that_is_like_two_makes_them_one_person() -> None:
    assert count(["Elia", "Ella"]) == 2
    assert count(["Elia", "Ella", "ELIA"]) == 1
    assert len(gather([forms("Elia"), forms("Rolf"), forms("Ella"), forms("ELIA")])) == 2


@given(st.text())
def test_the_compared_form_is_its_own(name: str) -> None:
    assert person(person(name)) == person(name)
    assert is_same(person(name), name)


@given(st.text(), st.text())
def test_being_the_same_goes_both_ways(one: str, other: str) -> None:
    assert is_same(one, one)
    assert is_same(one, other) == is_same(other, one)


def test_every_character_of_the_table_is_the_same_as_its_prototype() -> None:
    table = people._prototypes()
    assert len(table) > 6_000
    for source, target in table.items():
        if any(map(is_unseen, source + target)) or unicodedata.normalize("NFD", source) != source:
            continue  # UTS #39 looks a character up by its parts
        assert is_same(f"x{source}x", f"x{target}x"), ascii(source)
        assert person(person(source)) == person(source)


def _ranges() -> set[int]:
    found: set[int] = set()
    for line in IGNORABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            first, _, last = line.partition("..")
            found |= set(range(int(first, 16), int(last or first, 16) + 1))
    return found


def test_the_ignorable_characters_are_those_of_unicodes_own_file() -> None:
    assert _ranges() == people._INVISIBLE - people._BLANK


def test_every_format_character_is_unseen_and_letters_and_marks_are_not() -> None:
    for code in (*range(0x30000), *range(0xE0000, 0xE1000)):
        category = unicodedata.category(chr(code))
        if category == "Cf" or code in people._INVISIBLE:
            assert is_unseen(chr(code)), hex(code)
        elif category[0] in "LMNPS":
            assert not is_unseen(chr(code)), hex(code)


def test_the_tables_say_their_version_and_licence() -> None:
    folder = Path(people.__file__).parent / "unicode"
    assert "Unicode 15.0.0" in (folder / "confusables.txt").read_text(encoding="utf-8").splitlines()[0]
    assert "Unicode 15.0.0" in IGNORABLE.read_text(encoding="utf-8").splitlines()[0]
    assert "UNICODE, INC. LICENSE AGREEMENT" in (folder / "LICENSE").read_text(encoding="utf-8")
