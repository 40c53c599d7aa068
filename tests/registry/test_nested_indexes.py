"""An index that is nested too deep is not pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.limits import registry as limits
from bundles.limits import INDEX_DEPTH
from tests.conformance.shapes import OCI_INDEX, image, index
from tests.registry_server import Server, Store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Store(tmp_path) as store:
        yield store.serve()


def push(server: Server, body: bytes) -> tuple[int, str]:
    answer = server.ask("PUT", "/v2/team/app/manifests/v1", body, {"Content-Type": OCI_INDEX})
    return answer.status, "" if answer.status == 201 else answer.code


def test_an_index_beyond_the_bound_is_refused_and_moves_no_tag(server: Server) -> None:
    inner = image()
    inner.push(server, "team/app", "v1")
    for _ in range(INDEX_DEPTH):
        inner = index([inner])
        assert push(server, inner.manifest) == (201, "")
    assert push(server, index([inner]).manifest) == (400, "MANIFEST_INVALID")
    assert server.ask("GET", "/v2/team/app/manifests/v1").body == inner.manifest


def test_a_short_way_to_a_deep_index_does_not_hide_the_long_one(server: Server) -> None:
    levels = [image()]
    levels[0].push(server, "team/app", "v1")
    for _ in range(INDEX_DEPTH):
        levels.append(index([levels[-1]]))
        assert push(server, levels[-1].manifest)[0] == 201
    listed = [one.described() for one in levels]
    flat = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
    assert push(server, flat) == (400, "MANIFEST_INVALID")


def test_an_index_of_too_many_indexes_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSHED_INDEXES", 3)
    children = [index([image()]) for _ in range(4)]
    for child in children:
        child.children[0].push(server, "team/app", "x")
        assert push(server, child.manifest)[0] == 201
    assert push(server, index(children).manifest) == (400, "MANIFEST_INVALID")
