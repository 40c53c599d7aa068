"""An inside station of its own for every test, and a small bundle that it trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, small_bundle


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo") as station:
        yield station


@pytest.fixture
def bundle(tmp_path: Path, inside: Inside) -> SmallBundle:
    """A bundle on one medium, of several volumes, one blob of it in parts."""
    made = small_bundle(tmp_path / "carried")
    inside.trust(made.key.public)
    return made


@pytest.fixture
def spread(tmp_path: Path, inside: Inside) -> SmallBundle:
    """A bundle over two media."""
    made = small_bundle(tmp_path / "spread", media=2)
    inside.trust(made.key.public)
    return made
