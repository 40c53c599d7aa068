"""How bytes are cut, coded and counted: no file, no socket."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from appliance.diode import coder, geometry, table
from appliance.diode.geometry import Geometry, symbol_of
from appliance.diode.missing import make_code, read_code
from appliance.diode.pacing import Pacing
from appliance.diode.table import Piece, SentFile
from bundles.errors import UsageError

TRANSFER = "0" * 32


@pytest.mark.parametrize("symbol", [geometry.LEAST_SYMBOL, 1408, geometry.MOST_SYMBOL])
def test_a_whole_blocks_own_symbols_are_its_bytes_in_their_order(symbol: int) -> None:
    """RFC 6330, 4.4.1.2: with N = 1 a symbol is a piece of the block; above the library's memory bound it is not."""
    whole = Geometry(10**9, symbol)
    block = random.Random(1).randbytes(whole.block)
    assert b"".join(coder.encode(block, symbol, 0, whole.symbols)) == block


@pytest.mark.parametrize("length", [1, 511, 512, 513, 9000])
def test_any_symbols_as_many_as_a_block_has_or_few_more_are_the_block(length: int) -> None:
    block, own = random.Random(length).randbytes(length), Geometry(length, 512).count(length)
    symbols = coder.encode(block, 512, 0, own + 40)
    assert b"".join(symbols)[:length] == block
    records = [esi.to_bytes(4, "big") + symbol for esi, symbol in enumerate(symbols)]
    assert coder.decode(iter(records[own : own + own + 4]), length, 512) == block
    assert coder.decode(iter(records[: own - 1]), length, 512) is None
    assert coder.encode(block, 512, own + 7, 5) == symbols[own + 7 : own + 12]


def test_every_byte_of_the_stream_is_in_one_block_and_one_file() -> None:
    files = [SentFile(name=str(number), size=size) for number, size in enumerate((0, 5, 100, 1, 0, 64, 3))]
    total = sum(file.size for file in files)
    for step in (1, 7, 64, 200):
        seen: dict[str, list[tuple[int, int]]] = {}
        for start in range(0, total, step):
            pieces = table.pieces(files, start, min(step, total - start))
            assert sum(piece.size for piece in pieces) == min(step, total - start)
            for piece in pieces:
                seen.setdefault(piece.name, []).append((piece.offset, piece.size))
        for file in files:
            assert sum(size for _, size in seen.get(file.name, [])) == file.size
    assert table.pieces(files, 4, 3) == [Piece("1", 4, 1), Piece("2", 0, 2)]
    for size in (1, 10_239_999, 10_240_000, 10**9):
        whole = Geometry(size, 1408)
        spans = [whole.span(number) for number in range(1, whole.blocks + 1)]
        assert sum(length for _, length in spans) == size
        assert all(a + b == c for (a, b), (c, _) in pairwise(spans))


def test_symbols_fit_into_the_packets_of_the_link() -> None:
    for mtu in range(600, 9001):
        symbol = symbol_of(mtu, 40)
        assert geometry.LEAST_SYMBOL <= symbol <= geometry.MOST_SYMBOL
        assert symbol % geometry.ALIGNMENT == 0
        assert symbol + 40 + geometry.HEADERS <= mtu


def test_a_code_names_the_missing_blocks_and_is_short() -> None:
    assert make_code(TRANSFER, [], 9) == ""
    assert make_code(TRANSFER, [1, 2, 3, 7], 9).partition(".")[0] == "1-3,7"
    assert make_code(TRANSFER, range(1, 10), 9).partition(".")[0] == "all"
    chance = random.Random(2)
    for count in (1, 2, 100, 140_000):
        for _ in range(20):
            blocks = {chance.randrange(1, count + 1) for _ in range(chance.randrange(1, 60))}
            code = make_code(TRANSFER, blocks, count)
            assert len(code) <= 60
            assert blocks <= set(read_code(TRANSFER, f" {code.lower()} ", count))


def test_a_code_that_was_mistyped_or_is_anothers_is_refused() -> None:
    code = make_code(TRANSFER, [3, 4, 17], 20)
    assert read_code(TRANSFER, code, 20) == [3, 4, 17]
    for wrong in (
        "", ".", "3-4,17", code[:-1], code.replace("17", "16"), code.replace("3-4", "4-3"), f"1,{code}",
        f"{code}\n\x1b[2J", "9" * 10_000,
    ):  # fmt: skip
        with pytest.raises(UsageError):
            read_code(TRANSFER, wrong, 20)
    with pytest.raises(UsageError):
        read_code("1" * 32, code, 20)
    with pytest.raises(UsageError):
        read_code(TRANSFER, make_code(TRANSFER, [21], 30), 20)


def test_datagrams_leave_evenly_and_lateness_is_made_up_for_without_a_burst() -> None:
    moment, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        moment[0] += seconds

    pacing = Pacing(1_000_000, lambda: moment[0], sleep)
    for _ in range(1000):
        pacing.take(1000)
    assert moment[0] == pytest.approx(1.0, abs=0.01)
    moment[0] += 0.2  # the machine was busy
    start, times = moment[0], []
    for _ in range(1000):
        pacing.take(1000)
        times.append(moment[0] - start)
    assert times[-1] == pytest.approx(0.8, abs=0.01)
    assert all(times[at + 10] - times[at] > 0.0035 for at in range(0, 900, 10))
