"""No bytes make a parser raise anything but its refusal, and none are taken that would be written otherwise."""

from __future__ import annotations

import pytest

from tests.fuzz.engine import fuzz
from tests.fuzz.targets import PARSERS, Parser

SHORT, LONG = 20.0, 600.0


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_the_corpus_is_read_as_it_should(parser: Parser) -> None:
    corpus = parser.corpus()
    assert len(corpus) >= 8
    for data in [*corpus, *parser.seeds()]:
        parser.read(data)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_survives_twenty_seconds(parser: Parser) -> None:
    tried, _ = fuzz(parser.read, [*parser.seeds(), *parser.corpus()], parser.modules, SHORT, 1)
    assert tried > 0


@pytest.mark.long
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_survives_ten_minutes(parser: Parser) -> None:
    tried, _ = fuzz(parser.read, [*parser.seeds(), *parser.corpus()], parser.modules, LONG, 2)
    assert tried > 0


def test_the_fuzzer_finds_what_is_wrong() -> None:
    def careless(data: bytes) -> None:
        if data[:1] == b"a" and data[1:2] == b"b":
            raise IndexError("a careless parser")

    with pytest.raises(AssertionError, match="IndexError: a careless parser"):
        fuzz(careless, [b"aa", b"xb"], ("test_fuzz.py",), 10.0, 3)
