"""No bytes make a parser raise anything but its refusal, and none are taken that would be written otherwise."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.fuzz.engine import budget, fuzz
from tests.fuzz.targets import PARSERS, Parser

SHORT, LONG = 6.0, 600.0
"""Seconds: a glance with every change, and a search in `make test-long`."""


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_the_corpus_is_read_as_it_should(parser: Parser) -> None:
    corpus = parser.corpus()
    assert len(corpus) >= 8
    for data in [*corpus, *parser.seeds()]:
        parser.read(data)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_survives_a_glance(parser: Parser) -> None:
    tried, _ = fuzz(parser.read, [*parser.seeds(), *parser.corpus()], parser.modules, SHORT, 1)
    assert tried > 0


@pytest.mark.long
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_survives_a_search(parser: Parser) -> None:
    tried, _ = fuzz(parser.read, [*parser.seeds(), *parser.corpus()], parser.modules, LONG, 2)
    assert tried > 0


def _spin(data: bytes) -> None:
    while data[:1] == b"a":
        pass


def _backtrack(data: bytes) -> None:
    re.match(rb"(?:a|a)*b", data[:1] + b"a" * 40)


@pytest.mark.parametrize("hang", [_spin, _backtrack])
def test_the_fuzzer_ends_and_names_an_input_that_takes_too_long(hang: Callable[[bytes], None]) -> None:
    with pytest.raises(AssertionError, match=r"SlowError: .* processor time; the input is 61"):
        fuzz(hang, [b"xb", b"ab"], ("test_fuzz.py",), 10.0, 3, each=0.2)


def test_a_step_that_cannot_be_interrupted_is_found_when_it_ends() -> None:
    with pytest.raises(AssertionError, match="SlowError"):
        fuzz(lambda data: sum(bytes(len(data) << 23)) and None, [b"abcd"], ("test_fuzz.py",), 1.0, 3, each=0.01)


def test_a_budget_that_was_kept_ends_with_its_input() -> None:
    with budget(0.05):
        pass
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass


def test_the_fuzzer_finds_what_is_wrong() -> None:
    def careless(data: bytes) -> None:
        if data[:1] == b"a" and data[1:2] == b"b":
            raise IndexError("a careless parser")

    with pytest.raises(AssertionError, match="IndexError: a careless parser"):
        fuzz(careless, [b"aa", b"xb"], ("test_fuzz.py",), 10.0, 3)
