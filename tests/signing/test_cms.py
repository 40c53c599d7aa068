"""CMS signatures of a bundle's SHA256SUMS: openssl judges ours, we judge openssl's; each rule has what breaks it."""

from __future__ import annotations

import base64
import datetime
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance import clock
from bundles.errors import RefusedError, UsageError
from bundles.io import der
from bundles.signing.cms.sign import CmsKey, SignedElsewhere
from bundles.signing.cms.signed_data import parse, to_pem
from bundles.signing.cms.verify import signer_of
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.pinning import trust_key
from bundles.signing.trust import TrustFolder, TrustRecord
from tests.image_signatures.signer import Authority, certify, usage
from tests.peer_tools import require

CONTENT, NOW = b"0" * 64 + b"  manifest.json\n", "2026-06-01T00:00:00Z"


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Pki:
    root: Authority
    middle: Authority
    anna: Authority


@pytest.fixture(scope="module")
def pki() -> Pki:
    root = certify("Root", ca=True)
    middle = certify("Middle", root, ca=True)
    return Pki(root, middle, certify("Anna Berg", middle))


def pinned(root: Authority, *purposes: str) -> list[TrustRecord]:
    return [TrustRecord(root.pinned, "PKI", purposes or ("bundle",), ("alpha",), None, None, None)]


def signing(signer: Authority) -> CmsKey:
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    return CmsKey(PrivateKey(signer.key), [one.certificate for one in signer.chain], Path("chain.pem"))


def write(folder: Path, signer: Authority) -> None:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(signer.key.private_bytes(*form))
    (folder / "leaf.pem").write_bytes(signer.pem)
    (folder / "above.pem").write_bytes(b"".join(one.pem for one in signer.chain[1:]))
    (folder / "root.pem").write_bytes(signer.chain[-1].pem)
    (folder / "content").write_bytes(CONTENT)


def openssl_signs(folder: Path, signer: Authority, *words: str) -> bytes:
    require("openssl")
    write(folder, signer)
    above = ["-certfile", "above.pem"] if signer.above is not None else []
    subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-in", "content", "-signer", "leaf.pem", "-inkey", "key.pem",
         *above, "-outform", "PEM", "-out", "s.cms", *words],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "s.cms").read_bytes()


def refusal(file: bytes, records: list[TrustRecord], content: bytes = CONTENT, at: str = NOW) -> str:
    with pytest.raises(RefusedError) as refused:
        signer_of(file, content, records, "bundle", at)
    return f"{refused.value.what}: {refused.value.thing}"


def test_openssl_accepts_ours(pki: Pki, tmp_path: Path) -> None:
    require("openssl")
    write(tmp_path, pki.anna)
    (tmp_path / "s.cms").write_bytes(signing(pki.anna).sign(CONTENT))
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", "s.cms", "-content", "content",
             "-CAfile", "root.pem", "-purpose", "any", "-out", "out"]  # fmt: skip
    assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "content").write_bytes(CONTENT + b"x")
    assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("words", [(), ("-md", "sha384"), ("-md", "sha512", "-nosmimecap")])
@pytest.mark.parametrize("kind", ["ec", "p384", "rsa"])
def test_we_accept_openssls(pki: Pki, tmp_path: Path, kind: str, words: tuple[str, ...]) -> None:
    key = {"ec": None, "p384": ec.generate_private_key(ec.SECP384R1()), "rsa": rsa_key()}[kind]
    signer = certify("Boris Lang", pki.middle, key=key)
    file = openssl_signs(tmp_path, signer, *words)
    found = signer_of(file, CONTENT, pinned(pki.root), "bundle", NOW)
    assert (found.owner, found.sites, found.key) == ("Boris Lang", ("alpha",), PublicKey.of(signer.key.public_key()))


def test_our_own_are_accepted_and_the_root_need_not_be_in_them(pki: Pki) -> None:
    key = CmsKey(PrivateKey(pki.anna.key), [pki.anna.certificate, pki.middle.certificate], Path("x"))  # type: ignore[arg-type]
    found = signer_of(key.sign(CONTENT), CONTENT, pinned(pki.root), "bundle", NOW)
    assert (found.owner, found.keyid) == ("Anna Berg", key.public.keyid)
    assert key.sign(CONTENT) == key.sign(CONTENT)


