"""A signature has one form: what says the same in other bytes is refused, and stock openssl agrees both ways."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundles.signing import signatures
from bundles.signing.keys import PrivateKey, PublicKey, create_private
from bundles.signing.signatures import ALGORITHMS, Hashed, is_strict_der
from tests.peer_tools import require

DATA = b"the bytes that are signed\n"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_a_signature_holds_over_its_bytes_and_no_others(key: PrivateKey) -> None:
    signature = key.sign(DATA)
    assert key.public.verify(DATA, signature)
    assert not key.public.verify(DATA + b"\n", signature)
    assert not create_private(key.public.algorithm).public.verify(DATA, signature)


def test_the_same_key_and_bytes_give_the_same_signature(key: PrivateKey) -> None:
    assert key.sign(DATA) == key.sign(DATA)


def test_any_one_bit_of_a_signature_breaks_it(key: PrivateKey) -> None:
    signature = key.sign(DATA)
    for position in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[position // 8] ^= 1 << position % 8
        assert not key.public.verify(DATA, bytes(changed))


def test_a_signature_cut_short_or_with_slack_is_refused(key: PrivateKey) -> None:
    signature = key.sign(DATA)
    assert not any(key.public.verify(DATA, signature[:length]) for length in range(len(signature)))
    assert not key.public.verify(DATA, signature + b"\0")
    assert not key.public.verify(DATA, b"\0" + signature)


def other_encodings(signature: bytes) -> dict[str, bytes]:
    """The same r and s in DER that is not the one form, as BER readers take it."""
    r, s = decode_dss_signature(signature)
    body = signature[2:]
    integers = [number.to_bytes(33, "big") for number in (r, s)]
    padded = b"".join(b"\x02\x22\x00" + number for number in integers)
    return {
        "a length in the long form": b"\x30\x81" + bytes([len(body)]) + body,
        "an indefinite length": b"\x30\x80" + body + b"\0\0",
        "integers with leading zeros": b"\x30" + bytes([len(padded)]) + padded,
        "bytes behind s inside the sequence": b"\x30" + bytes([len(body) + 2]) + body + b"\x05\x00",
    }


@pytest.mark.parametrize("spelling", other_encodings(encode_dss_signature(1, 1)))
def test_another_encoding_of_a_good_signature_is_refused(ecdsa: PrivateKey, spelling: str) -> None:
    assert not ecdsa.public.verify(DATA, other_encodings(ecdsa.sign(DATA))[spelling])


@pytest.mark.parametrize(
    ("r_added", "s_added"), [(P256_ORDER, 0), (0, P256_ORDER), (P256_ORDER, P256_ORDER)], ids=["r", "s", "both"]
)
def test_r_and_s_are_in_range(ecdsa: PrivateKey, r_added: int, s_added: int) -> None:
    r, s = decode_dss_signature(ecdsa.sign(DATA))
    assert not ecdsa.public.verify(DATA, encode_dss_signature(r + r_added, s + s_added))


@pytest.mark.parametrize("numbers", ["020100 020101", "020101 020100", "020100 020100", "0201ff 020101"])
def test_zero_and_negative_numbers_are_no_signature(ecdsa: PrivateKey, numbers: str) -> None:
    assert not ecdsa.public.verify(DATA, bytes.fromhex("3006" + numbers))


def test_the_form_is_decided_without_the_key() -> None:
    assert is_strict_der(encode_dss_signature(1, 1), P256_ORDER)
    assert is_strict_der(encode_dss_signature(P256_ORDER - 1, P256_ORDER - 1), P256_ORDER)
    for r, s in ((0, 1), (1, 0), (P256_ORDER, 1), (1, P256_ORDER), (1 << 300, 1)):
        assert not is_strict_der(encode_dss_signature(r, s), P256_ORDER)
    for spelling in other_encodings(encode_dss_signature(1, 1)).values():
        assert not is_strict_der(spelling, P256_ORDER)


def test_the_hash_is_the_pinned_keys_and_not_the_signers_choice() -> None:
    raw = ec.generate_private_key(ec.SECP256R1())
    public = PrivateKey(raw).public
    assert public.verify(DATA, raw.sign(DATA, ec.ECDSA(hashes.SHA256())))
    assert not public.verify(DATA, raw.sign(DATA, ec.ECDSA(hashes.SHA384())))
    assert not public.verify(DATA, raw.sign(DATA, ec.ECDSA(hashes.SHA1())))


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.parametrize(("algorithm", "digest"), [("ecdsa-p256", "-sha256"), ("ecdsa-p384", "-sha384")])
def test_openssl_accepts_our_signature_and_we_accept_openssls(tmp_path: Path, algorithm: str, digest: str) -> None:
    require("openssl")
    key = create_private(algorithm)
    data, private, public, signature = (tmp_path / name for name in ("data", "key.pem", "pub.pem", "sig"))
    data.write_bytes(DATA)
    private.write_bytes(key.to_pem(None))
    public.write_bytes(key.public.to_pem())
    signature.write_bytes(key.sign(DATA))
    openssl("dgst", digest, "-verify", public, "-signature", signature, data)
    openssl("dgst", digest, "-sign", private, "-out", signature, data)
    assert key.public.verify(DATA, signature.read_bytes())


def test_openssl_and_we_agree_on_ed25519(tmp_path: Path) -> None:
    require("openssl")
    key = create_private("ed25519")
    data, private, public, signature = (tmp_path / name for name in ("data", "key.pem", "pub.pem", "sig"))
    data.write_bytes(DATA)
    private.write_bytes(key.to_pem(None))
    public.write_bytes(key.public.to_pem())
    signature.write_bytes(key.sign(DATA))
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", data, "-sigfile", signature)
    openssl("pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", data, "-out", signature)
    assert key.public.verify(DATA, signature.read_bytes())


def test_a_key_that_openssl_made_is_ours(tmp_path: Path) -> None:
    require("openssl")
    private, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    assert PublicKey.from_pem(public.read_bytes()).algorithm == "ecdsa-p256"


def test_what_several_keys_are_tried_over_is_hashed_once_for_each_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a signature holds over it where it holds over the bytes, and nowhere else."""
    hashed, made, hash_of = Hashed(b"bytes"), list[str](), signatures.hashes.Hash

    def counted(function: hashes.HashAlgorithm) -> hashes.Hash:
        made.append(function.name)
        return hash_of(function)

    monkeypatch.setattr(signatures.hashes, "Hash", counted)
    keys = [create_private(algorithm) for algorithm in (*ALGORITHMS, *ALGORITHMS)]
    for key in keys:
        for signer in keys:
            own = signer is key
            assert key.public.verify_hashed(hashed, signer.sign(b"bytes")) is own
            assert not key.public.verify_hashed(hashed, signer.sign(b"other bytes"))
    assert sorted(made) == ["sha256", "sha384"]
