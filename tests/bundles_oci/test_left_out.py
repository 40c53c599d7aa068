"""The record of what was left out of an index: read as it is written, and nothing where it is none."""

from __future__ import annotations

import json

import pytest

from bundles.oci.descriptor import Descriptor, Platform
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.left_out import PLATFORMS_TYPE, left_out_by, record_of
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST, parse_manifest

INDEX = Descriptor(OCI_INDEX, Digest.of(b"index"), 5)
ARM = Descriptor(OCI_MANIFEST, Digest.of(b"arm"), 3, platform=Platform("linux", "arm64", "v8"))
OTHER = Descriptor(OCI_MANIFEST, Digest.of(b"other"), 5)
NAME = "vnd.lockgate.platforms.left-out"


def test_a_record_refers_to_its_index_and_names_what_was_left_out() -> None:
    raw = record_of(INDEX, [ARM, OTHER])
    assert raw == record_of(INDEX, [OTHER, ARM])
    record = parse_manifest(raw)
    assert record.subject is not None
    assert (record.subject.digest, record.artifact_type) == (INDEX.digest, PLATFORMS_TYPE)
    assert kind_of_manifest(record) == "artifact"
    assert left_out_by(record.artifact_type, record.annotations) == {ARM.digest: "linux/arm64/v8", OTHER.digest: ""}


@pytest.mark.parametrize(
    "said",
    [
        "", "[]", "7", "{", '{"sha256:x": "linux/arm64"}', json.dumps({str(ARM.digest): 7}),
        json.dumps({str(ARM.digest): "linux/\x1b[2J"}), json.dumps({str(ARM.digest): "a/b/c/d"}),
        "[" * 100_000, json.dumps({str(ARM.digest): "x" * 300_000}), "\ud800",
    ],
    ids=lambda said: ascii(said[:20]),
)  # fmt: skip
def test_a_record_that_cannot_be_read_permits_nothing(said: str) -> None:
    assert left_out_by(PLATFORMS_TYPE, {NAME: said}) == {}


def test_another_manifest_with_the_annotation_permits_nothing() -> None:
    record = parse_manifest(record_of(INDEX, [ARM]))
    assert left_out_by("application/vnd.example", record.annotations) == {}
