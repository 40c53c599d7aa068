"""Indexes within indexes: a bound along every path, whichever order they are met in."""

from __future__ import annotations

import random

import pytest

from bundles.errors import RefusedError
from bundles.limits import INDEX_DEPTH
from bundles.oci.digest import Digest
from bundles.oci.nesting import check_nesting


def name(number: int) -> Digest:
    return Digest.of(str(number).encode())


def chain(length: int) -> dict[Digest, list[Digest]]:
    """`length` steps: index 0 names index 1 and so on; the last names an image."""
    return {name(number): [name(number + 1)] for number in range(length)}


def test_a_chain_up_to_the_bound_is_taken_and_one_beyond_is_not() -> None:
    check_nesting(chain(INDEX_DEPTH))
    with pytest.raises(RefusedError, match="nested too deep"):
        check_nesting(chain(INDEX_DEPTH + 1))


@pytest.mark.parametrize("seed", range(5))
def test_an_index_that_lists_a_deep_chain_flat_is_refused_in_any_order(seed: int) -> None:
    deep = list(chain(300).items())
    root = (name(-1), [digest for digest, _ in deep])
    everything = [root, *deep]
    random.Random(seed).shuffle(everything)
    with pytest.raises(RefusedError, match="nested too deep"):
        check_nesting(dict(everything))


def test_width_is_no_depth_and_an_empty_index_no_level() -> None:
    check_nesting({name(0): [name(number) for number in range(1, 20_000)]})
    check_nesting(chain(INDEX_DEPTH) | {name(INDEX_DEPTH): []})


def test_a_loop_ends() -> None:
    with pytest.raises(RefusedError):
        check_nesting({name(0): [name(1)], name(1): [name(0)]})
