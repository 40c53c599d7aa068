"""The parsers that hostile bytes reach, and what must be true of whatever they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundles.documents import signed
from bundles.errors import LockgateError
from bundles.format import manifest_codec, sums
from bundles.signing.signatures import is_strict_der
from bundles.signing.ssh import keys, sshsig
from tests.signing.soft_token import SoftToken
from tests.vectors.known import HERE, KEYS, MEDIA, ONE

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CORPUS = Path(__file__).resolve().parent / "corpus"


def read_sums(data: bytes) -> None:
    """SHA256SUMS: what is taken is written again to the same bytes."""
    try:
        lines = sums.parse(data)
    except LockgateError:
        return
    assert sums.render(lines) == data


def read_manifest(data: bytes) -> None:
    """manifest.json: the same."""
    try:
        manifest = manifest_codec.decode(data)
    except LockgateError:
        return
    assert manifest_codec.encode(manifest) == data


def read_der(data: bytes) -> None:
    """ECDSA's DER: what is taken has one form, and a signature that is not the key's never holds."""
    if is_strict_der(data, ORDER):
        assert encode_dss_signature(*decode_dss_signature(data)) == data
    if KEYS["engineer"].public.verify(b"fuzz", data):
        assert data == KEYS["engineer"].sign(b"fuzz")


_TOKEN = SoftToken(keys.SK_ECDSA)
_SIGNATURES = {_TOKEN.sign(b"fuzz") for _ in range(4)}


def read_sshsig(data: bytes) -> None:
    """SSH signatures: the same, and public keys on the way."""
    if sshsig.holds(_TOKEN.blob, b"fuzz", data):
        assert data in _SIGNATURES
    try:
        found = sshsig.parse(data)
    except LockgateError:
        return
    assert found.render() == data
    try:
        assert keys.parse_line(keys.render_line(found.key)) == found.key
    except LockgateError:
        return


def read_receipt(data: bytes) -> None:
    """Receipts, and every other signed document: what is taken is written again to the same bytes."""
    for kind in (signed.Receipt, signed.Override, signed.Approval):
        try:
            document = signed.decode(data, kind)
        except LockgateError:
            continue
        assert signed.encode(document) == data


def _receipt() -> bytes:
    return signed.encode(
        signed.Receipt(
            site="bravo", number=2, previous="sha256:" + "1" * 64, created="2026-06-02T12:00:00Z",
            streams=[signed.StreamHead(stream="alpha.bravo", sequence=3, digest="sha256:" + "2" * 64)],
            blobs=[signed.HeldBlob(digest="sha256:" + "3" * 64, size=7)],
        )
    )  # fmt: skip


def _override() -> bytes:
    return signed.encode(
        signed.Override(
            site="bravo", act="stream-floor", stream="alpha.bravo", sequence=3, digest="", floor="", why="lost",
            keyid="0" * 16, created="2026-06-02T12:00:00Z", not_after="2026-06-03T12:00:00Z",
        )
    )  # fmt: skip


def _bundle_files(name: str) -> list[bytes]:
    return [(HERE / "bundles" / folder / name).read_bytes() for folder in (ONE, MEDIA[0])]


@dataclass(frozen=True)
class Parser:
    """A parser to fuzz: what reads, what it starts from, and the modules whose lines guide it."""

    name: str
    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    modules: tuple[str, ...]

    def corpus(self) -> list[bytes]:
        """Inputs that once mattered, kept as files."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


PARSERS = (
    Parser("sums", read_sums, lambda: _bundle_files("SHA256SUMS"), ("bundles/format/sums.py",)),
    Parser(
        "manifest",
        read_manifest,
        lambda: _bundle_files("manifest.json"),
        ("bundles/format/manifest_codec.py", "bundles/format/manifest_check.py", "bundles/io/strict_json.py"),
    ),
    Parser("der", read_der, lambda: [KEYS["engineer"].sign(b"fuzz")], ("bundles/signing/signatures.py",)),
    Parser(
        "sshsig",
        read_sshsig,
        lambda: sorted(_SIGNATURES),
        ("bundles/signing/ssh/sshsig.py", "bundles/signing/ssh/keys.py", "bundles/signing/ssh/wire.py"),
    ),
    Parser(
        "receipt",
        read_receipt,
        lambda: [_receipt(), _override()],
        ("bundles/documents/signed.py", "bundles/io/strict_json.py", "bundles/io/times.py"),
    ),
)
