"""Hybrid keys, where both halves must hold; cosign's key files, read and written; RSA, which is verified only."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from nacl.secret import SecretBox

from bundles.errors import MalformedError, UsageError
from bundles.signing import cosign_key, hybrid
from bundles.signing.keys import PrivateKey, PublicKey, create_private, load_private, save_private
from bundles.signing.signature_files import by_key, files_of, join, kinds_of, parse_name
from tests.peer_tools import require

DATA = b"the bytes that are signed\n"


@pytest.fixture(scope="module")
def pair() -> PrivateKey:
    return create_private(hybrid.ALGORITHM)


def test_a_hybrid_signature_holds_only_where_both_halves_do(pair: PrivateKey) -> None:
    first, second = hybrid.split(pair.sign(DATA))
    others = hybrid.split(create_private(hybrid.ALGORITHM).sign(DATA))
    assert pair.public.verify(DATA, first + second)
    assert not pair.public.verify(DATA, first + others[1])
    assert not pair.public.verify(DATA, others[0] + second)
    assert not pair.public.verify(DATA, first)
    assert not pair.public.verify(DATA, second)
    assert not pair.public.verify(DATA + b"\n", first + second)


@pytest.mark.parametrize("place", [0, 3, 40, 96, 103, 110, 2000, -2, -1])
def test_a_changed_byte_in_either_half_is_refused(pair: PrivateKey, place: int) -> None:
    changed = bytearray(pair.sign(DATA))
    changed[place] ^= 1
    assert not pair.public.verify(DATA, bytes(changed))


def test_a_hybrid_key_is_two_files_beside_the_data_and_both_are_needed(pair: PrivateKey) -> None:
    keyid = pair.public.keyid
    files = files_of("SHA256SUMS", keyid, pair.sign(DATA))
    assert set(files) == {f"SHA256SUMS.{keyid}.sig", f"SHA256SUMS.{keyid}.mldsa"}
    kinds = {name.rpartition(".")[2]: data for name, data in files.items()}
    assert pair.public.verify_files(DATA, kinds)
    assert not pair.public.verify_files(DATA, {"sig": kinds["sig"]})
    assert not pair.public.verify_files(DATA, {"mldsa": kinds["mldsa"]})
    assert not pair.public.verify_files(DATA, kinds | {"sshsig": b""})
    assert not pair.public.verify_files(DATA, {"sig": kinds["sig"] + kinds["mldsa"], "mldsa": b""})


def test_a_hybrid_key_is_saved_and_read_like_any(pair: PrivateKey, tmp_path: Path) -> None:
    save_private(tmp_path / "officer.pem", pair, b"correct horse")
    assert load_private(tmp_path / "officer.pem", b"correct horse").public == pair.public
    assert PublicKey.from_pem((tmp_path / "officer.pub.pem").read_bytes()) == pair.public
    with pytest.raises(UsageError, match="the passphrase does not open the key"):
        load_private(tmp_path / "officer.pem", b"wrong")


def test_the_halves_of_two_keys_in_the_wrong_order_are_no_key(pair: PrivateKey) -> None:
    first, second = hybrid.blocks(pair.public.to_pem())
    for pem in (second + first, first + first, second, first + second + first, first + b"\n" + second):
        with pytest.raises(MalformedError):
            PublicKey.from_pem(pem)


def test_stock_openssl_checks_the_classical_half_with_the_pinned_file(pair: PrivateKey, tmp_path: Path) -> None:
    require("openssl")
    data, public, signature = (tmp_path / name for name in ("data", "pub.pem", "sig"))
    data.write_bytes(DATA)
    public.write_bytes(pair.public.to_pem())
    signature.write_bytes(hybrid.split(pair.sign(DATA))[0])
    command = ["openssl", "dgst", "-sha384", "-verify", public, "-signature", signature, data]
    subprocess.run(command, check=True, capture_output=True)


def test_a_cosign_key_is_written_and_read(tmp_path: Path) -> None:
    key = create_private()
    (tmp_path / "cosign.key").write_bytes(key.to_cosign(b"correct horse"))
    assert load_private(tmp_path / "cosign.key", b"correct horse").public == key.public
    with pytest.raises(UsageError, match=r"the passphrase does not open the key.*cosign\.key"):
        load_private(tmp_path / "cosign.key", b"wrong horse")
    with pytest.raises(UsageError, match="needs its passphrase"):
        load_private(tmp_path / "cosign.key", None)


def sealed(key: PrivateKey, label: str = "SIGSTORE", cost: int = 2**15, **changes: object) -> bytes:
    """A key as cosign's own code seals it, written from its specification and not by our writer."""
    der = serialization.load_pem_private_key(key.to_pem(None), None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, nonce = b"s" * 32, b"n" * 24
    secret = hashlib.scrypt(b"pw", salt=salt, n=min(cost, 2**17), r=8, p=1, maxmem=2**28, dklen=32)
    body: dict[str, object] = {
        "kdf": {"name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(SecretBox(secret).encrypt(der, nonce).ciphertext).decode(),
    }
    text = base64.b64encode(json.dumps(body | changes).encode()).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    name = f"ENCRYPTED {label} PRIVATE KEY"
    return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----\n".encode()


@pytest.mark.parametrize("label", ["SIGSTORE", "COSIGN"])
@pytest.mark.parametrize("cost", [2**15, 2**16, 2**17])
def test_cosigns_own_costs_are_taken(tmp_path: Path, label: str, cost: int) -> None:
    key = create_private()
    (tmp_path / "k").write_bytes(sealed(key, label, cost))
    assert load_private(tmp_path / "k", b"pw").public == key.public


@pytest.mark.parametrize("cost", [0, 1, 2**14, 2**15 + 1, 2**18, 2**30, -1])
def test_another_cost_is_refused_before_it_is_paid(cost: int) -> None:
    pem = sealed(create_private(), kdf={
        "name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": base64.b64encode(b"s" * 32).decode(),
    })  # fmt: skip
    with pytest.raises(MalformedError, match="sealed in an unknown way"):
        cosign_key.open_key(pem, b"pw")


@pytest.mark.parametrize("changes", [
    {"kdf": {}}, {"cipher": 7}, {"ciphertext": "!"}, {"kdf": None},
    {"cipher": {"name": "none", "nonce": base64.b64encode(b"n" * 24).decode()}},
    {"cipher": {"name": "nacl/secretbox", "nonce": ""}},
])  # fmt: skip
def test_a_damaged_cosign_key_is_named_so(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        cosign_key.open_key(sealed(create_private(), **changes), b"pw")


def test_cosign_takes_no_other_kind_of_key() -> None:
    for algorithm in ("ed25519", "ecdsa-p384", hybrid.ALGORITHM):
        with pytest.raises(UsageError, match="cosign does not sign by this kind"):
            create_private(algorithm).to_cosign(b"pw")


def test_rsa_is_verified_in_one_form_as_openssl_makes_it() -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = PublicKey.of(private.public_key())
    assert public.algorithm == "rsa"
    assert PublicKey.from_pem(public.to_pem()) == public
    good = private.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    assert public.verify(DATA, good)
    assert not public.verify(DATA, private.sign(DATA, padding.PKCS1v15(), hashes.SHA512()))
    assert not public.verify(DATA, private.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()))
    assert not public.verify(DATA, good + b"\0")
    assert not public.verify(DATA, b"\0" + good)
    assert not public.verify(DATA, good[:-1])


def test_names_of_signature_files_have_one_form() -> None:
    assert parse_name("SHA256SUMS.0123456789abcdef.mldsa", "SHA256SUMS") == ("0123456789abcdef", "mldsa")
    for name in ("SHA256SUMS.0123456789abcdef.asc", "X.0123456789abcdef.sig", "SHA256SUMS.0123.sig", "SHA256SUMS"):
        assert parse_name(name, "SHA256SUMS") is None
    assert by_key(["a.0123456789abcdef.sig", "a.0123456789abcdef.mldsa", "b"], "a") == {
        "0123456789abcdef": {"sig": "a.0123456789abcdef.sig", "mldsa": "a.0123456789abcdef.mldsa"}
    }
    assert kinds_of("sk-ssh-ed25519@openssh.com") == ("sshsig",)
    assert join("ecdsa-p256", {"sshsig": b"x"}) is None
