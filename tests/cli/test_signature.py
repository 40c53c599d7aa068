"""`lockgate signature list` and what pins its keys, at a station that serves."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Run
from tests.image_signatures.signer import DATA, INDEX, Layout
from tests.stage import Station

LEGACY, NOTATION = Layout("legacy"), Layout("notation")
CHILDREN = [child.digest for child in LEGACY.manifests[INDEX].manifests]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layouts and the keys, unpacked."""
    root = tmp_path_factory.mktemp("signed")
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(root)
    return root


@pytest.fixture(scope="module")
def alpha(folder: Path) -> Iterator[Station]:
    with Station(folder / "alpha", "alpha", "outside") as station:
        yield station


def test_who_signed_is_said_by_the_keys_that_are_pinned_at_the_time(alpha: Station, folder: Path, run: Run) -> None:
    def at(*words: str | Path) -> Ended:
        return run(*words, "-C", alpha.folder)

    for layout in ("legacy", "bundle"):
        assert at("collect", f"oci:{folder / layout}", "--as", f"vec/{layout}:1").status == 0
    unknown = at("signature", "list", "vec/legacy:1", "--json")
    assert {one["refusal"] for image in unknown.document["images"] for one in image["signatures"]} == {"unknown-key"}
    assert (unknown.status, "lockgate key trust FILE --purpose image" in unknown.err) == (3, True)
    at("key", "trust", folder / "cosign.pub", "--purpose", "image", "--owner", "Build team")

    known = at("signature", "list", "vec/legacy:1", "--json")
    index, *children = known.document["images"]
    assert (known.status, index["digest"], index["signed_by"]) == (0, str(INDEX), ["Build team"])
    assert {(one["format"], one["claim"], one["keyid"]) for one in index["signatures"]} == {
        ("cosign", "signature", LEGACY.cosign.keyid), ("dsse", "attestation", LEGACY.cosign.keyid),
    }  # fmt: skip
    assert [(one["state"], one["through"]) for one in children] == [("through-index", str(INDEX))] * 2
    text = at("signature", "list", "vec/bundle:1").out
    assert f"signature by Build team, key {LEGACY.cosign.keyid}, sigstore-bundle" in text
    assert "attestation slsa-provenance by Build team" in text
    alone = at("signature", "list", f"vec/legacy@{CHILDREN[0]}", "--json")
    assert (alone.status, alone.document["state"]) == (3, "unsigned")
    assert at("signature", "list", "vec/none:1").status == 1

    # From a registry, with what is attached in every form.
    host = alpha.base.removeprefix("http://")
    for layout in ("legacy", "bundle"):
        at("collect", f"{host}/vec/{layout}:1", "--as", f"copied/{layout}:1")
        found = [at("signature", "list", f"{place}/{layout}:1", "--json").document for place in ("vec", "copied")]
        assert found[0]["images"] == found[1]["images"]
        tags = [at("repo", "tags", f"{place}/{layout}", "--json").document["items"] for place in ("vec", "copied")]
        assert [one["tag"] for one in tags[0]] == [one["tag"] for one in tags[1]]

    # A document of one is gone from the disk, then the key is revoked.
    (document,) = (digest for digest, raw in LEGACY.store.blobs.items() if b'"cosign container image' in raw)
    (alpha.folder / "store" / "blobs" / document.path).unlink()
    lost = at("signature", "list", "vec/legacy:1", "--json")
    assert (lost.status, lost.document["state"]) == (4, "not-read")
    at("key", "revoke", LEGACY.cosign.keyid, "--why", "lost")
    revoked = at("signature", "list", "vec/bundle:1", "--json")
    told = {(one["refusal"], one["owner"]) for image in revoked.document["images"] for one in image["signatures"]}
    assert (revoked.status, told) == (3, {("key-revoked", "Build team")})


def test_a_root_certificate_is_pinned_for_images_and_bundles_alone(alpha: Station, folder: Path, run: Run) -> None:
    def at(*words: str | Path) -> Ended:
        return run(*words, "-C", alpha.folder)

    root = folder / "notation-root.crt"
    refused = at("key", "trust", root, "--purpose", "receipt", "--owner", "PKI", "--from", "beta")
    assert (refused.status, "a root certificate is pinned for images and bundles alone" in refused.err) == (2, True)
    assert at("key", "trust", root, "--purpose", "image", "--owner", "Example PKI").status == 0
    (listed,) = [one for one in at("key", "list", "--json").document["trusted"] if one["algorithm"] == "x509"]
    assert (listed["keyid"], listed["purposes"]) == (NOTATION.root.keyid, ["image"])
    copy = folder / "trust-copy"
    assert at("key", "export-trust", copy).status == 0
    assert (copy / f"{NOTATION.root.keyid}.pem").read_bytes() == root.read_bytes()
    at("collect", f"oci:{folder / 'notation'}", "--as", "vec/notation:1")
    assert at("key", "revoke", NOTATION.root.keyid, "--why", "lost").status == 0
    found = at("signature", "list", "vec/notation:1", "--json").document["images"][0]["signatures"]
    assert {one["refusal"] for one in found} == {"key-revoked"}
