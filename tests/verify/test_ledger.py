"""What a bundle is to its stream's history: the next one, or a replay, a fork, a rollback or a gap."""

from __future__ import annotations

import pytest

from bundles.decide.sequence import LedgerRow, ledger_verdict
from bundles.errors import RefusedError
from bundles.format.manifest import FORMAT_MAJOR, TYPE, BundleManifest, Format, Tool, bundle_id


def digest(number: int) -> str:
    """The digest of the bundle of a sequence."""
    return f"sha256:{number:064x}"


def row(sequence: int, state: str = "released") -> LedgerRow:
    return LedgerRow(sequence, digest(sequence), state)


def bundle(sequence: int, *, previous: int | None, voided: tuple[int, ...] = ()) -> BundleManifest:
    return BundleManifest(
        type=TYPE, format=Format(major=FORMAT_MAJOR, minor=0), crit=[], extensions={},
        id=bundle_id("alpha.bravo", sequence), stream="alpha.bravo", sequence=sequence,
        previous=None if previous is None else digest(previous), voided=list(voided),
        created="2026-06-01T12:00:00Z", not_after="2026-12-01T00:00:00Z", purpose="", authorisation="",
        classification="", signers=["0" * 16], artifacts=[], blobs=[], requires=[], volumes=[], sboms=[],
        signatures=[], attestations=[], tool=Tool(name="lockgate", version="test"),
    )  # fmt: skip


def refusal(history: list[LedgerRow], manifest: BundleManifest, own: str | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        ledger_verdict(history, manifest, own or digest(manifest.sequence))
    assert caught.value.remedy
    return caught.value.diagnostics()


def test_the_first_bundle_of_a_stream_is_number_one() -> None:
    ledger_verdict([], bundle(1, previous=None), digest(1))


def test_the_next_bundle_follows_the_ledgers_last() -> None:
    ledger_verdict([row(1), row(2)], bundle(3, previous=2), digest(3))


@pytest.mark.parametrize("state", ["quarantined", "approved", "released", "rejected"])
def test_a_bundle_that_was_seen_is_a_replay_whatever_became_of_it(state: str) -> None:
    assert f"a replay: this bundle is in the ledger as {state}" in refusal([row(1, state)], bundle(1, previous=None))


def test_an_old_bundle_is_a_replay_however_far_the_stream_has_gone() -> None:
    assert "a replay" in refusal([row(1), row(2), row(3)], bundle(2, previous=1))


def test_another_bundle_under_a_seen_number_is_a_fork() -> None:
    assert "a fork: the ledger has another" in refusal([row(1), row(2)], bundle(2, previous=1), digest(99))


def test_a_bundle_that_follows_another_history_is_a_fork() -> None:
    assert "a fork: the bundle follows another" in refusal([row(1)], bundle(2, previous=77))
    assert "a fork: the bundle follows another" in refusal([row(1)], bundle(2, previous=None))


def test_a_rejected_bundle_still_is_the_one_before() -> None:
    ledger_verdict([row(1), row(2, "rejected")], bundle(3, previous=2), digest(3))


def test_a_lower_number_that_was_never_seen_is_a_rollback() -> None:
    assert "a rollback: the stream is at 4" in refusal([row(1), row(4)], bundle(3, previous=1))


def test_a_number_between_that_never_came_is_a_gap_and_named() -> None:
    line = refusal([row(1)], bundle(4, previous=3))
    assert "a gap: alpha.bravo-000002, alpha.bravo-000003 did not come" in line
    assert "lockgate intake stream reset alpha.bravo --sequence 3 --key KEY --why TEXT" in line


def test_a_long_gap_names_its_beginning() -> None:
    assert "000003 and 994 more did not come" in refusal([], bundle(998, previous=997))


@pytest.mark.parametrize("voided", [(), tuple(range(1, 1_000)), (999_998,)])
def test_no_bundle_moves_its_stream_further_than_the_limit_voided_numbers_or_not(voided: tuple[int, ...]) -> None:
    far = bundle(999_999, previous=None, voided=voided)
    line = refusal([], far)
    assert "a jump: one bundle may move a stream by 1000 at most, and the stream is at 0" in line
    assert "two people set the floor" in line
    with pytest.raises(RefusedError, match="a jump"):
        ledger_verdict([row(7)], far, digest(999_999), gaps_allowed=True)


def test_the_last_number_within_the_limit_comes_in_and_the_next_is_a_jump() -> None:
    ledger_verdict([row(5)], bundle(1_005, previous=5, voided=tuple(range(6, 1_005))), digest(1_005))
    assert "a jump" in refusal([row(5)], bundle(1_006, previous=5, voided=tuple(range(7, 1_006))))
    assert "a gap" in ledger_verdict([row(5)], bundle(1_005, previous=1), digest(1_005), gaps_allowed=True)


def test_a_floor_that_people_set_lets_a_bundle_in_beyond_the_limit() -> None:
    ledger_verdict([row(1), LedgerRow(5_000, "", "reset")], bundle(5_001, previous=4_000), digest(5_001))


def test_numbers_that_were_voided_leave_no_gap() -> None:
    ledger_verdict([row(1)], bundle(4, previous=1, voided=(2, 3)), digest(4))
    assert "a gap: alpha.bravo-000002 did" in refusal([row(1)], bundle(4, previous=1, voided=(3,)))


def test_an_empty_ledger_takes_a_later_number_only_where_all_before_it_were_voided() -> None:
    ledger_verdict([], bundle(3, previous=None, voided=(1, 2)), digest(3))
    assert "a gap: alpha.bravo-000001, alpha.bravo-000002 did" in refusal([], bundle(3, previous=2))
    assert "a gap: the bundle follows one that did not come" in refusal([], bundle(3, previous=2, voided=(1, 2)))


def test_voiding_a_number_does_not_undo_what_the_ledger_saw() -> None:
    assert "a replay" in refusal([row(1), row(2)], bundle(2, previous=1, voided=(1,)))
    assert "a fork" in refusal([row(1), row(2)], bundle(3, previous=1, voided=(2,)))


def test_a_floor_set_by_people_takes_the_number_after_it_whatever_it_follows() -> None:
    floor = LedgerRow(7, "", "reset")
    ledger_verdict([row(1), floor], bundle(8, previous=7), digest(8))
    ledger_verdict([floor], bundle(8, previous=None), digest(8))


def test_a_floor_never_lets_an_older_bundle_in() -> None:
    floor = LedgerRow(7, "", "reset")
    assert "a rollback: the stream is at 7" in refusal([row(1), floor], bundle(7, previous=6))
    assert "a replay" in refusal([row(1), floor], bundle(1, previous=None))


def test_history_may_come_in_any_order() -> None:
    ledger_verdict([row(2), row(1)], bundle(3, previous=2), digest(3))
