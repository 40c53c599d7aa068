"""A signed document is of one kind, in one form, by a key that may sign that kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles.documents import signed
from bundles.documents.signed import Approval, HeldBlob, Receipt, Report, Section, StreamHead, check_signature
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import revoke_key, trust_key
from bundles.signing.trust import TrustFolder

AT = "2026-06-01T12:00:00Z"
SHA = "sha256:" + "0" * 64

APPROVAL = Approval(
    site="bravo", bundle="alpha.bravo-000001", digest=SHA, report=SHA, decision="approve", why="",
    keyid="0" * 16, created=AT, not_after="2026-06-02T12:00:00Z",
)  # fmt: skip
REPORT = Report(
    site="bravo", bundle="alpha.bravo-000001", digest=SHA, created=AT,
    sections=[Section(inspector="integrity", outcome="ok", summary="every byte", details={"volumes": 3})],
)  # fmt: skip
RECEIPT = Receipt(
    site="bravo", number=2, previous=SHA, created=AT,
    streams=[StreamHead(stream="alpha.bravo", sequence=1, digest=SHA)],
    blobs=[HeldBlob(digest=SHA, size=0), HeldBlob(digest="sha512:" + "0" * 128, size=7)],
)  # fmt: skip
ALL = [APPROVAL, REPORT, RECEIPT]


@pytest.mark.parametrize("document", ALL, ids=lambda document: type(document).__name__)
def test_a_document_comes_back_as_it_was(document: Approval | Report | Receipt) -> None:
    assert signed.decode(signed.encode(document), type(document)) == document


@pytest.mark.parametrize("document", ALL, ids=lambda document: type(document).__name__)
@pytest.mark.parametrize("kind", [Approval, Report, Receipt])
def test_a_document_is_never_read_as_another_kind(
    document: Approval | Report | Receipt, kind: type[Approval | Report | Receipt]
) -> None:
    if not isinstance(document, kind):
        with pytest.raises(MalformedError, match=f"not a {kind.__name__.lower()}"):
            signed.decode(signed.encode(document), kind)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\n",
        lambda raw: json.dumps(json.loads(raw), indent=1).encode(),
        lambda raw: raw.replace(b"{", b'{"aaa":1,', 1),
        lambda raw: raw.replace(b'"site":"bravo"', b'"site":"bravo","site":"bravo"'),
        lambda raw: raw.replace(b'"site":"bravo",', b""),
        lambda raw: raw.replace(b'"site":"bravo"', b'"site":7'),
        lambda raw: b"[]",
        lambda raw: b"",
    ],
    ids=["a newline", "indented", "a field more", "a field twice", "a field less", "a wrong type", "a list", "nothing"],
)
def test_bytes_that_are_not_the_one_form_are_refused(change: Callable[[bytes], bytes]) -> None:
    for document in ALL:
        with pytest.raises(MalformedError):
            signed.decode(change(signed.encode(document)), type(document))


WRONG = [
    (APPROVAL, {"site": "../bravo"}),
    (APPROVAL, {"digest": "sha512:" + "0" * 128}),
    (APPROVAL, {"report": "sha256:0"}),
    (APPROVAL, {"decision": "maybe"}),
    (APPROVAL, {"keyid": "0" * 15}),
    (APPROVAL, {"created": "today"}),
    (APPROVAL, {"not_after": "2026-05-31T00:00:00Z"}),
    (REPORT, {"digest": ""}),
    (REPORT, {"sections": [{"inspector": "x", "outcome": "fine", "summary": "", "details": {}}]}),
    (RECEIPT, {"number": 0}),
    (RECEIPT, {"number": 1}),
    (RECEIPT, {"previous": None}),
    (RECEIPT, {"streams": [{"stream": "bravo.alpha", "sequence": 1, "digest": SHA}]}),
    (RECEIPT, {"streams": [{"stream": "alpha.bravo", "sequence": 1_000_000, "digest": SHA}]}),
    (RECEIPT, {"blobs": [{"digest": SHA, "size": 1}, {"digest": SHA, "size": 1}]}),
    (RECEIPT, {"blobs": [{"digest": "sha256:../../etc/passwd", "size": 1}]}),
    (RECEIPT, {"blobs": [{"digest": SHA, "size": -1}]}),
]


@pytest.mark.parametrize(("document", "changes"), WRONG, ids=[f"{type(d).__name__} {c}"[:60] for d, c in WRONG])
def test_a_field_that_cannot_be_is_refused_on_the_way_in(
    document: Approval | Report | Receipt, changes: dict[str, Any]
) -> None:
    fields = {**json.loads(signed.encode(document)), **changes}
    with pytest.raises(MalformedError):
        signed.decode(strict_json.canonical(fields), type(document))


@pytest.fixture
def officer(folder: Path) -> PrivateKey:
    """A key that is trusted for releases."""
    key = create_private()
    trust_key(folder, key.public, purpose="release", owner="Officer")
    return key


@pytest.fixture
def inside(folder: Path) -> PrivateKey:
    """A key that is trusted for bravo's receipts."""
    key = create_private()
    trust_key(folder, key.public, purpose="receipt", owner="Bravo's station", sites=["bravo"])
    return key


