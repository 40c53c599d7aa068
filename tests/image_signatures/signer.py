"""A small signer of images in every format, honest where a test does not say otherwise; and the tools' own."""

from __future__ import annotations

import base64
import datetime
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundles.image_signatures import cosign_legacy, dsse, notation, notation_cose, notation_jws, sigstore_bundle
from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import SIGN_PREDICATE, Subject, Verdict
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, Manifest, parse_manifest
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.trust import Revocation, TrustFolder, TrustRecord
from tests.bundles.small import MemoryStore

DATA = Path(__file__).parents[1] / "data" / "signatures.zip"
INDEX = Digest.parse("sha256:630f8f70a76642bfa9e1732a403a7a7f255edd9d0e237ad6ed116f9d3c509069")
"""The index that the tools signed."""
AT = "2026-11-29T12:00:00Z"
"""Within the day for which the tools' test certificate is valid."""
PROVENANCE = "https://slsa.dev/provenance/v1"


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def pins(*keys: PublicKey, at: str = AT, **changes: Any) -> Pins:
    """Keys and roots as a trust folder has them, of owners `owner 1`, `owner 2`, …"""
    defaults = {"purposes": ("image",), "sites": (), "not_before": None, "not_after": None, "revoked": None}
    records = [
        TrustRecord(key=key, **{"owner": f"owner {number}", **defaults, **changes})
        for number, key in enumerate(keys, 1)
    ]
    return Pins.of(TrustFolder("bravo", tuple(records)), at)


def revoked(*keys: PublicKey) -> Pins:
    return pins(*keys, revoked=Revocation(at="2026-11-01T00:00:00Z", why="lost"))


@dataclass
class Image:
    """An image in a store, and what is attached to it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    carriers: list[Carrier] = field(default_factory=list)
    text: str = "an image"

    def __post_init__(self) -> None:
        config = self.store.add(json.dumps({"os": "linux", "architecture": "amd64", "config": {}}).encode())
        layer = self.store.add(self.text.encode())
        raw = canonical(
            {
                "schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": self.described(config, OCI_CONFIG),
                "layers": [self.described(layer, "application/vnd.oci.image.layer.v1.tar")],
            }
        )  # fmt: skip
        self.subject = Subject.of(raw, OCI_MANIFEST, self.store.add(raw))

    def described(self, digest: Digest, media_type: str, **more: Any) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": str(digest), "size": len(self.store.blobs[digest]), **more}

    def statement(self, predicate: str = SIGN_PREDICATE, **changes: Any) -> dict[str, Any]:
        named = {"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": {}}
        return {**named, "subject": [{"digest": {"sha256": self.subject.digest.hex}}], **changes}

    def payload(self, **critical: Any) -> dict[str, Any]:
        """A simple signing payload of cosign."""
        said = {
            "identity": {"docker-reference": "anywhere.example/at/all"},
            "image": {"docker-manifest-digest": str(self.subject.digest)},
            "type": cosign_legacy.TYPE,
        }
        return {"critical": {**said, **critical}, "optional": {"team": "alpha", "count": 1}}

    def carry(
        self, media_type: str, *documents: bytes, tag: str = "", annotations: Sequence[Mapping[str, str]] = (),
        artifact_type: str = "", subject: Mapping[str, Any] | None = None, said: Mapping[str, str] | None = None,
    ) -> Carrier:  # fmt: skip
        """Attach documents, a layer each: below a tag, or as a referrer (with `subject` instead of the honest one)."""
        told = {"mediaType": self.subject.media_type, "digest": str(self.subject.digest),
                "size": len(self.subject.raw)}  # fmt: skip
        noted = list(annotations) or [{}] * len(documents)
        fields: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.described(self.store.add(b"{}"), OCI_EMPTY),
            "layers": [
                self.described(self.store.add(document), media_type, annotations=dict(note))
                for document, note in zip(documents, noted, strict=True)
            ],
            "annotations": dict(said or {}),
        }
        fields |= {"artifactType": artifact_type} if artifact_type else {}
        fields |= {} if tag and subject is None else {"subject": dict(told if subject is None else subject)}
        raw = canonical(fields)
        carrier = Carrier(self.store.add(raw), parse_manifest(raw), tag)
        self.carriers.append(carrier)
        return carrier

    @property
    def sig(self) -> str:
        return f"sha256-{self.subject.digest.hex}.sig"

    def cosign(self, *signed: tuple[bytes, bytes], **notes: str) -> Carrier:
        """Payloads and their signatures, below the `.sig` tag."""
        annotations = [{cosign_legacy.SIGNATURE: b64(signature), **notes} for _, signature in signed]
        payloads = [payload for payload, _ in signed]
        return self.carry(cosign_legacy.MEDIA_TYPE, *payloads, tag=self.sig, annotations=annotations)

    def cosign_by(self, *keys: PrivateKey, **critical: Any) -> Carrier:
        raw = canonical(self.payload(**critical))
        return self.cosign(*((raw, key.sign(raw)) for key in keys))

    def bundle(self, document: Mapping[str, Any] | bytes, **more: Any) -> Carrier:
        """A Sigstore bundle as a referrer."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.carry(sigstore_bundle.MEDIA_TYPE, raw, artifact_type=sigstore_bundle.MEDIA_TYPE, **more)

    def bundle_by(self, key: PrivateKey, statement: Mapping[str, Any] | None = None, **more: Any) -> Carrier:
        envelope = envelope_of(statement or self.statement(), key)
        return self.bundle(bundle_of(dsseEnvelope=envelope), **more)

    def notation(self, document: Mapping[str, Any] | bytes, media_type: str = notation_jws.MEDIA_TYPE) -> Carrier:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.carry(media_type, raw, artifact_type=notation.ARTIFACT_TYPE)

    def target(self, **changes: Any) -> dict[str, Any]:
        """Notation's payload."""
        told = {"mediaType": self.subject.media_type, "digest": str(self.subject.digest),
                "size": len(self.subject.raw)}  # fmt: skip
        return {"targetArtifact": {**told, **changes}}

    def verdicts(self, known: Pins) -> list[Verdict]:
        return verify_all(self.subject, self.carriers, self.store, known)

    def verdict(self, known: Pins) -> Verdict:
        """The one verdict."""
        (one,) = self.verdicts(known)
        return one

    def refusal(self, known: Pins) -> str:
        """Why the one signature does not count."""
        refusal = self.verdict(known).refusal
        return "" if refusal is None else refusal.value


