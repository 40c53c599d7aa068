"""Documents that a reader stumbles over end in a verdict, and a bundle that brings one can always be rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.intake import inspectors
from appliance.intake.inspectors.port import Named, Subject
from bundles.documents.signed import Section
from bundles.errors import MalformedError, RefusedError
from bundles.format.manifest import Artifact
from bundles.image_signatures import carriers
from bundles.image_signatures.verdict import Claim, FormatName
from bundles.oci.manifest import OCI_MANIFEST
from bundles.signing import certificates
from bundles.signing.keys import create_private
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore
from tests.image_signatures.signer import Image, certify, cose, jws, pins
from tests.intake.inside import Inside, carry, name_of, small_bundle

KEY = create_private()
ROOT = certify("root", ca=True)
SIGNER = certify("AAAAAAAA", ROOT)
BELOW = pins(ROOT.pinned, KEY.public)


def renamed(tag: int, text: bytes = b"\x00AAAAAAA") -> bytes:
    """The signer's certificate with its subject's name as another ASN.1 type (X.680, section 8.6)."""
    place = SIGNER.der.find(b"\x0c\x08AAAAAAAA")
    assert place > 0
    return SIGNER.der[:place] + bytes([tag, len(text)]) + text + SIGNER.der[place + 10 :]


@pytest.mark.parametrize("wrap", ["jws", "cose"])
@pytest.mark.parametrize("tag", range(0x01, 0x1F))
def test_a_subject_of_any_type_of_name_is_refused_and_stops_nothing(tag: int, wrap: str) -> None:
    for text in (b"\x00AAAAAAA", b"\xffAAAAAA\xff", b"\xd8\x00\xd8\x00AAAA"):
        for chain in ([renamed(tag, text), ROOT.der], [SIGNER.der, renamed(tag, text), ROOT.der]):
            image = Image()
            if wrap == "jws":
                image.notation(jws(SIGNER, image.target(), chain=chain))
            else:
                image.notation(cose(SIGNER, image.target(), chain=chain), "application/cose")
            assert image.refusal(BELOW) in {"certificate-unfit", "chain-broken"}


def test_a_certificate_whose_subject_cannot_be_read_is_named_by_its_serial_number() -> None:
    odd = certificates.load(renamed(0x03))
    with pytest.raises(MalformedError) as unread:
        certificates.name_of(odd)
    assert unread.value.code == certificates.UNFIT
    with pytest.raises(MalformedError) as caught:
        certificates.check_issued(odd, ROOT.certificate)
    assert caught.value.thing == f"serial number {SIGNER.certificate.serial_number:x}"
    assert caught.value.code == certificates.NOT_ISSUED


@pytest.mark.parametrize("odd", [{"a": 1}, ["a"], [["a"]], {}, [], 1, None, True, 1.5])
def test_a_statement_whose_type_is_no_text_is_refused(odd: Any) -> None:
    image = Image()
    image.bundle_by(KEY, image.statement(_type=odd))
    assert image.refusal(BELOW) == "malformed"


@pytest.mark.parametrize(
    "error", [TypeError, ValueError, KeyError, RecursionError, AttributeError, OverflowError, ZeroDivisionError]
)
def test_what_a_reader_stumbles_over_is_malformed_and_the_next_document_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def stumble(*_: object) -> Any:
        raise error("inside")

    format_ = carriers.Format(FormatName.NOTATION, Claim.SIGNATURE, stumble, alone=True, most=1 << 20)
    monkeypatch.setitem(carriers.FORMATS, "application/jose+json", format_)
    image = Image()
    image.notation(jws(SIGNER, image.target()))
    image.bundle_by(KEY)
    first, second = image.verdicts(BELOW)
    assert (str(first.refusal), second.verified) == ("malformed", True)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_not_the_documents_fault_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def stop(*_: object) -> Any:
        raise error

    format_ = carriers.Format(FormatName.NOTATION, Claim.SIGNATURE, stop, alone=True, most=1 << 20)
    monkeypatch.setitem(carriers.FORMATS, "application/jose+json", format_)
    image = Image()
    image.notation(jws(SIGNER, image.target()))
    with pytest.raises(error):
        image.verdicts(BELOW)


# In quarantine.


def section_of(inside: Inside, name: str) -> dict[str, Any]:
    (text,) = inside.station.reader.execute("SELECT report FROM intake_documents").fetchone()
    (found,) = [one for one in json.loads(text)["sections"] if one["inspector"] == name]
    return dict(found)


def test_a_bundle_with_such_a_chain_is_inspected_and_can_be_rejected(tmp_path: Path) -> None:
    store = MemoryStore()
    image = Image(store=store)
    carrier = image.notation(jws(SIGNER, image.target(), chain=[renamed(0x03), ROOT.der]))
    artifacts = [
        Artifact(repository="team/app", digest=str(digest), mediaType=OCI_MANIFEST, kind=kind,
                 size=len(store.blobs[digest]), tags=tags)
        for digest, kind, tags in ((image.subject.digest, "image", ["1"]), (carrier.digest, "signature", []))
    ]  # fmt: skip
    carried = carry(tmp_path / "stick", store, sorted(artifacts, key=lambda one: one.digest))
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        inside.trust(carried.key.public)
        officer = inside.officer()
        trust_key(inside.station.paths.trust, ROOT.pinned, purpose="image", owner="PKI")
        inside.bring(carried.folder)
        (refused,) = section_of(inside, "signatures")["details"]["not_counted"]
        assert refused["code"] == "chain-broken"
        assert inside.decide(name_of(), officer, "reject", "not ours") == "rejected"


def stumbling(error: Callable[[], Exception]) -> Callable[[Subject], Section]:
    def look(_: Subject) -> Section:
        raise error()

    return look


@pytest.mark.parametrize(
    ("error", "code"),
    [(lambda: TypeError("x"), "TypeError"), (RecursionError, "RecursionError"),
     (lambda: KeyError("x"), "KeyError"), (lambda: MalformedError("odd \ud800"), "malformed"),
     (lambda: RefusedError("odd"), "refused")],
)  # fmt: skip
def test_an_inspector_that_fails_on_the_content_leaves_a_bundle_that_is_rejected_but_not_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], code: str
) -> None:
    made = small_bundle(tmp_path / "carried")
    own = inspectors.INSPECTORS
    monkeypatch.setattr(inspectors, "INSPECTORS", (*own, Named("third-party", stumbling(error))))
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        inside.trust(made.key.public)
        officer = inside.officer()
        inside.bring(made.folder)
        section = section_of(inside, "third-party")
        assert (section["outcome"], section["details"]) == ("fail", {"unlooked": code, "required": True})
        assert section_of(inside, "integrity")["outcome"] == "ok"
        with pytest.raises(RefusedError) as refused:
            inside.decide(name_of(), officer)
        assert refused.value.code == "not-inspected"
        assert inside.decide(name_of(), officer, "reject", "it stops our readers") == "rejected"


def finding(details: dict[str, Any]) -> Callable[[Subject], Section]:
    return lambda _: Section(inspector="odd", outcome="ok", summary="", details=details)


def test_what_no_report_can_hold_is_a_finding_of_its_inspector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, own = small_bundle(tmp_path / "carried"), inspectors.INSPECTORS
    details: list[dict[str, Any]] = [{"name": "\ud800"}, {"\udc00": 1}, {"number": float("nan")}, {"number": 2**60}]
    odd = [Named(f"odd{number}", finding(one)) for number, one in enumerate(details)]
    monkeypatch.setattr(inspectors, "INSPECTORS", (*own, *odd))
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        inside.trust(made.key.public)
        inside.bring(made.folder)
        found = [section_of(inside, one.name) for one in odd]
        assert [(one["outcome"], one["details"]["unlooked"]) for one in found] == [("fail", "malformed")] * len(odd)


def test_an_inspector_that_nobody_requires_and_that_fails_on_the_content_stops_no_approval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small_bundle(tmp_path / "carried")
    look = stumbling(lambda: TypeError("x"))
    monkeypatch.setattr(inspectors, "INSPECTORS", (*inspectors.INSPECTORS, Named("third-party", look, always=False)))
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        inside.trust(made.key.public)
        officer = inside.officer()
        inside.bring(made.folder)
        assert section_of(inside, "third-party")["details"] == {"unlooked": "TypeError", "required": False}
        assert inside.decide(name_of(), officer) == "approved"


def test_a_root_of_another_kind_of_key_ends_no_chain_by_an_error() -> None:
    image = Image()
    other = certify("AAAAAAAA", certify("root", ca=True, key=ec.generate_private_key(ec.SECP384R1())))
    image.notation(jws(SIGNER, image.target(), chain=[other.der, ROOT.der]))
    assert image.refusal(BELOW) == "chain-broken"
