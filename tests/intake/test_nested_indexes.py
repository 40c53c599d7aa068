"""A bundle whose indexes are nested too deep is refused, in whichever order they are listed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.intake.content import check_content
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from bundles.errors import RefusedError
from bundles.format.manifest import Artifact
from bundles.limits import INDEX_DEPTH
from tests.conformance.shapes import Content, image, index


def nested(levels: int) -> list[Content]:
    found = [image()]
    for _ in range(levels):
        found.append(index([found[-1]]))
    return found


def carried(tmp_path: Path, content: list[Content]) -> tuple[BlobStore, Any]:
    """A store with all of it, and a manifest that announces it."""
    store, blobs, artifacts = BlobStore(StationPaths(tmp_path)), [], []
    for one in content:
        store.put(one.manifest, one.digest)
        blobs += [SimpleNamespace(digest=str(body_digest), size=size) for body_digest, size in _blobs(one)]
        artifacts.append(
            Artifact(
                repository="team/app", digest=str(one.digest), mediaType=one.media_type, kind="index",
                size=len(one.manifest), platform="", tags=[],
            )
        )  # fmt: skip
    return store, SimpleNamespace(artifacts=artifacts, blobs=blobs, requires=[])


def _blobs(content: Content) -> list[tuple[str, int]]:
    from bundles.oci.digest import Digest

    return [(str(Digest.of(body)), len(body)) for body in content.blobs]


def test_indexes_up_to_the_bound_are_taken(tmp_path: Path) -> None:
    store, manifest = carried(tmp_path, nested(INDEX_DEPTH))
    assert len(check_content(store, manifest)) == INDEX_DEPTH + 1


@pytest.mark.parametrize("flat", [False, True])
def test_three_hundred_levels_are_refused(tmp_path: Path, flat: bool) -> None:
    content = nested(300)
    if flat:
        content.append(index(content[:4]))
    with pytest.raises(RefusedError, match="nested too deep"):
        check_content(*carried(tmp_path, content))
