"""From collect to release, with the blobs of both sides in buckets, and the metadata in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.store.s3.keys import blob_key
from bundles.oci.digest import Digest
from tests.registry_server import Client
from tests.s3.station import in_bucket
from tests.s3_server import S3Server, make_bucket
from tests.stage import Station

pytestmark = pytest.mark.s3

CONTENT = bytes(range(256)) * 5000


def test_what_was_collected_is_built_imported_and_released_by_way_of_two_buckets(s3: S3Server, tmp_path: Path) -> None:
    outside, inside = s3.new_place(), s3.new_place()
    with (
        Station(tmp_path / "alpha", "alpha", "outside", *in_bucket(outside, tmp_path / "a.key")) as alpha,
        Station(tmp_path / "bravo", "bravo", "inside", *in_bucket(inside, tmp_path / "b.key")) as bravo,
    ):
        alpha.run("key", "create", "builder", "--no-passphrase")
        bravo.run("key", "create", "anna", "--no-passphrase")
        for at, name, words in ((alpha, "builder", ("bundle", "--from", "alpha")), (bravo, "anna", ("release",))):
            pem = tmp_path / f"{name}.pem"
            pem.write_text(at.run("key", "export", name).stdout)
            bravo.run("key", "trust", pem, "--owner", name, "--purpose", *words)
        (tmp_path / "notes.bin").write_bytes(CONTENT)
        (tmp_path / "medium").mkdir()
        reference = alpha.run("collect", f"file:{tmp_path}/notes.bin", "--as", "files/notes:1").last_line
        built = alpha.run(
            "bundle", "build", "--to", "bravo", "--out", tmp_path / "medium", "--sign-with", "builder", reference
        ).last_line
        digest = Digest.of(CONTENT)
        bravo.run("intake", "import", built)
        client, path = Client(int(bravo.base.rpartition(":")[2])), f"/v2/files/notes/blobs/{digest}"
        assert client.ask("GET", path).status == 404
        bravo.run("intake", "approve", Path(built).name, "--key", "anna")
        bravo.run("intake", "release", Path(built).name)
        assert client.ask("GET", path).body == CONTENT
        bravo.run("intake", "check")
        bravo.run("scrub")
        for place in (outside, inside):
            assert make_bucket(place).size(blob_key(digest)) == len(CONTENT)
