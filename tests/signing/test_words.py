"""Fingerprints as words: whole, reversible, and wrong places heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles.signing import fingerprint_words


@given(st.binary(min_size=32, max_size=32))
def test_words_say_every_bit_of_a_fingerprint(raw: bytes) -> None:
    spoken = fingerprint_words.spoken(raw.hex())
    assert len(fingerprint_words.words_of(raw.hex())) == 32
    assert (
        fingerprint_words.fingerprint_of(spoken)
        == fingerprint_words.fingerprint_of(spoken.upper().replace(",", ""))
        == raw.hex()
    )


def test_the_lists_are_of_256_distinct_plain_words_none_in_both() -> None:
    even = fingerprint_words.words_of("".join(f"{n:02x}00" for n in range(256)))[::2]
    odd = fingerprint_words.words_of("".join(f"00{n:02x}" for n in range(256)))[1::2]
    assert len({*even, *odd}) == 512
    assert all(word.isascii() and word.isalpha() and word.islower() and 4 <= len(word) <= 9 for word in even + odd)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 30))
def test_two_words_in_the_wrong_order_are_noticed(raw: bytes, place: int) -> None:
    said = list(fingerprint_words.words_of(raw.hex()))
    said[place], said[place + 1] = said[place + 1], said[place]
    with pytest.raises(ValueError, match=f"word {place + 1} is not"):
        fingerprint_words.fingerprint_of(" ".join(said))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 30))
def test_a_word_left_out_is_noticed(raw: bytes, place: int) -> None:
    said = list(fingerprint_words.words_of(raw.hex()))
    del said[place]
    with pytest.raises(ValueError, match=f"word {place + 1} is not"):
        fingerprint_words.fingerprint_of(" ".join(said))