def test_a_card_may_name_letters_documents_and_nonrepudiation(pki: Pki) -> None:
    for extended in ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36"):
        wanted = [(usage(content_commitment=True), False),
                  (x509.ExtendedKeyUsage([x509.ObjectIdentifier(extended)]), False)]  # fmt: skip
        signer = certify("Anna Berg", pki.middle, extensions=wanted)
        assert signer_of(signing(signer).sign(CONTENT), CONTENT, pinned(pki.root), "bundle", NOW)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-nodetach",), "carries content of its own"),
        (("-noattr",), "no signed attributes"),
        (("-md", "sha1"), "SHA-1"),
        (("-nocerts",), "lacks its signer's certificate"),
        (("-econtent_type", "1.2.840.113549.1.7.2"), "another type than data"),
    ],
)
def test_what_openssl_can_make_and_does_not_count(pki: Pki, tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    assert why in refusal(openssl_signs(tmp_path, pki.anna, *words), pinned(pki.root))


def test_a_signer_named_by_key_id_does_not_count(pki: Pki, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    named = (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    signer = certify("Anna Berg", pki.middle, key=key, extensions=[(usage(digital_signature=True), True), named])
    assert "not named by issuer" in refusal(openssl_signs(tmp_path, signer, "-keyid"), pinned(pki.root))


def test_a_certificate_signed_with_sha_1_does_not_count(pki: Pki, tmp_path: Path) -> None:
    require("openssl")
    write(tmp_path, pki.middle)
    (tmp_path / "usage").write_text("keyUsage=critical,digitalSignature\n")
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(key.public_key().public_bytes(*form))
    subprocess.run(
        ["openssl", "x509", "-new", "-subj", "/CN=Anna", "-force_pubkey", "public.pem", "-CA", "leaf.pem", "-CAkey",
         "key.pem", "-sha1", "-days", "9", "-extfile", "usage", "-out", "anna.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    weak = x509.load_pem_x509_certificate((tmp_path / "anna.pem").read_bytes())
    file = CmsKey(PrivateKey(key), [weak, pki.middle.certificate], Path("x")).sign(CONTENT)
    assert "another hash" in refusal(file, pinned(pki.root), at=clock.now())


def test_pss_and_two_signers_do_not_count(pki: Pki, tmp_path: Path) -> None:
    signer = certify("Boris Lang", pki.middle, key=rsa_key())
    file = openssl_signs(tmp_path, signer, "-keyopt", "rsa_padding_mode:pss")
    assert "RSASSA-PSS" in refusal(file, pinned(pki.root))
    (tmp_path / "two").mkdir()
    write(tmp_path / "two", pki.anna)
    file = openssl_signs(tmp_path, signer, "-signer", "two/leaf.pem", "-inkey", "two/key.pem")
    assert "several signers" in refusal(file, pinned(pki.root))


def test_other_bytes_another_root_and_another_purpose_are_refused(pki: Pki) -> None:
    file = signing(pki.anna).sign(CONTENT)
    assert "over other bytes" in refusal(file, pinned(pki.root), CONTENT + b"x")
    assert "no root that is pinned here" in refusal(file, [])
    assert "no root that is pinned here" in refusal(file, pinned(certify("Root", ca=True)))
    found = signer_of(file, CONTENT, pinned(pki.root, "image"), "bundle", NOW)
    assert found.objection("bundle", NOW, "alpha") is not None


def leaf(**changes: object) -> Callable[[Pki], Authority]:
    return lambda pki: certify("Anna Berg", pki.middle, **changes)  # type: ignore[arg-type]


def below(**changes: object) -> Callable[[Pki], Authority]:
    return lambda pki: certify("Anna Berg", certify("Odd", pki.root, **changes))  # type: ignore[arg-type]


CA = x509.BasicConstraints(ca=True, path_length=None)


def years(start: int, end: int) -> dict[str, datetime.datetime]:
    return {name: datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for name, year in (("start", start), ("end", end))}


PAST, COMING = years(2020, 2021), years(2030, 2031)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (leaf(**PAST), "expired"), (leaf(**COMING), "not valid before"),
        (below(ca=True, **PAST), "expired"),
        (below(extensions=[(CA, True)]), "lacks the critical key usage"),
        (below(extensions=[(usage(key_cert_sign=True), True)]), "lacks critical basic constraints"),
        (below(extensions=[(CA, True), (usage(key_cert_sign=True), False)]), "lacks the critical key usage"),
        (lambda pki: certify("A", certify("B", certify("C", pki.root, ca=True, length=0), ca=True)), "allows 0"),
        (leaf(extensions=[]), "lacks the key usage"),
        (leaf(extensions=[(usage(key_agreement=True), True)]), "lacks the key usage"),
        (leaf(extensions=[(usage(digital_signature=True, key_cert_sign=True), True)]), "usages of an authority"),
        (leaf(ca=True), "an authority's"),
        (leaf(extensions=[(usage(digital_signature=True), True),
                          (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)]), "another purpose"),
        (leaf(extensions=[(usage(digital_signature=True), True), (x509.PolicyConstraints(0, None), True)]),
         "critical extension"),
        (lambda pki: certify("A\u200bnna", pki.middle), "nobody sees"),
    ],
)  # fmt: skip
def test_a_certificate_that_is_not_fit_is_refused(pki: Pki, make: Callable[[Pki], Authority], why: str) -> None:
    signer = make(pki)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    key = CmsKey.__new__(CmsKey)
    key.public, key._by = PublicKey.of(signer.key.public_key()), PrivateKey(signer.key)
    key._chain = tuple(one.certificate for one in signer.chain)
    assert why in refusal(key.sign(CONTENT), pinned(pki.root))


def test_rsa_of_1024_bits_is_refused(pki: Pki, tmp_path: Path) -> None:
    file = openssl_signs(tmp_path, certify("Anna Berg", pki.middle, key=rsa_key(1024)))
    assert "unsupported kind of key" in refusal(file, pinned(pki.root))


def test_another_certificate_of_the_same_name_and_number_does_not_stand_in(pki: Pki) -> None:
    """Mallory's own signature, his certificate exchanged for Anna's."""
    mallory = certify("Mallory", pki.middle)
    file = signing(mallory).sign(CONTENT)
    data = der_of(file)
    swapped = to_pem(rebuilt(data, [pki.anna.der, pki.middle.der]))
    assert "lacks its signer's certificate" in refusal(swapped, pinned(pki.root))


def der_of(file: bytes) -> bytes:
    return base64.b64decode(b"".join(file.splitlines()[1:-1]))


def rebuilt(data: bytes, certificates: list[bytes]) -> bytes:
    """The same, with other certificates beside it."""
    info = der.Reader(data).inside(der.SEQUENCE, "x")
    kind = info.read(der.OID, "x").raw
    signed = info.inside(der.CONTEXT_0, "x").inside(der.SEQUENCE, "x")
    parts = [signed.read(tag, "x").raw for tag in (der.INTEGER, der.SET, der.SEQUENCE)]
    signed.read(der.CONTEXT_0, "x")
    last = signed.read(der.SET, "x").raw
    inner = der.encode(der.SEQUENCE, *parts, der.encode(der.CONTEXT_0, *certificates), last)
    return der.encode(der.SEQUENCE, kind, der.encode(der.CONTEXT_0, inner))


def test_more_certificates_than_are_looked_at_are_refused(pki: Pki) -> None:
    data = der_of(signing(pki.anna).sign(CONTENT))
    stray = to_pem(rebuilt(data, [pki.anna.der, pki.middle.der, certify("Stray", ca=True).der]))
    assert "none of the signer's chain" in refusal(stray, pinned(pki.root))
    assert "too many certificates" in refusal(to_pem(rebuilt(data, [pki.anna.der] * 9)), pinned(pki.root))
    assert "has it twice" in refusal(to_pem(rebuilt(data, [pki.anna.der] * 2)), pinned(pki.root))


def test_no_byte_can_be_changed_added_or_left_out(pki: Pki) -> None:
    """Every fifth byte of the file's DER changed, and the file with what PEM or DER would allow beside it."""
    file = signing(pki.anna).sign(CONTENT)
    data, records = der_of(file), pinned(pki.root)
    for at in range(0, len(data), 5):
        for bit in (1, 0x80):
            refusal(to_pem(data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]), records)
    for slack in (file + b"\n", b"\n" + file, file.replace(b"\n", b"\r\n"), file[:-1], data, file * 2,
                  file.replace(b"CMS", b"PKCS7"), to_pem(data + b"\0"), to_pem(data[:-1]), b"", file[:20],
                  to_pem(b""), to_pem(b"\x30\x80" + data[4:] + b"\0\0")):  # fmt: skip
        refusal(slack, records)
    long = b"\x30\x83\x00" + data[2:4] + data[4:]
    refusal(to_pem(long), records)


def test_a_signature_over_the_attributes_is_none_over_content(pki: Pki) -> None:
    """The two ways in which a CMS signature can be read are not exchanged: attributes are always there."""
    said = parse(signing(pki.anna).sign(CONTENT))
    assert "over other bytes" in refusal(signing(pki.anna).sign(CONTENT), pinned(pki.root), said.attributes)


def test_a_root_is_pinned_for_bundles_of_its_sites(folder: Path, pki: Pki) -> None:
    with pytest.raises(UsageError):
        trust_key(folder, pki.root.pinned, purpose="bundle", owner="PKI")
    trust_key(folder, pki.root.pinned, purpose="bundle", owner="PKI", sites=("alpha",))
    (record,) = TrustFolder.load(folder).records
    found = signer_of(signing(pki.anna).sign(CONTENT), CONTENT, [record], "bundle", NOW)
    assert found.objection("bundle", NOW, "alpha") is None
    assert found.objection("bundle", NOW, "gamma") is not None


def test_a_file_made_elsewhere_is_checked_before_it_is_used(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "s.cms").write_bytes(signing(pki.anna).sign(CONTENT))
    made = SignedElsewhere(tmp_path / "s.cms", CONTENT)
    assert made.sign(CONTENT).startswith(b"-----BEGIN CMS-----")
    for content in (CONTENT + b"x", b""):
        with pytest.raises(RefusedError, match="over other bytes"):
            SignedElsewhere(tmp_path / "s.cms", content)
        with pytest.raises(RefusedError, match="over other bytes"):
            made.sign(content)


def test_a_key_signs_with_its_own_certificate(pki: Pki) -> None:
    other = PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UsageError, match="another key's"):
        CmsKey(other, [pki.anna.certificate], Path("x"))
    with pytest.raises(UsageError, match="an authority's"):
        CmsKey(PrivateKey(pki.middle.key), [pki.middle.certificate], Path("x"))  # type: ignore[arg-type]
