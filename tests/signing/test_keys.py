"""Keys and their files: made once, readable by their owner alone, and refused in one clear line where they are not."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, mldsa, rsa

from bundles.errors import MalformedError, UsageError
from bundles.signing.keys import (
    PrivateKey,
    PublicKey,
    check_keyid,
    check_name,
    create_private,
    load_private,
    save_private,
)
from tests.peer_tools import require


def test_a_key_saved_under_a_passphrase_opens_with_it_alone(key: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "keys/officer.pem"
    save_private(path, key, b"correct horse")
    assert b"ENCRYPTED" in path.read_bytes()
    assert load_private(path, b"correct horse").public == key.public
    with pytest.raises(UsageError, match=r"the passphrase does not open the key.*officer"):
        load_private(path, b"wrong horse")
    with pytest.raises(UsageError, match="needs its passphrase"):
        load_private(path, None)


def test_a_key_saved_without_a_passphrase_wants_none(key: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "machine.pem"
    save_private(path, key, None)
    assert load_private(path, None).public == key.public
    with pytest.raises(UsageError, match="is not encrypted"):
        load_private(path, b"a passphrase all the same")


def test_private_files_are_for_their_owner_alone(ecdsa: PrivateKey, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_private(tmp_path / "keys/officer.pem", ecdsa, None)
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys/officer.pem").stat().st_mode & 0o777 == 0o600
    assert PublicKey.from_pem((tmp_path / "keys/officer.pub.pem").read_bytes()) == ecdsa.public


@pytest.mark.parametrize("taken", ["officer.pem", "officer.pub.pem"])
def test_a_key_is_never_overwritten_nor_left_by_halves(ecdsa: PrivateKey, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"mine")
    with pytest.raises(UsageError, match="the key exists"):
        save_private(tmp_path / "officer.pem", ecdsa, None)
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_bytes() == b"mine"


def test_a_planted_link_is_not_written_through(ecdsa: PrivateKey, tmp_path: Path) -> None:
    (tmp_path / "officer.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="the key exists"):
        save_private(tmp_path / "officer.pem", ecdsa, None)
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such key: .*nobody\.pem"):
        load_private(tmp_path / "nobody.pem", None)


def test_what_is_not_a_private_key_is_named_so(ecdsa: PrivateKey, tmp_path: Path) -> None:
    for content in (b"", b"hello", ecdsa.public.to_pem(), ecdsa.to_pem(None)[:-60]):
        (tmp_path / "odd.pem").write_bytes(content)
        with pytest.raises(UsageError, match=r"not a private key: .*odd\.pem"):
            load_private(tmp_path / "odd.pem", None)


def test_a_private_key_of_another_kind_is_named_so(tmp_path: Path) -> None:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    for key, reason in (
        (rsa.generate_private_key(65537, 2048), "RSA keys verify only"),
        (ec.generate_private_key(ec.SECP256K1()), "unsupported kind of key"),
        (mldsa.MLDSA87PrivateKey.generate(), "unsupported kind of key"),
    ):
        (tmp_path / "odd.pem").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
        with pytest.raises(UsageError, match=reason):
            load_private(tmp_path / "odd.pem", None)


def test_stock_openssl_opens_our_encrypted_key(tmp_path: Path) -> None:
    require("openssl")
    key = create_private()
    save_private(tmp_path / "officer.pem", key, b"correct horse")
    command = ["openssl", "pkey", "-in", tmp_path / "officer.pem", "-passin", "pass:correct horse", "-pubout"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == key.public.to_pem()


def test_a_keyid_is_the_start_of_the_public_keys_sha256(key: PrivateKey) -> None:
    spki = serialization.load_pem_public_key(key.public.to_pem()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key.public.fingerprint == hashlib.sha256(spki).hexdigest()
    assert key.public.keyid == key.public.fingerprint[:16]


def test_a_public_key_reads_back(key: PrivateKey) -> None:
    assert PublicKey.from_pem(key.public.to_pem()) == key.public
    assert PublicKey.from_pem(key.public.to_pem().replace(b"\n", b"\r\n")) == key.public


@pytest.mark.parametrize(
    "slack",
    [
        lambda pem: pem + pem,
        lambda pem: b"a note\n" + pem,
        lambda pem: pem + b"a note\n",
        lambda pem: pem.replace(b"\n", b"\n\n", 2),
        lambda pem: pem.replace(b"A", b"A ", 1),
    ],
    ids=["two keys", "text before", "text behind", "empty lines", "a space within"],
)
def test_a_public_key_file_has_no_slack(ecdsa: PrivateKey, slack: object) -> None:
    with pytest.raises(MalformedError):
        PublicKey.from_pem(slack(ecdsa.public.to_pem()))  # type: ignore[operator]


def test_another_encoding_of_the_same_public_key_is_refused() -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    compressed = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    prefix = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    pem = armour(prefix + compressed)
    with pytest.raises(MalformedError, match="bytes of its own"):
        PublicKey.from_pem(pem)


def armour(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN PUBLIC KEY-----\n" + lines + b"\n-----END PUBLIC KEY-----\n"


def test_public_keys_of_other_kinds_are_refused() -> None:
    for key in (rsa.generate_private_key(65537, 1024), dsa.generate_private_key(2048)):
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(MalformedError, match="unsupported kind of key"):
            PublicKey.from_pem(pem)


@pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_not_a_public_key_is_named_so(pem: bytes) -> None:
    with pytest.raises(MalformedError, match="not a public key"):
        PublicKey.from_pem(pem)


@pytest.mark.parametrize("name", ["a", "officer-2", "j.doe_1", "0" * 64])
def test_key_names_are_plain(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "a/b", "../a", "A", "a b", "é", "a\n", "0" * 65, "officer.pub"])
def test_other_key_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="malformed key name"):
        check_name(name)


@pytest.mark.parametrize("keyid", ["", "0" * 15, "0" * 17, "0" * 15 + "A", "0" * 16 + "\n"])
def test_other_keyids_are_refused(keyid: str) -> None:
    with pytest.raises(MalformedError):
        check_keyid(keyid)


def test_an_unknown_algorithm_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"unknown key algorithm: rsa; use one of ecdsa-p256, ecdsa-p384, ed25519, ecdsa-p384\+ml"
    ):
        create_private("rsa")


def test_a_private_key_does_not_show_itself(ecdsa: PrivateKey) -> None:
    assert repr(ecdsa) == f"PrivateKey({ecdsa.public.keyid})"


def test_a_public_key_that_is_to_sign_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "engineer.pem"
    path.write_bytes(create_private().public.to_pem())
    with pytest.raises(UsageError, match="not a private key") as refused:
        load_private(path, None)
    assert "it is a public key" in refused.value.remedy
