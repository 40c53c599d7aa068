"""What hostile tests start from: the good test vectors, to be spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bundles.signing.trust import TrustFolder
from tests.vectors.known import HERE, ONE


@pytest.fixture(scope="session")
def pinned() -> TrustFolder:
    """The vectors' trust folder, of site bravo."""
    return TrustFolder.load(HERE / "trust")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A copy of a bundle of three volumes of a few hundred bytes."""
    return Path(shutil.copytree(HERE / "bundles" / ONE, tmp_path / Path(ONE).name))
