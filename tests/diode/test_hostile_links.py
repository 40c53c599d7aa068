"""What anybody may send to a diode's receiver: it is believed nothing, and costs a bounded amount."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.diode import datagrams, geometry, session, table
from appliance.diode.few_lines import FewLines
from appliance.diode.folder import NAME, open_unfinished
from appliance.diode.table import SentFile, Table
from appliance.limits import diode as limits
from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.signing.keys import create_private
from bundles.signing.trust import TrustFolder
from tests.diode.link import AT, BUNDLE, Alpha, Bravo, feed, files_of


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "BLOCK", 32 * 4096)


def test_nothing_is_kept_of_a_session_whose_head_no_pinned_key_has_signed(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    other = create_private()
    bravo.pin(other, site="charlie")
    bravo.pin(create_private(), purpose="bundle")
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))  # a key that nobody pinned
        stranger = Alpha(tmp_path / "again" / BUNDLE, key=other)
        feed(receiver, stranger.sent(stranger.outgoing()))  # a key for another site
        assert receiver.arrivals == {}
        assert receiver.counts["useful"] == 0
        assert receiver.counts["forged"] == 2
        assert receiver.counts["unknown"] > 100
    assert list((bravo.drop / NAME).iterdir()) == []


def test_a_session_for_another_site_is_refused(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE, bundle="alpha.delta-000001"), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))
        assert receiver.arrivals == {}
        assert "another site" in bravo.said[-1]


def test_symbols_that_are_not_the_senders_do_not_count(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    sent = alpha.sent(outgoing)
    name, size = outgoing.session.name, outgoing.session.symbol
    chance = random.Random(3)
    forged = [
        datagrams.make(key, datagrams.SYMBOL, bytes(3), name, block, esi, chance.randbytes(size))
        for key in (b"", bytes(32), chance.randbytes(32))
        for block in (0, 1, 2, 2**32 - 1)
        for esi in (0, 1, 2**24, 2**32 - 1)
    ]
    with bravo.receiving() as receiver:
        feed(receiver, [*sent[:3], *forged, *sent[3:], *forged])
        assert receiver.counts["forged"] == 2 * len(forged)
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)


def test_a_block_of_wrong_symbols_under_the_right_key_begins_anew(tmp_path: Path) -> None:
    """Whoever reads the wire of a link without a key can make such symbols: they delay a block, and pass no sum."""
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    sent, key = alpha.sent(outgoing), outgoing.session.key(b"")
    wrong = [
        datagrams.make(key, datagrams.SYMBOL, bytes(3), outgoing.session.name, 1, esi, bytes(outgoing.session.symbol))
        for esi in (100, 101, 102, 2**24, 2**32 - 1)
    ]
    with bravo.receiving() as receiver:
        feed(receiver, [*sent[:25], *wrong, *sent[25:]])
        assert not bravo.delivered
        assert any("another sum than the signed one" in line for line in bravo.said)
        feed(receiver, alpha.sent(outgoing, fresh=1))
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)


def test_what_is_kept_of_one_transfer_is_no_more_than_it_is_large(tmp_path: Path) -> None:
    """Symbols without end, by whoever has the key, of blocks that cannot be decoded since the table never comes."""
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    key, opened = outgoing.session.key(b""), outgoing.session
    content = random.Random(5).randbytes(opened.symbol)
    with bravo.receiving() as receiver:
        feed(receiver, session.pieces(outgoing.head, b"", opened.symbol))
        feed(
            receiver,
            (
                datagrams.make(key, datagrams.SYMBOL, bytes(3), opened.name, block, esi, content)
                for esi in range(300)
                for block in range(1, 9)
            ),
        )
        receiver.flush()
        (arrival,) = receiver.arrivals.values()
        kept = sum(path.stat().st_size for path in arrival.folder.rglob("*") if path.is_file())
        assert kept < opened.size + (opened.geometry.blocks * 66 + 8) * (opened.symbol + 4)


def test_datagrams_that_are_none_are_counted_and_forgotten(tmp_path: Path) -> None:
    bravo, chance = Bravo(tmp_path / "bravo"), random.Random(9)
    sizes = (0, 1, 3, 4, 39, 40, 41, 1400, 9000)
    noise = [front + chance.randbytes(size) for size in sizes for front in (b"", b"LGD1", b"LGD1\1\0\1\0", b"LGD1\2")]
    pieces = [
        datagrams.make(b"", datagrams.HEAD, bytes((number % 256, count, 0)), chance.randbytes(8), 0, 0, b"x" * size)
        for number, count, size in ((0, 0, 9), (0, 1, 0), (0, 1, 9), (5, 3, 9), (0, 255, 9), (0, 2, 8000), (31, 32, 9))
    ] * 40
    with bravo.receiving() as receiver:
        feed(receiver, noise + pieces)
        assert receiver.counts["useful"] == receiver.counts["surplus"] == 0
        assert receiver.arrivals == {}
    assert len(bravo.said) <= 10


def test_heads_without_end_cost_a_bounded_number_of_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE, size=10), Bravo(tmp_path / "bravo")
    opened, tried = alpha.outgoing(), []
    judge = session.open_head

    def counted(*given: Any, **named: Any) -> session.Session:
        tried.append(given)
        return judge(*given, **named)

    monkeypatch.setattr(session, "open_head", counted)
    heads = [opened.head[:-1] + bytes((number % 256,)) + bytes((number // 256,)) for number in range(600)]
    with bravo.receiving() as receiver:
        feed(receiver, (piece for head in heads for piece in session.pieces(head, b"", 4096)))
    assert len(tried) <= limits.DIODE_HEADS
    assert len(bravo.said) <= limits.DIODE_HEADS


def test_lines_without_end_are_said_seldom_and_those_left_out_are_counted() -> None:
    said: list[str] = []
    moment = [0.0]
    tell = FewLines(said.append, lambda: moment[0])
    for number in range(1000):
        tell(str(number))
    assert said == [str(number) for number in range(limits.DIODE_LINES)]
    moment[0] += limits.DIODE_QUIET
    tell("again")
    assert said[-1] == f"again (before it, {1000 - limits.DIODE_LINES} lines were left out)"
    assert len(said) == limits.DIODE_LINES + 1


def test_unfinished_transfers_are_few_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIODE_TRANSFERS", 2)
    monkeypatch.setattr(limits, "DIODE_SESSIONS", 1)
    key, bravo = create_private(), Bravo(tmp_path / "bravo")
    bravo.pin(key)
    names = []
    with bravo.receiving() as receiver:
        for number in range(4):
            alpha = Alpha(tmp_path / str(number), key=key, size=1000 + number, bundle=f"alpha.bravo-00000{number}")
            outgoing = alpha.outgoing()
            feed(receiver, session.pieces(outgoing.head, b"", 4096))
            names.append(outgoing.session.transfer)
            for at, name in enumerate(names):
                if (place := bravo.drop / NAME / name).exists():
                    os.utime(place, (at, at))
        assert sorted(path.name for path in (bravo.drop / NAME).iterdir()) == sorted(names[-2:])
        assert set(receiver.arrivals) == set(names[-2:])


def test_one_site_keeps_no_other_from_sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions, unfinished transfers and numbers of a site that sends heads without end."""
    monkeypatch.setattr(limits, "DIODE_TRANSFERS", 3)
    monkeypatch.setattr(limits, "DIODE_SESSIONS", 4)
    monkeypatch.setattr(limits, "DIODE_HEADS", 100.0)
    alpha, bravo, key = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo"), create_private()
    bravo.pin(alpha.key)
    bravo.pin(key, site="mallory")
    outgoing = alpha.outgoing()
    heads = []
    for number in range(9):
        name = f"mallory.bravo-00000{number}"
        other = Alpha(tmp_path / name, key=key, size=1000 + number, bundle=name, site="mallory")
        heads.append(other.outgoing())
    fields = {name: getattr(heads[0].session, name) for name in heads[0].session.__struct_fields__}
    taken = session.seal(session.Session(**fields | {"number": outgoing.session.number}), key)
    sent = alpha.sent(outgoing)
    with bravo.receiving() as receiver:
        for one in heads[:4]:
            feed(receiver, session.pieces(one.head, b"", 4096))
        feed(receiver, sent[:20])
        assert outgoing.session.transfer in receiver.arrivals
        for one in heads[4:]:
            feed(receiver, session.pieces(one.head, b"", 4096))
        feed(receiver, session.pieces(taken, b"", 4096))
        feed(receiver, sent[20:])
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)


