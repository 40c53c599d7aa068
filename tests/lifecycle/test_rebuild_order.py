"""A rebuild takes events of several lanes in the order that the log proves, whatever the wall clock said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint
from appliance.audit.event import AuditEvent
from appliance.audit.event_order import EventOrder, Place
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit
from appliance.lifecycle.undecided_order import Doubts
from appliance.origin import Origin, write_origin
from appliance.paths import StationPaths
from appliance.store.writes.registry import DeleteManifest
from bundles.documents.audit_checkpoint import Checkpoint, LaneHead
from tests.lifecycle.lost import AT, contents, delete_tag, in_process, push
from tests.outgoing.outside import Outside

HOUR = 3600


class Lanes:
    """An outside that writes two lanes, as two of its processes do, under a clock that can be set."""

    def __init__(self, station: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
        self.station, self.paths, self.ahead = station, station.station.paths, 0
        micros, now = clock.micros(), clock.seconds(clock.now())
        monkeypatch.setattr(clock, "micros", lambda: micros + self._tick() + self.ahead * 1_000_000)
        monkeypatch.setattr(clock, "now", lambda: clock.at(now + self.ahead))
        self._count = 0
        self._logs = [FileAudit(self.paths.audit) for _ in range(2)]
        for number, log in enumerate(self._logs):
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda number=number: 100_000 + number)
                log.record(AuditEvent(Act.SESSION_LOGIN, "root", f"process {number}"))

    def _tick(self) -> int:
        self._count += 1
        return self._count

    def lane(self, number: int) -> Outside:
        object.__setattr__(self.station.station, "audit", self._logs[number])
        return self.station

    def rebuilt(self) -> tuple[dict[str, str], list[str]]:
        """Lose the database and rebuild it: the tags of team/app, and what could not be restored of it."""
        self.station.station.metadata.close()
        self.station.station.reader.close()
        for path in self.paths.root.glob("metadata.sqlite*"):
            path.unlink()
        ended = in_process("rebuild", "--yes", "-C", self.paths.root, "--json")
        assert ended.status == 0, ended.err
        cannot = [line for line in ended.document["cannot"] if "team/app" in line]
        return {tag: digest for name, tag, digest in contents(self.paths.database)[1] if name == "team/app"}, cannot


@pytest.fixture
def lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lanes]:
    with Outside(tmp_path / "alpha") as station:
        write_origin(StationPaths(tmp_path / "alpha"), Origin(site="alpha", side="outside", open=True, created=AT))
        yield Lanes(station, monkeypatch)


def test_a_checkpoint_orders_lanes_where_the_clock_was_set_back(lanes: Lanes) -> None:
    lanes.ahead = HOUR
    push(lanes.lane(0), "team/app", b"old", "latest", "gone")
    checkpoint(lanes.paths)
    lanes.ahead = 0
    new = push(lanes.lane(1), "team/app", b"new", "latest")
    delete_tag(lanes.lane(1), "team/app", "gone")
    assert lanes.rebuilt() == ({"latest": new}, [])


def test_lanes_of_one_time_are_ordered_by_the_clock_where_nothing_says_that_it_was_set_back(lanes: Lanes) -> None:
    checkpoint(lanes.paths)
    push(lanes.lane(1), "team/app", b"old", "latest")
    lanes.ahead = 60
    new = push(lanes.lane(0), "team/app", b"new", "latest")
    checkpoint(lanes.paths)
    assert lanes.rebuilt() == ({"latest": new}, [])


@pytest.mark.parametrize("evidence", ["checkpoint", "event"])
def test_what_two_lanes_say_in_a_time_in_which_the_clock_was_set_back_is_named_and_neither_is_taken(
    lanes: Lanes, evidence: str
) -> None:
    checkpoint(lanes.paths)
    lanes.ahead = HOUR
    old = push(lanes.lane(0), "team/app", b"old", "latest", "gone", "settled", "alone")
    lanes.ahead = 0
    new = push(lanes.lane(1), "team/app", b"new", "latest", "settled")
    delete_tag(lanes.lane(1), "team/app", "gone")
    event = AuditEvent(Act.DELETE_MANIFEST, "pusher", f"team/app@{old}")
    with recording(lanes.lane(1).station.audit, event):
        lanes.station.station.writer.submit(DeleteManifest(repository="team/app", digest=old))
    if evidence == "event":
        lanes.lane(0).station.audit.record(AuditEvent(Act.SESSION_LOGIN, "root", "notices that its clock went back"))
        lanes.ahead = 2 * HOUR  # the next checkpoint does not see it
    checkpoint(lanes.paths)
    push(lanes.lane(1), "team/app", b"new", "settled")
    tags, cannot = lanes.rebuilt()
    assert tags == {"settled": new, "alone": old}, "whatever stands behind the checkpoint is the last"
    assert [line.partition(";")[0] for line in sorted(cannot)] == [
        f"team/app:gone: was deleted or {old}",
        f"team/app:latest: {' or '.join(sorted([old, new]))}",
        f"team/app@{old}: shown, or deleted",
    ]
    links = {digest for name, digest, kind in contents(lanes.paths.database)[0] if kind == "manifest"}
    assert links == {old, new}


def checkpoint_of(created: str, **lanes: int) -> Checkpoint:
    heads = [LaneHead(lane=int(name[1:]), seq=seq, head="0" * 64) for name, seq in lanes.items()]
    return Checkpoint(site="alpha", number=1, previous=None, created=created, lanes=heads)


def event(lane: int, seq: int, seconds: int, act: str = "push-manifest") -> dict[str, Any]:
    return {"lane": lane, "seq": seq, "micros": seconds * 1_000_000, "act": act}


def test_an_order_knows_checkpoints_lanes_and_times_that_do_not_fit() -> None:
    begun = clock.seconds("2026-06-01T00:00:00Z")
    made = [checkpoint_of(clock.at(begun + 100 * n), l1=10 * n, l2=5 * n) for n in (1, 2, 3)]
    order = EventOrder(made)
    assert [order.place(event(1, seq, 0)).epoch for seq in (1, 10, 11, 30, 31)] == [0, 0, 1, 2, 3]
    assert order.place(event(3, 1, 0)).epoch == 3, "a lane that no checkpoint names"
    assert order.is_after(Place(1, 2, 6), Place(0, 1, 9))
    assert order.is_after(Place(1, 2, 6), Place(1, 1, 12)), "by the clock"
    order.note(event(2, 7, begun + 900))
    assert not order.is_after(Place(1, 2, 8), Place(1, 1, 12)), "later than the checkpoint behind it"
    assert order.is_after(Place(1, 2, 8), Place(1, 2, 7)), "one lane"
    assert order.is_after(Place(2, 2, 11), Place(1, 1, 12))
    order.note(event(1, 21, begun + 220, "clock.set-back"))
    assert order.is_doubtful(Place(2, 1, 22))
    assert not order.is_doubtful(Place(0, 1, 1))
    assert EventOrder([made[2], made[0]]).is_doubtful(Place(1, 1, 1)), (
        "a checkpoint that is older than the one before it"
    )


def test_doubts_end_with_what_is_proven_to_be_later() -> None:
    order = EventOrder([checkpoint_of("2026-06-01T00:00:00Z", l1=10, l2=10)])
    order.note(event(1, 5, clock.seconds("2026-06-02T00:00:00Z")))
    doubts = Doubts(order)
    doubts.note(("tag", "a", "b"), "one", Place(0, 1, 1))
    doubts.note(("tag", "a", "b"), "two", Place(0, 1, 2))
    assert doubts.found() == []
    doubts.note(("tag", "a", "b"), "three", Place(0, 2, 1))
    assert doubts.found() == [(("tag", "a", "b"), ["three", "two"])]
    doubts.note(("tag", "a", "b"), "four", Place(1, 2, 11))
    assert doubts.found() == []
