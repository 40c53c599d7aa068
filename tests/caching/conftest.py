"""A store and a registry upstream for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.caching.site import CacheSite
from tests.outgoing.small_registry import SmallRegistry, serving
from tests.registry_server import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


@pytest.fixture
def upstream() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as registry:
        yield registry


@pytest.fixture
def site(store: Store, upstream: SmallRegistry) -> CacheSite:
    return CacheSite(store, upstream)
