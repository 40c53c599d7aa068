"""Which tags are chosen of those that a registry has."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.selecting.selection import ALL, ManyTags, Selection
from bundles.errors import MalformedError, UsageError

SIGNATURE = f"sha256-{'a' * 64}.sig"
TAGS = [
    "latest", "1", "1.26", "1.26.2", "1.26.2-alpine", "1.27", "1.27.0", "1.27.1", "1.27.1-alpine", "1.27-alpine",
    "1.28.0-rc1", "1.27.0-debug", "1.27.1-alpine3.20", "2.0.0", SIGNATURE,
]  # fmt: skip


def chosen(pattern: str, **fields: Any) -> list[str]:
    return [one.tag for one in Selection.of(fields).choose(pattern, TAGS, "team/app").chosen]


def test_a_pattern_takes_what_it_covers_and_never_what_is_attached() -> None:
    assert chosen("*") == sorted(set(TAGS) - {SIGNATURE})
    assert chosen("1.26*") == ["1.26", "1.26.2", "1.26.2-alpine"]
    assert chosen("*", exclude=["1*", "late*"]) == ["2.0.0"]
    choice = ALL.choose("1.26*", TAGS, "app")
    assert (choice.looked_at, dict(choice.left)) == (15, {"attached": 1, "pattern": 11})


def test_a_range_takes_plain_versions_and_of_a_variant_that_one_alone() -> None:
    assert chosen("*", range=">=1.27 <2") == ["1.27.1", "1.27.0", "1.27"]
    assert chosen("*", range=">=1.20 <2", variant="alpine") == ["1.27.1-alpine", "1.27-alpine", "1.26.2-alpine"]
    assert chosen("*", variant="alpine*", newest=1) == ["1.27.1-alpine", "1.27.1-alpine3.20"]
    assert chosen("*", range=">=1.28.0-rc1 <2") == ["1.28.0-rc1"]


def test_the_newest_go_by_version_and_not_by_name() -> None:
    tags = ["1.9.0", "1.10.0", "1.10", "0.100.0", "1.11.0-rc.1"]
    choice = Selection.of({"newest": 2}).choose("*", tags, "app")
    assert [one.tag for one in choice.chosen] == ["1.10.0", "1.10"]
    assert choice.left == {"range": 1, "older": 2}
    assert choice.chosen[0].why == "version 1.10.0, newest 1 of 2"


def test_dates_choose_among_what_is_left_the_latest_first() -> None:
    selection = Selection.of({"created_since": "2026-01-02", "latest": 2, "exclude": ["x"]})
    choice = selection.choose("*", ["a", "b", "c", "d", "e", "x"], "app")
    made = {"a": "2026-01-02T00:00:00Z", "b": "2026-03-01T00:00:00Z", "c": None, "d": "2026-01-01T23:59:59Z",
            "e": "2026-02-01T00:00:00Z"}  # fmt: skip
    dated = selection.choose_dated(choice, made)
    assert [one.tag for one in dated.chosen] == ["b", "e"]
    assert dated.left == {"excluded": 1, "undated": 1, "before": 1, "older": 1}
    assert dated.chosen[0].why == "matches *, made 2026-03-01T00:00:00Z"
    assert selection.to_json() == {"created_since": "2026-01-02T00:00:00Z", "latest": 2, "exclude": ["x"]}


def test_a_tag_that_is_listed_twice_is_chosen_once() -> None:
    assert [one.tag for one in ALL.choose("*", ["a", "b", "a"], "app").chosen] == ["a", "b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"exclude": "x"}, {"exclude": [1]}, {"exclude": ["a b"]}, {"exclude": ["Team:1"]},
        {"exclude": ["team/app"]}, {"exclude": ["a"] * 101}, {"range": "newest"},
        {"range": 1}, {"variant": ""}, {"variant": "a/b"}, {"newest": 0}, {"newest": True}, {"newest": "3"},
        {"newest": 2001}, {"latest": 0}, {"latest": True}, {"created_since": 2026}, {"created_since": "2026-02-30"},
        {"created_since": "yesterday"}, {"created_since": "2026-01-01T00:00:00+01:00"},
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as wrong:
        Selection.of(fields)
    assert wrong.value.thing.startswith(f"{next(iter(fields))}: ")
    assert wrong.value.remedy


def test_a_selection_is_read_as_it_is_written() -> None:
    fields = {"exclude": ["*-debug"], "range": "^1", "variant": "alpine", "newest": 3}
    assert Selection.of(fields).to_json() == fields
    assert ALL.to_json() == {}
    with pytest.raises(UsageError, match="no such key"):
        Selection.of({"older": 1})


def test_many_tags_are_a_host_a_repository_and_a_pattern() -> None:
    for text in ("docker://h.example:5000/team/app:1.*", "h.example:5000/team/app:1.*"):
        assert ManyTags.parse(text) == ManyTags("h.example:5000", "team/app", "1.*")
    for text in ("app:*", "h.example/app", "h.example/**", f"h.example/app:*@sha256:{'a' * 64}", "h.example/App:*",
                 "h.example/app:a b*", "h.example:5000/*/app", "h.example/a**:*"):  # fmt: skip
        with pytest.raises(MalformedError) as wrong:
            ManyTags.parse(text)
        assert "HOST/REPO:PATTERN" in wrong.value.remedy


def test_many_repositories_are_a_pattern_and_keep_their_names_below_another_one() -> None:
    many = ManyTags.parse("h.example/team/**:1.*")
    assert [name for name in ("team", "team/a", "team/a/b", "other") if many.covers(name)] == ["team/a", "team/a/b"]
    for below in (None, "mirror"):
        here = many.local("team/a/b", below)
        assert here == ("team/a/b" if below is None else "mirror/team/a/b")
        assert many.remote(here, below) == "team/a/b"
    one = ManyTags.parse("h.example/team/a:*")
    assert (one.local("team/a", "mirror"), one.remote("mirror", "mirror")) == ("mirror", "team/a")
    assert ManyTags.parse("h.example/**:*").covers("any")


def test_an_exclusion_may_be_of_some_repositories() -> None:
    selection = Selection.of({"exclude": ["team/old/**:*", "team/app:1.*", "latest"]})
    for repository, left in (("team/app", ["2"]), ("team/other", ["1.0", "2"]), ("team/old/x", [])):
        chosen = selection.choose("*", ["1.0", "2", "latest"], repository).chosen
        assert [one.tag for one in chosen] == left
