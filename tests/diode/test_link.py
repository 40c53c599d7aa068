"""What comes over a link that loses, reorders, doubles and damages is whole or is not delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.diode import geometry
from appliance.diode.folder import NAME
from tests.diode.link import BUNDLE, Alpha, Bravo, feed, files_of, relayed


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of a few bytes: blocks of 10 MB are what the long test and the bench send."""
    monkeypatch.setattr(geometry, "BLOCK", 32 * 4096)


@pytest.mark.parametrize(
    ("loss", "reorder", "twice", "broken", "foreign"),
    [(0, 0, 0, 0, 0), (0.01, 40, 0.05, 0, 0), (0.05, 0, 0, 0.02, 0.2), (0.1, 100, 0.1, 0.02, 0.1)],
)
def test_a_bundle_comes_whole_or_what_it_lacks_is_named_and_comes_with_the_next_round(
    tmp_path: Path, loss: float, reorder: int, twice: float, broken: float, foreign: float
) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    with bravo.receiving() as receiver:
        for fresh in range(4):
            assert fresh < 3
            sent = alpha.sent(outgoing, fresh=fresh, repair=30)
            feed(
                receiver,
                relayed(sent, 7 + fresh, loss=loss, reorder=reorder, twice=twice, broken=broken, foreign=foreign),
            )
            if bravo.delivered:
                break
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)
        assert [path.name for path in (bravo.drop / NAME).iterdir()] == []
        assert receiver.counts["useful"]
        assert bool(receiver.counts["forged"]) == bool(broken)


def test_rounds_add_up_since_each_sends_other_symbols(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    with bravo.receiving() as receiver:
        feed(receiver, relayed(alpha.sent(outgoing), 1, loss=0.5))
        assert not bravo.delivered
        feed(receiver, relayed(alpha.sent(outgoing, fresh=1), 2, loss=0.5))
        assert len(bravo.delivered) == 1


def test_what_is_missing_comes_by_its_code_and_nothing_else_is_sent(tmp_path: Path) -> None:
    from appliance.diode.missing import read_code

    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(outgoing, blocks=[1]))
        (arrival,) = receiver.arrivals.values()
        assert arrival.missing() == [2, 3]
        blocks = read_code(outgoing.session.transfer, arrival.code(), outgoing.session.geometry.blocks)
        assert blocks == [2, 3]
    with bravo.receiving() as receiver:  # another run of both sides: another session of the same transfer
        again = alpha.outgoing()
        assert again.session.number != outgoing.session.number
        feed(receiver, alpha.sent(again, fresh=1, blocks=blocks))
        assert [one.bundle for one in bravo.delivered] == [BUNDLE]


def test_a_receiver_that_was_killed_goes_on_with_every_symbol_that_it_had_written_down(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    sent = alpha.sent(outgoing, repair=0)
    half = len(sent) // 2
    with bravo.receiving() as receiver:
        feed(receiver, sent[:half])
        receiver.flush()
        (arrival,) = receiver.arrivals.values()
        before = arrival.done_bytes
        (spool,) = (arrival.folder / "spool").iterdir()
    with spool.open("ab") as file:
        file.write(b"cut off")  # as a kill in the middle of a write leaves it
    with bravo.receiving() as receiver:
        (arrival,) = receiver.arrivals.values()
        assert arrival.done_bytes == before > 0
        feed(receiver, [*sent[:4], *sent[half:]])
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)


def test_a_bundle_that_is_there_is_not_received_again(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))
        feed(receiver, alpha.sent(alpha.outgoing()))
        assert len(bravo.delivered) == 1
        assert receiver.arrivals == {}
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))
        assert receiver.counts["useful"] == 0
        assert bravo.said[-1] == f"{BUNDLE} is there already"


def test_a_folder_that_has_the_name_is_left_as_it_is(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    (bravo.drop / BUNDLE).mkdir()
    (bravo.drop / BUNDLE / "SHA256SUMS").write_bytes(b"another's")
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))
        assert (receiver.arrivals, bravo.delivered) == ({}, [])
    assert files_of(bravo.drop / BUNDLE) == {"SHA256SUMS": b"another's"}
