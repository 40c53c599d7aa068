"""A station follows another one: two stores and the registry between them, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.audit.acts import Act
from appliance.audit.reading import tail
from appliance.limits import collecting as collecting_limits
from appliance.limits import replication as limits
from appliance.limits import store as store_limits
from appliance.store.writes.registry import PutTag
from appliance.store.writes.write import under_event
from bundles.errors import CancelledError, FailedError, MalformedError, RefusedError, UsageError
from tests.control.test_recorded_first import FullLog
from tests.outgoing.outside import Outside, PowerCut
from tests.registry_server import Server, Store
from tests.replication.following import NAME, Follower, push, push_index, size_of


@dataclass
class Pair:
    primary: Server
    follower: Follower
    store: Store


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "primary").mkdir()
    with Store(tmp_path / "primary") as store, Outside(tmp_path / "follower") as outside:
        server = store.serve()
        yield Pair(server, Follower(outside, f"http://{server.host}"), store)


def acts(pair: Pair) -> list[tuple[str, str, str]]:
    found = []
    for event in tail(pair.follower.outside.station.paths.audit, 200):
        if event["act"].startswith("replica"):
            found.append((event["act"], event["thing"], event["outcome"]))
    return found


def move_here(pair: Pair, tag: str, digest: str) -> None:
    with under_event():
        pair.follower.outside.station.writer.submit(
            PutTag(repository="team/app", tag=tag, digest=digest, at="2026-01-01T00:00:00Z")
        )


def test_tags_indexes_and_what_refers_to_them_come_and_the_second_round_takes_nothing(pair: Pair) -> None:
    one, two = (push(pair.primary, "team/app", tag, tag.encode() * 50_000) for tag in ("a", "b"))
    index = push_index(pair.primary, "team/app", "both", one, two)
    result = pair.follower.sync()
    assert result["followed"] == ["team/app:a", "team/app:b", "team/app:both"]
    assert [pair.follower.at("team/app", tag) for tag in ("a", "b", "both")] == [one, two, index]
    assert pair.follower.sync()["followed"] == []
    # A signature of a manifest that an index lists: no tag has moved.
    signature = push(pair.primary, "team/app", "", b"signed", one, size_of(pair.primary, "team/app", one))
    assert pair.follower.sync()["followed"] != []
    metadata = pair.follower.outside.station.metadata
    assert [str(each.digest) for each in metadata.referrers("team/app", one, 9)] == [signature]
    assert pair.follower.sync()["followed"] == []
    assert ("replica.follow", "team/app:both", "done") in acts(pair)


def test_only_what_the_patterns_cover_is_followed(pair: Pair) -> None:
    for repository in ("team/app", "team/deep/app", "other"):
        push(pair.primary, repository, "1", b"content")
    narrow = Follower(pair.follower.outside, f"http://{pair.primary.host}", repositories=("team/*",))
    assert narrow.sync()["followed"] == ["team/app:1"]
    assert narrow.sync()["repositories"] == 1


def test_a_tag_that_moved_on_both_sides_is_named_and_stays_until_a_person_takes_it(pair: Pair) -> None:
    first, other = push(pair.primary, "team/app", "1", b"first"), push(pair.primary, "team/app", "2", b"other")
    pair.follower.sync()
    third = push(pair.primary, "team/app", "1", b"third")
    move_here(pair, "1", other)
    (stuck,) = pair.follower.part()["stuck"]
    assert stuck == {"tag": "team/app:1", "why": "moved-both", "here": other, "there": third}
    assert pair.follower.at("team/app", "1") == other
    (told,) = pair.follower.stands().repositories["team/app"].stuck
    assert (told.tag, told.why) == ("1", "moved-both")
    assert ("replica.follow", "team/app:1", "refused") in acts(pair)
    pair.follower.sync(take=["team/app:1"])
    assert pair.follower.at("team/app", "1") == third
    move_here(pair, "1", first)
    assert [one["why"] for one in pair.follower.part()["stuck"]] == ["moved-here"]


def test_what_stood_here_before_is_never_overwritten(pair: Pair, tmp_path: Path) -> None:
    there = push(pair.primary, "team/app", "1", b"there")
    (tmp_path / "other").mkdir()
    with Store(tmp_path / "other") as store:
        other = store.serve()
        here = push(other, "team/app", "1", b"here")
        Follower(pair.follower.outside, f"http://{other.host}", "south").sync()
    fresh = Follower(pair.follower.outside, f"http://{pair.primary.host}")
    (stuck,) = fresh.part()["stuck"]
    assert (stuck["here"], stuck["there"]) == (here, there)
    assert fresh.at("team/app", "1") == here


def test_a_primary_out_of_an_old_backup_takes_no_tag_back(pair: Pair) -> None:
    old, new = push(pair.primary, "team/app", "1", b"old"), ""
    pair.follower.sync()
    new = push(pair.primary, "team/app", "1", b"new")
    pair.follower.sync()
    push(pair.primary, "team/app", "1", b"old")
    (stuck,) = pair.follower.part()["stuck"]
    assert (stuck["why"], stuck["here"], stuck["there"]) == ("went-back", new, old)
    assert pair.follower.at("team/app", "1") == new


def test_a_tag_that_moves_while_it_is_fetched_is_not_overwritten(pair: Pair) -> None:
    first = push(pair.primary, "team/app", "1", b"first")
    other = push(pair.primary, "team/app", "2", b"other")
    pair.follower.sync()
    push(pair.primary, "team/app", "1", b"second" * 100_000)
    context = pair.follower.context()
    moved: list[str] = []

    def on_progress(phase: str, done: int, _: int) -> None:
        if phase == "collect" and done and not moved:
            moved.append(other)
            move_here(pair, "1", other)

    context.on_progress = on_progress
    with pytest.raises(Exception, match="not everything"):
        pair.follower.run(context)
    assert moved
    assert first != other == pair.follower.at("team/app", "1")


def test_deletes_follow_only_where_they_are_asked_for_and_never_all_at_once(pair: Pair) -> None:
    for number in range(limits.REPLICA_GONE[0] + 2):
        push(pair.primary, "team/app", f"t{number}", b"content")
    pair.follower.sync()
    pair.primary.ask("DELETE", "/v2/team/app/manifests/t0")
    result = pair.follower.sync()
    assert (result["gone"], pair.follower.at("team/app", "t0") is None) == (1, False)
    deleting = Follower(pair.follower.outside, f"http://{pair.primary.host}", deletes=True)
    assert deleting.sync()["ended"] == ["team/app:t0"]
    assert deleting.at("team/app", "t0") is None
    for number in range(1, limits.REPLICA_GONE[0] + 2):
        pair.primary.ask("DELETE", f"/v2/team/app/manifests/t{number}")
    failed = deleting.part()["failed"]
    assert len(failed) == limits.REPLICA_GONE[0] + 1
    assert deleting.at("team/app", "t1") is not None
    assert deleting.stands().whole != ""


def test_what_was_followed_is_explained_by_the_log(pair: Pair) -> None:
    one = push(pair.primary, "team/app", "1", b"content")
    push(pair.primary, "team/app", "", b"signed", one, size_of(pair.primary, "team/app", one))
    pair.follower.sync()
    (event,) = [
        found for found in tail(pair.follower.outside.station.paths.audit, 99) if found["act"] == Act.REPLICA_FOLLOW
    ]  # fmt: skip
    assert event["detail"]["replica"] == NAME
    assert event["detail"]["digest"] == one
    assert sorted(event["detail"]) == ["before", "blobs", "digest", "manifests", "referrers", "replica"]


def test_a_power_cut_in_the_middle_of_a_blob_goes_on_where_it_was(pair: Pair) -> None:
    there = push(pair.primary, "team/app", "1", bytes(3 * store_limits.PARTIAL_LEAST))
    context = pair.follower.context()

    def cut(phase: str, done: int, _: int) -> None:
        if phase == "collect" and done > store_limits.PARTIAL_LEAST:
            raise PowerCut

    context.on_progress = cut
    with pytest.raises(PowerCut):
        pair.follower.run(context)
    assert pair.follower.at("team/app", "1") is None
    assert pair.follower.stands().whole == ""
    again = pair.follower.context()
    pair.follower.run(again)
    assert pair.follower.at("team/app", "1") == there
    assert any("goes on at" in line for line in again.lines)


def test_it_is_cancelled_between_two_looks(pair: Pair) -> None:
    push(pair.primary, "team/app", "1", b"content")
    context = pair.follower.context(once=False)

    def cancel(phase: str, *_: int) -> None:
        if phase.startswith("wait for the next look"):
            raise CancelledError("cancelled")

    context.on_progress = cancel
    with pytest.raises(CancelledError):
        pair.follower.run(context)
    assert (pair.follower.stands().job, pair.follower.stands().fault) == (context.job_id, "")
    assert pair.follower.at("team/app", "1") is not None


def test_outside_its_hours_nothing_is_asked_unless_now_is_said(pair: Pair) -> None:
    push(pair.primary, "team/app", "1", b"content")
    now = datetime.now(UTC)
    hours = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    closed = Follower(pair.follower.outside, f"http://{pair.primary.host}", hours=(hours,))
    with pytest.raises(RefusedError, match="window"):
        closed.sync()
    assert closed.at("team/app", "1") is None
    assert closed.sync(now=True)["followed"] == ["team/app:1"]


@pytest.mark.parametrize(
    ("params", "error"),
    [({"name": "south"}, UsageError), ({"take": ["team/app"]}, MalformedError), ({"take": ["../x:1"]}, MalformedError),
     ({"once": False, "take": ["team/app:1"]}, UsageError)],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    pair: Pair, params: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        pair.follower.sync(**params)
    assert pair.follower.stands().began == ""


def test_nothing_is_shown_or_let_go_that_cannot_be_recorded(pair: Pair) -> None:
    push(pair.primary, "team/app", "1", b"content")
    context = pair.follower.context()
    context.station = replace(context.station, audit=FullLog())
    with pytest.raises(FailedError):
        pair.follower.run(context)
    assert pair.follower.at("team/app", "1") is None
    pair.follower.sync()
    pair.primary.ask("DELETE", "/v2/team/app/manifests/1")
    deleting = Follower(pair.follower.outside, f"http://{pair.primary.host}", deletes=True)
    context = deleting.context()
    context.station = replace(context.station, audit=FullLog())
    with pytest.raises(FailedError):
        deleting.run(context)
    assert deleting.at("team/app", "1") is not None


def test_a_primary_that_is_not_there_is_no_ok(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting_limits, "REMOTE_ATTEMPTS", 1)
    push(pair.primary, "team/app", "1", b"content")
    pair.follower.sync()
    whole = pair.follower.stands().whole
    away = Follower(pair.follower.outside, "http://127.0.0.1:9")
    with pytest.raises(FailedError):
        away.sync()
    stands = away.stands()
    assert (stands.whole, stands.fault != "", "team/app" in stands.repositories) == (whole, True, True)
    assert ("replica.sync", NAME, "failed") in acts(pair)
