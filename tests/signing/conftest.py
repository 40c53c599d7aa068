"""Keys and a trust folder, made once for the tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import init_trust
from bundles.signing.signatures import ALGORITHMS


@pytest.fixture(scope="session", params=ALGORITHMS)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    """A key of every algorithm in turn."""
    return create_private(request.param)


@pytest.fixture(scope="session")
def ecdsa() -> PrivateKey:
    return create_private()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty trust folder of site bravo."""
    init_trust(tmp_path / "trust", "bravo")
    return tmp_path / "trust"
