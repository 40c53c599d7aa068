"""The inspection report as officers read it: what decides stands first, names before digests, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.documents.report_changes import paired
from bundles.documents.report_page import lines, page
from bundles.documents.report_parts import Line

WAS, NOW, OTHER = (f"sha256:{digit * 64}" for digit in "123")


def section(inspector: str, outcome: str = "ok", summary: str = "", **details: Any) -> dict[str, Any]:
    return {"inspector": inspector, "outcome": outcome, "summary": summary, "details": details}


def report(*sections: dict[str, Any]) -> dict[str, Any]:
    return {"site": "bravo", "created": "2026-05-04T13:40:59Z", "sections": list(sections)}


def text(*sections: dict[str, Any]) -> list[str]:
    return [line.strip() for line in lines(page(report(*sections)), most=0, folded=True)]


def find(found: tuple[Line, ...], beginning: str) -> Line:
    """The first line of a tree that begins so."""
    for one in found:
        if one.text.startswith(beginning):
            return one
        if below := [line for line in one.below if _holds(line, beginning)]:
            return find(tuple(below), beginning)
    raise AssertionError(beginning)


def _holds(line: Line, beginning: str) -> bool:
    return line.text.startswith(beginning) or any(_holds(one, beginning) for one in line.below)


def test_a_moved_tag_says_old_and_new_digest_and_size_below_its_name() -> None:
    parts = page(
        report(
            section("artifacts", artifacts=[{"repository": "team/app", "tags": ["1"], "digest": NOW, "kind": "image",
                                             "platform": "linux/amd64", "bytes": 12_345_678}]),
            section("changes", "note", moved=[{"reference": "team/app:1", "from": WAS, "to": NOW, "source": "alpha",
                                               "bundle": "alpha.bravo-000006"}]),
            section("differences", moved=[{"reference": "team/app:1", "bytes_before": 9_000_000, "bytes": 12_345_000}]),
        )
    )  # fmt: skip
    tag = find(parts, "moved (1)").below[0]
    assert tag.text == "team/app:1  image, linux/amd64"
    assert [one.text for one in tag.below] == [
        f"was {WAS}, 9.0 MB, put there by alpha.bravo-000006 of alpha",
        f"now {NOW}, 12.3 MB",
    ]


def test_what_the_last_bundle_had_and_this_one_has_not_is_told_as_removed() -> None:
    since = {"bundle": "alpha.bravo-000006", "added": [], "not_carried": [f"team/old@{OTHER}"]}
    removed = find(page(report(section("changes", since=since))), "removed")
    assert removed.outcome == "note"
    assert [one.text for one in removed.below[1:]] == ["team/old"]
    assert removed.below[1].below == (Line(f"digest {OTHER}"),)


def test_findings_stand_by_what_they_weigh_each_kind_with_its_number_and_what_helps() -> None:
    parts = page(
        report(
            section("layers", "fail", setuid=[{"image": "a:1", "layer": WAS, "path": "bin/su"}], setuid_left_out=7,
                    escaping=[{"image": "b:1", "layer": NOW, "path": "../etc", "kind": "name"}]),
            section("signatures", "fail", against_policy=[{"image": "c:1", "rule": 1, "mode": "enforce", "why": "none"},
                                                          {"image": "d:1", "rule": 2, "mode": "warn", "why": "none"}]),
            section("evidence", "fail", unlooked="malformed", required=False),
        )
    )  # fmt: skip
    against, look = find(parts, "Findings that speak"), find(parts, "Findings to look")
    assert [one.text.partition(":")[0] for one in against.below] == [
        "an inspector that could not look (1)", "images that the policy for images refuses (1)", "escaping",
    ]  # fmt: skip
    assert [one.text.partition(":")[0] for one in look.below] == [
        "images that the policy for images warns of (1)",
        "setuid",
    ]
    assert look.below[1].text.endswith("(8)")
    assert all(one.below[0].text.startswith("what helps: ") for one in (*against.below, *look.below))
    assert against.below[2].below[1].text == f"b:1 ../etc name: layer {NOW}"


def test_components_that_only_changed_their_version_are_told_as_updated() -> None:
    updated, added, removed = paired(
        ["libssl3 3.0.15", "new 1", "two 3", "two 4"], ["libssl3 3.0.14", "old 1", "two 2"]
    )
    assert updated == [("libssl3", "3.0.14", "3.0.15")]
    assert (added, removed) == (["new 1", "two 3", "two 4"], ["old 1", "two 2"])


def test_an_unknown_outcome_and_no_section_at_all_are_no_good_news() -> None:
    assert page(report(section("layers", "great")))[0].below[0].outcome == "fail"
    assert page(report(section("layers", "great")))[0].text == "Verdict: 1 fail of 1 section"
    assert page(report())[0].text == "Verdict: no inspector looked"


def test_sboms_are_folded_and_long_lists_say_how_many_more_there_are() -> None:
    carried = [{"kind": "sbom", "subject": WAS, "digest": NOW}]
    setuid = [{"path": f"bin/{number}"} for number in range(50)]
    shown = lines(page(report(section("evidence", carried=carried), section("layers", "note", setuid=setuid))))
    assert "Carried evidence, not counted: folded here" in shown
    assert not [line for line in shown if NOW in line]
    assert sum(line.strip().startswith("bin/") for line in shown) == 39
    assert "and 11 more in the report" in [line.strip() for line in shown]


NAMES = st.sampled_from(
    ["new", "moved", "unchanged", "since", "artifacts", "signers", "says", "carried", "setuid", "unread", "over_cap",
     "against_policy", "signed", "not_counted", "policy", "unlooked", "of_another_source", "reference", "digest",
     "from", "to", "added", "removed", "configuration", "bundle", "source", "image", "other", "setuid_left_out"]
)  # fmt: skip
LEAVES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=8, max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
DETAILS = st.dictionaries(NAMES, VALUES, max_size=5)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["changes", "differences", "layers", "integrity", "evidence", "signatures",
                                           "artifacts", "later"]), DETAILS), max_size=4))  # fmt: skip
def test_nothing_that_an_inspector_said_is_left_out(sections: list[tuple[str, dict[str, Any]]]) -> None:
    shown = "\n".join(text(*(section(name, **details) for name, details in sections)))
    assert [leaf for _, details in sections for leaf in leaves(details) if leaf not in shown] == []
