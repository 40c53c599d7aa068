"""One person has one name, however it is spelt, and what nobody sees is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles.display import safe
from bundles.people import person

UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180f"
    "\u200b\u202e\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U0001d159\U0001d173\U000e0100\U000e01ef"
)


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda letter: f"{ord(letter):04x}")
def test_a_character_that_nobody_sees_makes_no_second_person_and_is_shown(unseen: str) -> None:
    assert person(f"An{unseen}na Berg") == person("Anna Berg")
    assert unseen not in safe(f"An{unseen}na Berg")


@pytest.mark.parametrize("name", ["Ａnna Berg", "ANNA  BERG", " anna\u00a0berg ", "ａｎｎａ berg"])
def test_width_case_and_spaces_make_no_second_person(name: str) -> None:
    assert person(name) == person("Anna Berg")


@given(st.text())
def test_the_compared_form_is_its_own(name: str) -> None:
    assert person(person(name)) == person(name)
