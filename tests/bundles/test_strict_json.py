"""JSON from outside is capped, strict and, where it is signed, canonical."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import strict_json

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-limits.INTEGER, limits.INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


def read(raw: bytes) -> Any:
    return strict_json.loads(raw, ceiling=10_000, nodes=1_000_000, what="document")


@given(documents)
def test_canonical_bytes_read_back_as_the_same_document(document: Any) -> None:
    raw = strict_json.canonical(document)
    assert strict_json.loads_canonical(raw, ceiling=1_000_000, nodes=1_000_000, what="document") == document


@given(documents)
def test_any_other_spelling_of_a_document_is_refused(document: Any) -> None:
    raw = json.dumps(document, indent=1).encode()
    if raw != strict_json.canonical(document):
        with pytest.raises(MalformedError):
            strict_json.loads_canonical(raw, ceiling=1_000_000, nodes=1_000_000, what="document")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_document_or_one_clear_error(raw: bytes) -> None:
    with contextlib.suppress(MalformedError):
        read(raw)


brackets = st.recursive(
    st.text('[]{}":, \\ab', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("[]a", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def nesting(document: Any) -> int:
    if isinstance(document, dict | list):
        parts = list(document.values()) if isinstance(document, dict) else document
        return 1 + max(map(nesting, parts), default=0)
    return 0


@given(brackets)
def test_nesting_is_counted_outside_strings_whatever_they_hold(document: Any) -> None:
    assert strict_json.measure(json.dumps(document).encode(), nodes=10_000, depth=1_000)[1] == nesting(document)


@pytest.mark.parametrize("raw", [b'{"a":1,"a":2}', b'{"x":{"b":1,"b":1}}', b'[{"a":1,"\\u0061":2}]'])
def test_duplicate_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="duplicate JSON key"):
        read(raw)


@pytest.mark.parametrize("raw", [b"1.5", b"1e3", b"[NaN]", b"[Infinity]", b"9007199254740992", b"-9007199254740992"])
def test_numbers_that_readers_disagree_on_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read(raw)


def test_floats_pass_where_a_foreign_format_allows_them() -> None:
    assert strict_json.loads(b'{"a":1.5}', ceiling=100, nodes=1_000_000, what="manifest", floats=True) == {"a": 1.5}


def test_nesting_is_counted_before_parsing() -> None:
    with pytest.raises(MalformedError, match="nested too deep"):
        strict_json.loads(b"[" * 100_000, ceiling=1_000_000, nodes=1_000_000, what="document")
    assert read(b'["' + b"[" * 100 + b'"]') == ["[" * 100]


def test_size_is_checked_before_anything_else() -> None:
    with pytest.raises(MalformedError, match="too large"):
        read(b" " * 10_001)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'"\x00"', b"{}{}", b"nul"])
def test_what_is_not_json_is_named_so(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="document"):
        read(raw)


@pytest.mark.parametrize("raw", [b'"\\ud800"', b'{"\\udfff":1}', b'{"a":["\\ude00\\ud83d"]}'])
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        strict_json.loads_canonical(raw, ceiling=1_000, nodes=1_000_000, what="document")
