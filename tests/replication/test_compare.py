"""The decision about one tag, over its three sides."""

from __future__ import annotations

import pytest

from appliance.limits import replication as limits
from appliance.replication.compare import CONFLICTS, Verdict, compare, too_many_gone

A, B, C = "sha256:a", "sha256:b", "sha256:c"


@pytest.mark.parametrize(
    ("here", "there", "followed", "verdict"),
    [
        ("", A, (), Verdict.FOLLOW),
        (A, A, (), Verdict.EQUAL),
        (A, B, (A,), Verdict.FOLLOW),
        (B, A, (), Verdict.MOVED_BOTH),
        (B, C, (A,), Verdict.MOVED_BOTH),
        (B, A, (A,), Verdict.MOVED_HERE),
        (B, A, (A, B), Verdict.WENT_BACK),
        (B, C, (A, B), Verdict.FOLLOW),
        (A, "", (A,), Verdict.GONE),
        (B, "", (A,), Verdict.MOVED_BOTH),
        ("", A, (A,), Verdict.MOVED_HERE),
        ("", B, (A,), Verdict.MOVED_BOTH),
        ("", "", (A,), Verdict.EQUAL),
        # Its end was followed: it may be made anew at any digest.
        ("", A, (A, B, ""), Verdict.FOLLOW),
        (A, B, (B, "", A), Verdict.FOLLOW),
        (A, B, ("", B, A), Verdict.WENT_BACK),
        ("", "", (A, ""), Verdict.EQUAL),
        (B, A, (A, ""), Verdict.MOVED_BOTH),
    ],
)
def test_a_tag_is_followed_only_from_where_it_was_followed_last(
    here: str, there: str, followed: tuple[str, ...], verdict: Verdict
) -> None:
    assert compare(here, there, followed) == verdict


def test_no_conflict_is_ever_among_what_is_done() -> None:
    assert {*Verdict} - CONFLICTS == {Verdict.EQUAL, Verdict.FOLLOW, Verdict.GONE}


@pytest.mark.parametrize(
    ("gone", "followed", "many"),
    [(0, 0, False), (10, 10, False), (11, 20, True), (100, 1000, False), (101, 1000, True)],
)
def test_a_primary_that_lost_its_content_is_told_from_one_that_deletes(gone: int, followed: int, many: bool) -> None:
    assert too_many_gone(gone, followed, *limits.REPLICA_GONE) is many
