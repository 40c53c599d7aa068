"""A bundle that was voided and came in after all: how both sides find together again, and what is never voided."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import clock
from appliance.api.intake import Became
from appliance.intake.outcome import came_to
from appliance.lifecycle import log_replay
from appliance.outgoing import build
from appliance.outgoing.delta_base import take_files
from appliance.store.reads.bundles_out import listed
from appliance.store.reads.intake import list_entries
from appliance.store.writes.deltas import VoidBundle
from bundles.documents.statement import read_statement
from bundles.errors import RefusedError, UsageError
from tests.deltas.conftest import Road

FIRST, SECOND, THIRD, FOURTH, FIFTH = (f"alpha.bravo-{number:06}" for number in range(1, 6))


def void(road: Road, bundle: str, *, with_later: bool = False) -> list[str]:
    write = VoidBundle(id=bundle, at=clock.now(), why="lost with the courier", with_later=with_later)
    found = road.outside.writer.submit(write)
    assert isinstance(found, list)
    return found


def standing(road: Road) -> dict[str, str]:
    return {one.id: one.standing for one in listed(road.outside.station.reader, 10)}


def took(road: Road, *, sequence_only: bool = False) -> dict[str, object]:
    return take_files(road.outside.station, read_statement(road.receipt(sequence_only=sequence_only)), "tester")


def test_voiding_names_the_later_bundles_and_asks_for_a_word(road: Road) -> None:
    reference = road.make("1", base=b"one")
    for _ in range(3):
        road.build(reference)
    with pytest.raises(UsageError, match=f"{SECOND}, {THIRD}.*--with-later"):
        void(road, FIRST)
    assert set(road.outside.bundles().values()) == {"written"}
    assert void(road, SECOND, with_later=True) == [SECOND, THIRD]
    assert void(road, FIRST) == [FIRST], "what is void already is not in the way"


@pytest.mark.parametrize("sequence_only", [False, True])
def test_what_a_receipt_says_is_inside_is_never_voided(road: Road, sequence_only: bool) -> None:
    road.release(road.build(road.make("1", base=b"one")))
    road.build(road.make("2", base=b"two"))
    took(road, sequence_only=sequence_only)
    for with_later in (False, True):
        with pytest.raises(RefusedError, match="receipt"):
            void(road, FIRST, with_later=with_later)
    assert void(road, SECOND) == [SECOND]


@pytest.mark.parametrize("sequence_only", [False, True])
@pytest.mark.parametrize("decided", ["release", "quarantine", "reject"])
def test_the_way_out_of_a_fork_is_a_receipt(road: Road, decided: str, sequence_only: bool) -> None:
    road.release(road.build(road.make("1", base=b"one")))
    lost = road.build(road.make("2", base=b"two"))
    void(road, SECOND)
    third = road.build(road.make("3", base=b"three"))
    if decided == "release":
        road.release(lost)
    else:
        name = road.bring(lost)
        if decided == "reject":
            road.inside.decide(name, road.officer, "reject", "not wanted")
    with pytest.raises(RefusedError) as refused:
        road.bring(third)
    assert SECOND in str(refused.value), "it names the bundle that the source voided"
    assert "receipt export" in str(refused.value)
    assert "receipt take" in str(refused.value)
    taken = took(road, sequence_only=sequence_only)
    assert (taken.back, taken.voided) == ((SECOND,), (THIRD,))
    assert road.outside.bundles() == {FIRST: "written", SECOND: "written", THIRD: "voided"}
    fourth = road.build(road.make("3", base=b"three"))
    road.release(fourth)
    replayed = log_replay.replay(road.outside.station.paths, lambda _: None).streams["alpha.bravo"]
    assert {row.sequence: row.state for row in replayed.values()} == {
        1: "written", 2: "written", 3: "voided", 4: "written",
    }  # fmt: skip


def test_a_build_on_the_receipt_is_the_way_out_too_and_says_so(road: Road, tmp_path: Path) -> None:
    first = road.build(road.make("1", base=b"one"))
    void(road, FIRST)
    road.build(road.make("2", base=b"two"))
    road.release(first)
    medium = tmp_path / "medium"
    medium.mkdir()
    context = road.outside.building(medium, road.make("3", base=b"three"), since=str(road.receipt()))
    path = Path(road.outside.run(context, build.run)["path"])
    said = " ".join(context.lines)
    assert f"{FIRST} was void and came in after all" in said
    assert f"{SECOND} is void" in said
    road.release(path)


def test_a_receipt_that_proves_arrival_wins_in_the_list(road: Road) -> None:
    reference = road.make("1", base=b"one")
    road.bring(road.build(reference))
    road.build(reference)
    assert standing(road) == {FIRST: "superseded", SECOND: "written"}
    took(road)
    assert standing(road) == {FIRST: "quarantined", SECOND: "written"}
    road.inside.decide(FIRST, road.officer)
    road.inside.release(FIRST)
    took(road)
    assert standing(road) == {FIRST: "released", SECOND: "written"}, "the later one is not known to be there"


def test_what_waits_says_that_later_releases_took_its_tags(road: Road) -> None:
    first = road.bring(road.build(road.make("1", a=b"one"), road.make("2", a=b"two")))
    road.release(road.build(road.make("1", a=b"one again")))
    reader = road.inside.station.reader

    def found() -> Became:
        return {one.id: came_to(reader, one) for one in list_entries(reader, 10)}[first]

    assert (found().standing, found().by) == ("quarantined", None), "its other tag is its own"
    road.release(road.build(road.make("2", a=b"two again")))
    assert (found().standing, found().by) == ("quarantined", THIRD)
    assert THIRD in str(found().why)


def test_a_receipt_that_is_taken_where_it_was_given_says_so(road: Road) -> None:
    road.release(road.build(road.make("1", base=b"one")))
    with pytest.raises(RefusedError, match="this station signed it itself"):
        take_files(road.inside.station, read_statement(road.receipt()), "tester")