def envelope_of(
    statement: Mapping[str, Any] | bytes, *keys: PrivateKey, kind: str = "application/vnd.in-toto+json", **more: Any
) -> dict[str, Any]:
    """A DSSE envelope; its `keyid` names nobody."""
    raw = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    signatures = [{"sig": b64(key.sign(dsse.pre_authentication(kind, raw))), "keyid": "x"} for key in keys]
    return {"payload": b64(raw), "payloadType": kind, "signatures": signatures, **more}


def bundle_of(**content: Any) -> dict[str, Any]:
    """A Sigstore bundle with a hint that is nobody's."""
    material = {"publicKey": {"hint": b64(b"\0" * 32)}}
    return {"mediaType": sigstore_bundle.MEDIA_TYPE, "verificationMaterial": material, **content}


# Certificates and Notation.

_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
CertificateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def usage(**said: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: said.get(name, False) for name in names})


@dataclass
class Authority:
    """A certificate with its key: a root, an authority below it, or a signer."""

    certificate: x509.Certificate
    key: CertificateKey
    above: Authority | None = None

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pinned(self) -> PublicKey:
        return PublicKey.from_pem(self.pem)

    @property
    def chain(self) -> list[Authority]:
        return [self, *(self.above.chain if self.above is not None else ())]


def certify(
    name: str, above: Authority | None = None, *, ca: bool = False, key: CertificateKey | None = None,
    start: datetime.datetime = _START, end: datetime.datetime = _END,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] | None = None, length: int | None = None,
    hashed: hashes.HashAlgorithm | None = None, issuer: str = "",
) -> Authority:  # fmt: skip
    """A certificate, fit for what it is where `extensions` (with critical) do not say otherwise."""
    made = key or ec.generate_private_key(ec.SECP256R1())

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    if extensions is None and ca:
        extensions = [(x509.BasicConstraints(ca=True, path_length=length), True), (usage(key_cert_sign=True), True)]
    elif extensions is None:
        extensions = [(usage(digital_signature=True), True),
                      (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)]  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer) if issuer else named(name) if above is None else above.certificate.subject)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    by = made if above is None else above.key
    return Authority(builder.sign(by, hashed or hashes.SHA256()), made, above)


