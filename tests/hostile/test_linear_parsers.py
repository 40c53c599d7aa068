"""What untrusted bytes cost to read grows with their number, and not with its square."""

from __future__ import annotations

import gc
import time

import pytest

from tests.hostile.adversarial import SHAPES, Shape, read
from tests.meter import steps

SMALL, TIMES, MOST = 32 * 1024, 8, 12
HEADER = 2 * 1024
"""A path's least size: eight times it is the ceiling of a request's line."""
FAST = 0.002
"""Seconds (processor time) below which a reading says nothing: a parser with a ceiling refuses at once."""
READINGS = 15
"""Of either size, by turns, the least of which count: both then see the machine in the same state."""
CEILING_SECONDS = 2.0
"""For 64 KiB of any shape, which the slowest parser reads in a twentieth of that on a busy machine."""


def seconds(shape: Shape, data: bytes) -> float:
    gc.disable()  # the collector's passes over what was made before are no work of the parser's
    try:
        began = time.process_time()
        read(shape, data)
        return time.process_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_64_kib_of_it_are_read_within_a_fixed_time(shape: Shape) -> None:
    assert seconds(shape, shape.grow(64 * 1024)) < CEILING_SECONDS


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_eight_times_as_much_costs_less_than_twelve_times_the_work(shape: Shape) -> None:
    size = HEADER if shape.name.startswith("path") else SMALL
    small, large = shape.grow(size), shape.grow(TIMES * size)
    both = [(seconds(shape, small), seconds(shape, large)) for _ in range(READINGS)]
    before, after = (min(each) for each in zip(*both, strict=True))
    assert after < MOST * max(before, FAST), f"{before:.4f} s for {len(small)} bytes, {after:.4f} s for {len(large)}"


def lines_run(shape: Shape, data: bytes) -> int:
    """Lines of Python that the parser goes through."""
    return steps(lambda: read(shape, data))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_eight_times_as_much_takes_less_than_twelve_times_the_steps(shape: Shape) -> None:
    before, after = (lines_run(shape, shape.grow(size)) for size in (512, 8 * 512))
    assert after < MOST * max(before, 100)
