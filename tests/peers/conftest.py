"""A live registry for stock clients, and a layout with an image of two platforms for them to carry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.stock import Layout
from tests.registry_server import Server, Store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Store(tmp_path_factory.mktemp("store")) as store:
        yield store.serve()


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """`amd64` and `arm64`, images of a small and a larger layer, and `both`, the index of the two."""
    made = Layout(tmp_path_factory.mktemp("layout"))
    images = [
        made.image({"etc/name": name.encode(), "opt/payload": name.encode() * 500_000}, name)
        for name in ("amd64", "arm64")
    ]
    for name, described in zip(("amd64", "arm64", "both"), (*images, made.index(images)), strict=True):
        made.tag(name, described)
    return made
