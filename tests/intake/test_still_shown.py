"""What clients copied of a release is named when the release is taken back, and when its content is recalled."""

from __future__ import annotations

import msgspec

from appliance import clock
from appliance.custody.recall import recall, still_shown
from appliance.intake.release import prepare_withdraw
from appliance.store.reads.intake import find_entry
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import PutManifest
from bundles.oci.manifest import OCI_MANIFEST
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of

NAME = name_of()


def copied(station: Inside, digest: str, repository: str) -> None:
    """As a client that pushes a manifest which it pulled."""
    found = station.station.reader.execute("SELECT size, crc32 FROM blobs WHERE digest = ?", (digest,)).fetchone()
    row = ManifestRow(blob=BlobRow(digest=digest, size=found[0], crc32=found[1]), media_type=OCI_MANIFEST)
    station.writer.submit(PutManifest(repository=repository, manifest=row, at=clock.now(), tags=("kept",)))


def test_a_copy_is_named_and_recalled_and_nothing_else_is(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    inside.decide(NAME, inside.officer())
    inside.release(NAME)
    artifact, reader = bundle.artifacts[0], inside.station.reader
    write = prepare_withdraw(inside.station, find_entry(reader, NAME), "malicious", "clara")
    copied(inside, artifact.digest, "team/scratch")
    inside.withdraw(NAME, "malicious")
    assert still_shown(reader, write) == [f"team/scratch@{artifact.digest}"]
    tags = msgspec.to_builtins(recall(reader, inside.station.paths, artifact.digest).tags)
    copy = {"reference": "team/scratch:kept", "digest": artifact.digest, "bundle": "", "shown": "yes"}
    assert copy in tags
    assert [one["shown"] for one in tags if one["bundle"]] == ["no"]
    other = msgspec.to_builtins(recall(reader, inside.station.paths, bundle.artifacts[1].digest).tags)
    assert all(one["bundle"] for one in other)
