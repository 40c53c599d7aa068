"""Untrusted text is shown escaped, and every error is one line that crosses a process boundary unharmed."""

from __future__ import annotations

import ast
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.api.errors import LOG_IN_CODES, LOST_CODES
from bundles import errors
from bundles.io.display import safe, some

TREE = Path(__file__).parents[2]


@given(st.text())
def test_nothing_shown_can_steer_a_terminal(text: str) -> None:
    for character in safe(text):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(), st.text())
def test_texts_that_differ_look_different(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alpine:3.20", "alpine:3.20"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\nbreak", "line\\x0abreak"),
        ("back\\slash", "back\\\\slash"),
        ("Größe", "Größe"),
    ],
)
def test_hidden_characters_become_visible_escapes(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert safe("abcdefgh", width=5) == "abcd…"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (some(0, "blob"), "0 blobs"),
        (some(1, "blob"), "1 blob"),
        (some(2, "repository", "repositories"), "2 repositories"),
        (some(1, "blob is", "blobs are"), "1 blob is"),
    ],
)
def test_a_number_of_things_is_in_the_right_number(told: str, shown: str) -> None:
    assert told == shown


COUNTED = re.compile(
    r" (volumes|artifacts|blobs|bundles|links|tags|files|media|keys|events|findings|days|repositories|manifests|SBOMs"
    r"|jobs|rows|layers|images|segments|checkpoints|components|blocks|signatures|lanes|attestations|streams|entries)\b"
)


def test_no_text_puts_a_number_before_a_plural_by_itself() -> None:
    """A ceiling is never one; everything else goes through `some`, or the console's `count`."""
    found = []
    for path in (path for package in ("appliance", "bundles", "tui") for path in (TREE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            values = node.values if isinstance(node, ast.JoinedStr) else []
            for value, text in pairwise(values):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    what = ast.unparse(value.value)
                    if COUNTED.match(str(text.value)) and not re.search(r"limits\.|^most$", what):
                        found.append(f"{path.relative_to(TREE)}:{node.lineno}: {what}{text.value}")
    assert found == []


@pytest.mark.parametrize("cls", errors.ERRORS_BY_NAME.values())
def test_an_error_survives_the_wire(cls: type[errors.LockgateError]) -> None:
    error = cls("it happened", thing="to this", remedy="do that")
    back = errors.from_wire(errors.to_wire(error))
    assert type(back) is cls
    assert back.diagnostics() == "it happened: to this; do that"
    assert back.exit_status == error.exit_status
    assert back.code == error.code == cls.kind_code
    assert errors.from_wire(errors.to_wire(cls("it happened", code="so-it-was"))).code == "so-it-was"


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    codes = [cls.kind_code for cls in errors.ERRORS_BY_NAME.values()]
    assert len(set(codes)) == len(codes)
    assert not set(codes) & {*errors.LEDGER_CODES, *LOG_IN_CODES, *LOST_CODES}


def test_an_unknown_error_from_the_wire_is_a_failure() -> None:
    assert errors.from_wire({"error": "Strange", "what": "x"}).exit_status == errors.EXIT_FAILED
