"""The vectors' keys and names. The keys follow from their names, so whoever trusts one trusts everybody."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bundles.decide.bundle import SIGNATURE_NAME, SmallFiles
from bundles.format import sums
from bundles.signing.keys import PrivateKey

HERE = Path(__file__).resolve().parent
NOW = "2026-06-02T12:00:00Z"
ONE = "one/alpha.bravo-000001"
MEDIA = ["two/medium1/alpha.bravo-000002", "two/medium2/alpha.bravo-000002"]


def secret(name: str) -> bytes:
    return hashlib.sha256(f"Lockgate test vector, never trust it: {name}".encode()).digest()


def ecdsa(name: str, curve: ec.EllipticCurve) -> PrivateKey:
    return PrivateKey(ec.derive_private_key(int.from_bytes(secret(name), "big") >> 8, curve))


KEYS = {
    "engineer": ecdsa("engineer", ec.SECP256R1()),
    "reviewer": PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(secret("reviewer"))),
    "third": ecdsa("third", ec.SECP384R1()),
    "stranger": ecdsa("stranger", ec.SECP256R1()),
    "receipts": ecdsa("receipts", ec.SECP256R1()),
    "delta": ecdsa("delta", ec.SECP256R1()),
    "expired": ecdsa("expired", ec.SECP256R1()),
    "revoked": ecdsa("revoked", ec.SECP256R1()),
}
"""Whose key a case is signed with; all but the stranger's are in the trust folder."""


def signature_name(key: str) -> str:
    return f"{sums.NAME}.{KEYS[key].public.keyid}.sig"


def small_files(folder: Path) -> SmallFiles:
    """A bundle's files beside its volumes, as bytes."""
    return SmallFiles(
        sums=(folder / sums.NAME).read_bytes(),
        manifest=(folder / sums.MANIFEST).read_bytes(),
        readme=(folder / sums.README).read_bytes(),
        signatures={path.name: path.read_bytes() for path in folder.iterdir() if SIGNATURE_NAME.match(path.name)},
    )