def jws(
    signer: Authority, payload: Mapping[str, Any] | bytes, *, chain: Sequence[bytes] | None = None,
    drop: Sequence[str] = (), **protected: Any,
) -> dict[str, Any]:  # fmt: skip
    """A Notation envelope, its protected header changed by `protected` and without `drop`."""
    key = signer.key
    algorithm, hashed = (
        ("ES256", hashes.SHA256()) if isinstance(key, ec.EllipticCurvePrivateKey) else ("PS256", hashes.SHA256())
    )
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        algorithm, hashed = "ES384", hashes.SHA384()  # type: ignore[assignment]
    header = {
        "alg": algorithm, "cty": notation.PAYLOAD_TYPE, "crit": ["io.cncf.notary.signingScheme"],
        "io.cncf.notary.signingScheme": "notary.x509", "io.cncf.notary.signingTime": "2026-06-01T00:00:00Z",
        **protected,
    }  # fmt: skip
    for name in drop:
        del header[name]
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    first, second = b64url(json.dumps(header).encode()), b64url(raw)
    signed = f"{first}.{second}".encode()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        length = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashed)))
        signature = r.to_bytes(length, "big") + s.to_bytes(length, "big")
    else:
        signature = key.sign(signed, padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH), hashed)
    ders = [one.der for one in signer.chain] if chain is None else chain
    return {
        "payload": second, "protected": first, "signature": b64url(signature),
        "header": {"x5c": [b64(der) for der in ders], "io.cncf.notary.signingAgent": "a test"},
    }  # fmt: skip


def cbor_of(value: Any) -> bytes:
    """A value in CBOR, as short as it can be; a pair of a tag and a value is `("tag", tag, value)`."""

    def head(kind: int, number: int) -> bytes:
        for short, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 24:
                return bytes([kind << 5 | number])
            if number < 1 << (8 * size):
                return bytes([kind << 5 | short]) + number.to_bytes(size, "big")
        raise AssertionError(number)

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor_of, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor_of(key) + cbor_of(one) for key, one in value.items())
    _, tag, inner = value
    return head(6, tag) + cbor_of(inner)


def cose(
    signer: Authority, payload: Mapping[str, Any] | bytes, *, chain: Any = None, drop: Sequence[int | str] = (),
    tag: int = 18, beside: Mapping[int | str, Any] | None = None, **protected: Any,
) -> bytes:  # fmt: skip
    """A Notation envelope in COSE, changed as `jws` is: `alg`, `crit` and `cty` are labels 1, 2 and 3."""
    key = signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    header: dict[int | str, Any] = {
        1: -7, 2: ["io.cncf.notary.signingScheme"], 3: notation.PAYLOAD_TYPE,
        "io.cncf.notary.signingScheme": "notary.x509", "io.cncf.notary.signingTime": ("tag", 1, 1_780_272_000),
    }  # fmt: skip
    header |= {{"alg": 1, "crit": 2, "cty": 3}.get(name, name): value for name, value in protected.items()}
    for name in drop:
        del header[name]
    first, raw = cbor_of(header), payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    r, s = decode_dss_signature(key.sign(notation_cose.to_be_signed(first, raw), ec.ECDSA(hashes.SHA256())))
    ders = [one.der for one in signer.chain] if chain is None else chain
    unprotected = {33: ders, "io.cncf.notary.signingAgent": "a test", **(beside or {})}
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor_of(("tag", tag, [first, unprotected, raw, signature]))


# The tools' own.


class Layout:
    """A layout of `signatures.zip`."""

    def __init__(self, name: str) -> None:
        self.store = MemoryStore()
        with zipfile.ZipFile(DATA) as archive:
            self.files = {entry: archive.read(entry) for entry in archive.namelist() if entry.startswith(f"{name}/")}
            self.cosign = PublicKey.from_pem(archive.read("cosign.pub"))
            self.root = PublicKey.from_pem(archive.read("notation-root.crt"))
        self.manifests: dict[Digest, Manifest] = {}
        for entry, raw in self.files.items():
            if "/blobs/" in entry:
                digest = self.store.add(raw)
                if raw.startswith(b'{"schemaVersion"'):
                    self.manifests[digest] = parse_manifest(raw)
        entries = json.loads(self.files[f"{name}/index.json"])["manifests"]
        self.tags = {
            one["annotations"]["org.opencontainers.image.ref.name"]: Digest.parse(one["digest"]) for one in entries
        }

    def unpack(self, to: Path) -> Path:
        for name, raw in self.files.items():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(raw)
        return to / next(iter(self.files)).partition("/")[0]

    def subject(self, digest: Digest = INDEX) -> Subject:
        return Subject.of(self.store.blobs[digest], self.manifests[digest].media_type, digest)

    def carriers(self, digest: Digest = INDEX) -> list[Carrier]:
        below = [Carrier(found, self.manifests[found], tag) for tag, found in self.tags.items()
                 if tag.startswith(f"sha256-{digest.hex}.")]  # fmt: skip
        referring = [Carrier(found, one) for found, one in sorted(self.manifests.items())
                     if one.subject is not None and one.subject.digest == digest]  # fmt: skip
        return below + referring

    def verdicts(self, known: Pins, digest: Digest = INDEX) -> list[Verdict]:
        return verify_all(self.subject(digest), self.carriers(digest), self.store, known)
