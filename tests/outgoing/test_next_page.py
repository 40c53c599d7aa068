"""The `Link` header of a list's pages (RFC 8288), as registries write it and as a hostile one might."""

from __future__ import annotations

import pytest

from appliance.outgoing.collect.next_page import next_page


@pytest.mark.parametrize(
    "header",
    [
        '</v2/a/tags/list?last=b&n=2>; rel="next"', "</v2/a/tags/list?last=b&n=2>;rel=next",
        '</v2/a/tags/list?last=b&n=2> ; REL = "NEXT"', '</v2/a/tags/list?last=b&n=2>; rel="prefetch next"',
        '</first>; rel="first", </v2/a/tags/list?last=b&n=2>; rel="next"',
        '</v2/a/tags/list?last=b&n=2>; title="a, \\"b\\"; rel=last"; rel="next"',
        '</v2/a/tags/list?last=b&n=2>; rel="next", </other>; rel="next"',
        '</v2/a/tags/list?last=b&n=2>; rel="next"; rel="last"',
    ],
)  # fmt: skip
def test_the_next_page_is_found(header: str) -> None:
    assert next_page(header) == "/v2/a/tags/list?last=b&n=2"


@pytest.mark.parametrize(
    "header",
    [
        "", "<", "</a", "</a>", "</a>; rel", "</a>; rel=", '</a>; rel="last"', '</a>; rel="last"; rel="next"',
        '</a>; title="rel=next"', '</a>; rel="next', "rel=next", '</a>; title="; rel=next, <b>; rel=next',
    ],
)  # fmt: skip
def test_what_names_no_next_page_names_none(header: str) -> None:
    assert next_page(header) == ""