def test_no_site_reserves_or_fills_the_room_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what would be free without its own: what is coming, and what was delivered and lies there."""
    monkeypatch.setattr(limits, "DIODE_ROOM", 0)
    free = 10_000_000
    drops = []

    def usage(path: object) -> SimpleNamespace:
        taken = sum(512 * file.lstat().st_blocks for drop in drops for file in drop.rglob("*") if file.is_file())
        return SimpleNamespace(free=free - taken)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    bravo, keys = Bravo(tmp_path / "bravo"), {site: create_private() for site in ("alpha", "mallory")}
    drops.append(bravo.drop)
    bravo.pin(keys["mallory"], site="mallory")

    def sending(site: str, size: int, number: int) -> Alpha:
        name = f"{site}.bravo-{number:06d}"
        return Alpha(tmp_path / "sent" / name, key=keys[site], size=size, bundle=name, site=site)

    def announce(site: str, size: int, number: int) -> str:
        outgoing = sending(site, size, number).outgoing()
        feed(receiver, session.pieces(outgoing.head, b"", 4096))
        return "taken" if outgoing.session.transfer in receiver.arrivals else bravo.said[-1]

    with bravo.receiving() as receiver:
        assert announce("mallory", 6_000_000, 1) == "taken", "it is the only one that sends"
        bravo.pin(keys["alpha"])
        assert "leave no room for other sites" in announce("mallory", 1_000_000, 2)
        assert announce("alpha", 1_500_000, 1) == "taken"
        assert "leave no room for other sites" in announce("alpha", 1_000_000, 2)
        for one in list(receiver.arrivals.values()):
            receiver._drop(one)
        feed(receiver, (alpha := sending("mallory", 3_000_000, 3)).sent(alpha.outgoing()))
        assert (bravo.drop / "mallory.bravo-000003").is_dir()
        assert "leave no room for other sites" in announce("mallory", 3_000_000, 4)
        assert announce("alpha", 3_000_000, 4) == "taken"
        shutil.rmtree(bravo.drop / "mallory.bravo-000003")
        (bravo.drop / "mallory.bravo-000007").symlink_to(tmp_path)
        assert announce("mallory", 3_000_000, 5) == "taken"


def test_a_head_that_was_refused_counts_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    with bravo.receiving() as receiver, pytest.MonkeyPatch.context() as full:
        full.setattr(limits, "DIODE_ROOM", 1 << 60)
        feed(receiver, alpha.sent(outgoing))
        assert receiver.arrivals == {}
        full.undo()
        feed(receiver, alpha.sent(outgoing))
        assert receiver.arrivals == {}, "it was refused a moment ago"
        monkeypatch.setattr(limits, "DIODE_QUIET", 1e-9)
        feed(receiver, alpha.sent(outgoing))
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)


def test_a_bundle_that_has_no_room_is_refused_before_a_byte_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    monkeypatch.setattr(limits, "DIODE_ROOM", 1 << 60)
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(alpha.outgoing()))
        assert receiver.arrivals == {}
        assert "no room for the bundle" in bravo.said[-1]


@pytest.mark.parametrize(
    "files",
    [
        [SentFile(name="../x", size=4)], [SentFile(name="volumes/../../x", size=4)], [SentFile(name="/etc/x", size=4)],
        [SentFile(name="volumes/1.7z", size=4)], [SentFile(name="x", size=4)], [SentFile(name="SHA256SUMS", size=-4)],
        [SentFile(name="README.txt", size=2), SentFile(name="README.txt", size=2)],
        [SentFile(name="volumes/0001.7z", size=5)], [],
    ],
)  # fmt: skip
def test_a_table_with_names_or_sizes_that_no_bundle_has_is_refused(files: list[SentFile]) -> None:
    raw = table.encode(Table(files=files, blocks=["0" * 64]))
    with pytest.raises(MalformedError):
        table.decode(raw, geometry.Geometry(4, 4096))


def test_a_head_is_one_form_and_every_field_is_checked(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE, size=10), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    trust, outgoing = TrustFolder.load(bravo.trust), alpha.outgoing()
    assert session.open_head(outgoing.head, trust, at=AT) == outgoing.session
    chance = random.Random(4)
    for _ in range(300):
        changed = bytearray(outgoing.head)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        with pytest.raises(LockgateError):
            session.open_head(bytes(changed), trust, at=AT)
    for cut in (0, 5, 12, len(outgoing.head) - 1):
        with pytest.raises(LockgateError):
            session.open_head(outgoing.head[:cut], trust, at=AT)
    for field, value in (
        ("symbol", 513), ("symbol", 0), ("size", 0), ("size", 1 << 52), ("table_size", 0), ("table_size", 10**9),
        ("bundle", "../x"), ("bundle", "other.bravo-000001"), ("digest", "sha256:x"), ("number", "x"), ("salt", ""),
    ):  # fmt: skip
        fields = {name: getattr(outgoing.session, name) for name in outgoing.session.__struct_fields__} | {field: value}
        head = session.seal(session.Session(**fields), alpha.key)
        with pytest.raises(LockgateError):
            session.open_head(head, trust, at=AT)


def test_with_a_key_of_the_link_nothing_counts_that_is_made_without_it(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing, link = alpha.outgoing(), bytes(range(32))
    with bravo.receiving(link) as receiver:
        feed(receiver, alpha.sent(outgoing))
        assert receiver.arrivals == {}
        feed(receiver, alpha.sent(outgoing, link=link))
        assert len(bravo.delivered) == 1


def test_the_folder_of_unfinished_transfers_is_the_stations_own(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError):
        open_unfinished(tmp_path)
    (tmp_path / NAME).unlink()
    open_unfinished(tmp_path).chmod(0o777)
    with pytest.raises(RefusedError):
        open_unfinished(tmp_path)
    with pytest.raises(LockgateError):
        open_unfinished(tmp_path / "not there")


def test_what_lies_in_a_transfers_folder_is_checked_when_it_is_taken_up(tmp_path: Path) -> None:
    alpha, bravo = Alpha(tmp_path / BUNDLE), Bravo(tmp_path / "bravo")
    bravo.pin(alpha.key)
    outgoing = alpha.outgoing()
    with bravo.receiving() as receiver:
        feed(receiver, alpha.sent(outgoing, blocks=[1]))
        receiver.flush()
    place = bravo.drop / NAME / outgoing.session.transfer
    (place / "done").write_bytes((place / "done").read_bytes() + b"\xff\xff\xff\xff\0")
    (place / "spool" / "0000002").write_bytes(os.urandom(50_000))
    (place / "spool" / "x").write_bytes(b"")
    (place / "spool" / "9999999").write_bytes(b"")
    with bravo.receiving() as receiver:
        (arrival,) = receiver.arrivals.values()
        assert arrival.missing() == [2, 3]
        feed(receiver, alpha.sent(outgoing, fresh=1))
        feed(receiver, alpha.sent(outgoing, fresh=2))
        assert files_of(bravo.drop / BUNDLE) == files_of(alpha.folder)
    (bravo.drop / NAME / ("0" * 32)).mkdir()
    with bravo.receiving() as receiver:
        assert receiver.arrivals == {}
    assert list((bravo.drop / NAME).iterdir()) == []
