"""Whether a pattern covers a repository is told in linear time, as a regular expression would tell it."""

from __future__ import annotations

import re
import time
from itertools import product

import pytest

from appliance.patterns import covers
from appliance.permissions import check_pattern


def by_expression(pattern: str) -> re.Pattern[str]:
    """What a pattern means."""
    parts = (".+" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("/"))
    return re.compile("/".join(parts) + r"\Z")


def _patterns(length: int) -> list[str]:
    every = ("".join(letters) for letters in product("a*/", repeat=length))
    return [text for text in every if all(part == "**" or "**" not in part for part in text.split("/"))]


@pytest.mark.parametrize("length", range(1, 7))
def test_every_short_pattern_covers_what_its_regular_expression_does(length: int) -> None:
    names = ["".join(letters) for size in range(1, 7) for letters in product("ab/", repeat=size)][:: max(1, length)]
    for pattern in _patterns(length):
        expression = by_expression(pattern)
        for name in names:
            assert covers(pattern, name) == bool(expression.match(name)), (pattern, name)


HOSTILE = {
    "stars": ("*a" * 127 + "b", "a" * 255),
    "stars in one component": ("a*" * 100 + "b", "ab" * 120 + "c"),
    "components": ("**/" * 84 + "b", "a/" * 127 + "a"),
    "components and stars": ("**/*a*/" * 35 + "b", "a/aa/" * 50 + "c"),
    "stars that fit": ("*a" * 120, "a" * 255),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pattern_made_to_be_slow_is_not(name: str) -> None:
    pattern, repository = HOSTILE[name]
    assert check_pattern(pattern) == pattern
    began = time.process_time()
    for _ in range(20):
        covers(pattern, repository)
    assert time.process_time() - began < 2.0  # a backtracking reader does not end at all
