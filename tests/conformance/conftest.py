"""One live registry for the module; each test has a repository of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.registry_server import Server, Store

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Store(tmp_path_factory.mktemp("store")) as store:
        yield store.serve()


@pytest.fixture
def repository() -> str:
    """A name nobody has used in this process."""
    return f"conformance/repo-{next(_numbers)}"