def refusal(folder: Path, raw: bytes, key: PrivateKey, signature: bytes | None = None, site: str | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        check_signature(raw, key.public.keyid, signature or key.sign(raw), TrustFolder.load(folder), at=AT, site=site)
    return caught.value.diagnostics()


def test_a_signature_counts_for_the_document_its_key_is_trusted_for(
    folder: Path, officer: PrivateKey, inside: PrivateKey
) -> None:
    trust = TrustFolder.load(folder)
    for key, document, site in ((officer, APPROVAL, None), (inside, RECEIPT, "bravo")):
        raw = signed.encode(document)
        assert check_signature(raw, key.public.keyid, key.sign(raw), trust, at=AT, site=site).key == key.public


def test_a_receipt_key_approves_nothing_and_an_officer_gives_no_receipt(
    folder: Path, officer: PrivateKey, inside: PrivateKey
) -> None:
    assert "not for release" in refusal(folder, signed.encode(APPROVAL), inside)
    assert "not for receipt" in refusal(folder, signed.encode(RECEIPT), officer)


def test_a_receipt_key_of_another_site_is_refused(folder: Path, inside: PrivateKey) -> None:
    assert "not for charlie" in refusal(folder, signed.encode(RECEIPT), inside, site="charlie")


def test_nobody_signs_a_report_or_anything_without_a_type(folder: Path, officer: PrivateKey) -> None:
    for raw in (signed.encode(REPORT), b"{}", b"[]", b'{"type":["x"]}'):
        assert "a type that nobody signs" in refusal(folder, raw, officer)


def test_an_unknown_key_is_refused_and_so_is_a_revoked_one(folder: Path, officer: PrivateKey) -> None:
    raw = signed.encode(APPROVAL)
    assert "the signer is unknown" in refusal(folder, raw, create_private())
    revoke_key(folder, officer.public.keyid, why="left the house", at=AT)
    assert "left the house" in refusal(folder, raw, officer)


def test_changed_bytes_are_refused_before_they_are_read(folder: Path, officer: PrivateKey) -> None:
    raw = signed.encode(APPROVAL)
    for other in (raw.replace(b"approve", b"reject"), b"no JSON at all", b"[" * 10_000):
        assert "the signature does not hold" in refusal(folder, other, officer, officer.sign(raw))


def test_signed_bytes_that_are_not_canonical_are_refused(folder: Path, officer: PrivateKey) -> None:
    assert "not canonical" in refusal(folder, signed.encode(APPROVAL) + b"\n", officer)
    assert "duplicate JSON key" in refusal(folder, b'{"type":"a","type":"b"}', officer)
