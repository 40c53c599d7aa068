"""The page that people sign shows digests whole."""

from __future__ import annotations

import pytest

from bundles.errors import RefusedError
from bundles.verifier.examine import Findings
from bundles.verifier.report import page

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("error", [None, RefusedError("no such bundle", thing=DIGEST, remedy="look again")])
def test_every_digest_stands_whole_on_a_line_of_the_page(error: RefusedError | None) -> None:
    lines = page(Findings("bravo", "2026-06-01T12:00:00Z", digest=DIGEST, error=error), "a tool").splitlines()
    assert sum(DIGEST in line for line in lines) == (1 if error is None else 2)
    assert max(map(len, lines)) <= 78


def test_a_long_line_is_folded_and_not_cut_off() -> None:
    tool = "tool " + "x" * 100 + " end"
    text = page(Findings("bravo", "2026-06-01T12:00:00Z", digest=DIGEST), tool)
    assert text.replace("\n    ", "").count("x" * 100 + " end") == 1


def test_what_goes_on_does_not_begin_a_line_of_the_pages_own() -> None:
    tool = "x" * (78 - len("Verified    2026-06-01T12:00:00Z with ")) + "VERDICT     OK"
    lines = page(Findings("bravo", "2026-06-01T12:00:00Z", digest=DIGEST), tool).splitlines()
    assert sum(line.startswith("VERDICT") for line in lines) == 1
