"""Ranges are what RFC 9110 says, for any header and any size."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.registry.conditional import Span, UnsatisfiableError, etag, etags, matches, parse_range
from bundles.oci.digest import Digest

DIGEST = Digest.of(b"")
sizes = st.integers(0, 10_000)


@given(st.integers(0, 12_000), st.integers(0, 12_000), sizes)
def test_a_span_is_the_slice_it_names(first: int, last: int, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    try:
        span = parse_range(f"bytes={first}-{last}", None, DIGEST, size)
    except UnsatisfiableError:
        assert content[first : last + 1] == b""
    else:
        assert span is not None
        assert content[span.start : span.start + span.length] == content[first : last + 1]


@given(st.integers(0, 12_000), sizes)
def test_a_suffix_is_the_end(length: int, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    try:
        span = parse_range(f"bytes=-{length}", None, DIGEST, size)
    except UnsatisfiableError:
        assert length == 0 or size == 0
    else:
        assert span is not None
        assert content[span.start :] == content[max(size - length, 0) :]
        assert span.length == len(content[span.start :])


@given(st.text(max_size=40), sizes)
def test_any_header_gives_a_span_inside_or_none_or_416(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        with contextlib.suppress(UnsatisfiableError):
            span = parse_range(text, None, DIGEST, size)
            assert span is None or 0 <= span.start < span.start + span.length <= size


def test_a_range_counts_only_for_the_bytes_it_was_asked_of() -> None:
    assert parse_range("bytes=1-", etag(DIGEST), DIGEST, 10) == Span(1, 9)
    assert parse_range("bytes=1-", etag(Digest.of(b"x")), DIGEST, 10) is None
    assert parse_range("bytes=1-", "Tue, 24 Nov 2026 13:00:00 GMT", DIGEST, 10) is None


@pytest.mark.parametrize(
    ("header", "values"),
    [('"a"', ("a",)), ('W/"a", "b"', ("a", "b")), ("*", ("*",)), ("", ()), (" , ,", ()), ("a,b", ("a", "b"))],
)
def test_entity_tags_are_read_with_and_without_quotes(header: str, values: tuple[str, ...]) -> None:
    assert etags(header) == values


@given(st.text(max_size=100))
def test_any_header_of_entity_tags_is_read(header: str) -> None:
    assert matches(header, DIGEST) is (str(DIGEST) in etags(header) or "*" in etags(header))
