"""The number of a repository's changes: what was concluded from its manifests and tags is dropped when one changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.store.reads.registry import Metadata
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteBlob, DeleteManifest, DeleteTag, LinkBlob, PutManifest, PutTag
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST

AT = "2026-01-01T00:00:00Z"
IMAGE, OTHER, LAYER = (Digest.of(name) for name in (b"image", b"other", b"layer"))


def row(digest: Digest) -> BlobRow:
    return BlobRow(digest=str(digest), size=10, crc32=7)


def put(digest: Digest, *tags: str, repository: str = "team/app", subject: str | None = None) -> PutManifest:
    manifest = ManifestRow(blob=row(digest), media_type=OCI_MANIFEST, subject=subject)
    return PutManifest(repository=repository, manifest=manifest, at=AT, tags=tags)


CHANGES: dict[str, Callable[[], Any]] = {
    "a manifest": lambda: put(OTHER),
    "a tag": lambda: PutTag(repository="team/app", tag="v2", digest=str(IMAGE), at=AT),
    "a tag that is moved": lambda: put(OTHER, "v1"),
    "a tag that is taken": lambda: DeleteTag(repository="team/app", tag="v1"),
    "a manifest that is taken": lambda: DeleteManifest(repository="team/app", digest=str(IMAGE)),
    "a row that is made anew": lambda: put(IMAGE, repository="team/apq", subject=str(OTHER)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_gives_a_repository_a_number_that_it_never_had(
    name: str, writer: LocalWriter, metadata: Metadata
) -> None:
    writer.submit(LinkBlob(repository="team/app", blob=row(LAYER), at=AT))
    seen = {metadata.change_of("team/app")}
    writer.submit(put(IMAGE, "v1"))
    seen.add(metadata.change_of("team/app"))
    assert len(seen) == 2
    writer.submit(CHANGES[name]())
    assert metadata.change_of("team/app") not in seen


def test_a_repository_that_went_and_came_again_has_another_number(writer: LocalWriter, metadata: Metadata) -> None:
    seen = set()
    for _ in range(3):
        writer.submit(put(IMAGE))
        assert metadata.change_of("team/app") not in seen
        seen.add(metadata.change_of("team/app"))
        writer.submit(DeleteManifest(repository="team/app", digest=str(IMAGE)))
        assert metadata.change_of("team/app") == 0


def test_what_changes_no_manifest_and_no_tag_of_a_repository_counts_not(
    writer: LocalWriter, metadata: Metadata
) -> None:
    writer.submit(put(IMAGE, "v1"))
    before = metadata.change_of("team/app")
    writer.submit(put(OTHER, "v1", repository="team/apq"))
    writer.submit(LinkBlob(repository="team/app", blob=row(LAYER), at=AT))
    writer.submit(DeleteBlob(repository="team/app", digest=str(LAYER)))
    assert metadata.change_of("team/app") == before
