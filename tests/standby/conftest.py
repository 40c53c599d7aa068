"""A primary with an exchange for its stand-by, and a bundle that it trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles.small import SmallBundle
from tests.intake.inside import small_bundle
from tests.standby.pair import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def bundle(tmp_path: Path, pair: Pair) -> SmallBundle:
    made = small_bundle(tmp_path / "carried")
    pair.inside.trust(made.key.public)
    return made
