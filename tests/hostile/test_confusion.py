"""Bytes signed as one thing never pass as another: kinds of documents, purposes of keys, names of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bundles import limits
from bundles.documents import signed
from bundles.documents.signed import Approval, Receipt, check_signature
from bundles.errors import LockgateError, RefusedError
from bundles.format import sums
from bundles.format.sums import SumLine
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder
from bundles.verify import verify
from tests.vectors.known import KEYS, NOW, signature_name

SHA = "sha256:" + "0" * 64
RECEIPT = signed.encode(Receipt(site="alpha", number=1, previous=None, created=NOW, streams=[], blobs=[]))
APPROVAL = signed.encode(
    Approval(
        site="bravo", bundle="alpha.bravo-000001", digest=SHA, report=SHA, decision="approve", why="",
        keyid=KEYS["engineer"].public.keyid, created=NOW, not_after=NOW,
    )
)  # fmt: skip


@pytest.fixture
def trusted_for_all(tmp_path: Path) -> TrustFolder:
    """A folder where the engineer may sign bundles, receipts and approvals alike."""
    init_trust(tmp_path / "trust", "bravo")
    for purpose in ("bundle", "receipt", "release"):
        trust_key(tmp_path / "trust", KEYS["engineer"].public, purpose=purpose, owner="E", sites=["alpha"])
    return TrustFolder.load(tmp_path / "trust")


def refusal(folder: Path, trust: TrustFolder) -> str:
    with pytest.raises(RefusedError) as caught:
        verify([folder], trust, NOW, no_progress)
    return caught.value.diagnostics()


def resign(folder: Path, root: bytes, key: PrivateKey = KEYS["engineer"]) -> None:
    (folder / sums.NAME).write_bytes(root)
    (folder / signature_name("engineer")).write_bytes(key.sign(root))


@pytest.mark.parametrize("document", [RECEIPT, APPROVAL], ids=["receipt", "approval"])
def test_a_signed_document_in_the_place_of_the_root_is_refused(
    tiny: Path, trusted_for_all: TrustFolder, document: bytes
) -> None:
    resign(tiny, document)
    assert "SHA256SUMS" in refusal(tiny, trusted_for_all)


@pytest.mark.parametrize("document", [RECEIPT, APPROVAL], ids=["receipt", "approval"])
def test_a_signed_document_in_the_place_of_the_manifest_is_refused(
    tiny: Path, trusted_for_all: TrustFolder, document: bytes
) -> None:
    old = hashlib.sha256((tiny / "manifest.json").read_bytes()).hexdigest().encode()
    root = (tiny / "SHA256SUMS").read_bytes().replace(old, hashlib.sha256(document).hexdigest().encode())
    (tiny / "manifest.json").write_bytes(document)
    resign(tiny, root)
    assert "another kind of document" in refusal(tiny, trusted_for_all)


def test_a_bundles_signature_approves_nothing(tiny: Path, trusted_for_all: TrustFolder) -> None:
    signature = (tiny / signature_name("engineer")).read_bytes()
    with pytest.raises(RefusedError, match="the signature does not hold"):
        check_signature(APPROVAL, KEYS["engineer"].public.keyid, signature, trusted_for_all, at=NOW, site=None)


def test_a_signed_root_is_no_document(tiny: Path, trusted_for_all: TrustFolder) -> None:
    root = (tiny / "SHA256SUMS").read_bytes()
    signature = (tiny / signature_name("engineer")).read_bytes()
    with pytest.raises(RefusedError, match="not JSON"):
        check_signature(root, KEYS["engineer"].public.keyid, signature, trusted_for_all, at=NOW, site=None)


def test_an_approval_is_no_receipt_even_by_a_key_for_both(trusted_for_all: TrustFolder) -> None:
    with pytest.raises(LockgateError, match="not a receipt"):
        signed.decode(APPROVAL, Receipt)


@pytest.mark.parametrize("path", ["volumes/0004.7z", "volumes/0000.7z"])
def test_the_root_names_exactly_the_manifests_volumes(tiny: Path, pinned: TrustFolder, path: str) -> None:
    lines = [*sums.parse((tiny / "SHA256SUMS").read_bytes()), SumLine("0" * 64, path)]
    resign(tiny, sums.render(lines))
    assert f"do not name the same volumes: {path}" in refusal(tiny, pinned)


def test_a_root_of_another_bundle_with_its_own_signature_does_not_fit(tiny: Path, pinned: TrustFolder) -> None:
    lines = [SumLine("0" * 64, line.path) for line in sums.parse((tiny / "SHA256SUMS").read_bytes())]
    resign(tiny, sums.render(lines))
    assert "not the ones SHA256SUMS names" in refusal(tiny, pinned)


@pytest.mark.parametrize(
    ("name", "ceiling"),
    [
        ("SHA256SUMS", limits.SUMS_FILE),
        ("manifest.json", limits.BUNDLE_MANIFEST),
        ("README.txt", limits.README_FILE),
        (signature_name("engineer"), limits.SIGNATURE_FILE),
    ],
)
def test_a_small_file_beyond_its_ceiling_is_refused_unread(
    tiny: Path, pinned: TrustFolder, name: str, ceiling: int
) -> None:
    with (tiny / name).open("r+b") as file:
        file.truncate(ceiling + 1)
    line = refusal(tiny, pinned)
    assert "too large" in line
    assert name in line


def test_more_volumes_than_there_are_names_are_not_listed_to_the_end(
    tiny: Path, pinned: TrustFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VOLUMES", 5)
    for number in range(4, 10):
        (tiny / f"volumes/{number:04d}.7z").touch()
    assert "too many volumes" in refusal(tiny, pinned)


def test_a_file_name_that_would_steer_a_terminal_is_refused_on_one_line(tiny: Path, pinned: TrustFolder) -> None:
    from bundles.io.display import safe

    (tiny / "\x1b[2J\n\u202eevil").touch()
    line = safe(refusal(tiny, pinned))
    assert "\\x1b[2J\\x0a\\u202eevil" in line
    assert line.isprintable()
