"""The cases: how each differs from the good bundle `one`, and the verdict that it must get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bundles import build
from bundles.format import sums
from bundles.format.manifest import volume_path
from bundles.io import strict_json
from tests.vectors.known import HERE, KEYS, MEDIA, NOW, ONE, signature_name

Document = dict[str, Any]
Files = dict[str, bytes]
"""Files of a bundle by name."""
_DIFFER = "SHA256SUMS and manifest.json do not name the same"
_NOT_NAMED = "the file's bytes are not the ones SHA256SUMS names"
_STRANGER = "a file that does not belong"


@dataclass
class Case:
    """What is different from a good bundle, and the verdict: exit status, and how the reason starts."""

    name: str
    reason: str
    files: Files = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=lambda: [ONE])
    now: str = NOW
    exit: int = 3


class Cases:
    """Ways to damage the bundle `one`, and to sign a wrong one honestly."""

    def __init__(self, signed: build.Signed) -> None:
        self.signed = signed
        self.document: Document = json.loads(signed.manifest_bytes)
        self.volumes = {
            volume_path(volume.index): (HERE / "bundles" / ONE / volume_path(volume.index)).read_bytes()
            for volume in signed.manifest.volumes
        }

    def small(self, raw: bytes, *signers: str, text: Callable[[bytes], bytes] = lambda text: text) -> Files:
        """Files files around other manifest bytes, the text of SHA256SUMS changed too, all signed."""
        lines = [
            sums.SumLine(hashlib.sha256(raw).hexdigest(), sums.MANIFEST),
            sums.SumLine(hashlib.sha256(self.signed.readme).hexdigest(), sums.README),
            *(sums.SumLine(hashlib.sha256(data).hexdigest(), path) for path, data in self.volumes.items()),
        ]
        root = text(sums.render(lines))
        found = {signature_name(name): KEYS[name].sign(root) for name in signers or ("engineer",)}
        return {sums.MANIFEST: raw, sums.NAME: root, **found}

    def resigned(self, change: Callable[[Document], object], *signers: str) -> Files:
        """A changed manifest in canonical form, signed."""
        document: Document = json.loads(self.signed.manifest_bytes)
        change(document)
        return self.small(strict_json.canonical(document), *signers)

    def by(self, name: str, reason: str, key: str) -> Case:
        """The bundle, named for and signed by another key."""
        files = self.resigned(lambda d: d.update(signers=[KEYS[key].public.keyid]), key)
        return Case(name, reason, files, [signature_name("engineer")])

    def fields(self, name: str, reason: str, **fields: Any) -> Case:
        """The bundle with other fields in its manifest, honestly signed."""
        return Case(name, reason, self.resigned(lambda d: d.update(fields)))

    def lie(self, name: str, reason: str, change: Callable[[Document], object]) -> Case:
        return Case(name, reason, self.resigned(change))

    def raw(self, name: str, reason: str, change: Callable[[bytes], bytes]) -> Case:
        """Other bytes for the manifest, honestly signed."""
        return Case(name, reason, self.small(change(self.signed.manifest_bytes)))

    def text(self, name: str, reason: str, change: Callable[[bytes], bytes]) -> Case:
        """Another text of SHA256SUMS, honestly signed."""
        return Case(name, reason, self.small(self.signed.manifest_bytes, text=change))


def flipped(data: bytes, position: int = -1) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def good(cases: Cases) -> list[Case]:
    ok = "alpha.bravo-00000"
    newer = cases.resigned(lambda d: d.update(format={"major": 1, "minor": 9}, extensions={"later": {"x": 1}}))
    return [
        Case("good", ok, exit=0),
        Case("good-two-media-two-signers", ok, folders=MEDIA, exit=0),
        Case("good-media-in-any-order", ok, folders=MEDIA[::-1], exit=0),
        Case("good-newer-minor", ok, newer, exit=0),
        Case("good-recovery-is-ignored", ok, {"recovery/volumes.par2": b"PAR2\0PKT"}, exit=0),
        Case("incomplete-medium", "alpha.bravo-000002: volumes still to come", folders=MEDIA[:1], exit=4),
        Case("incomplete-volume", "alpha.bravo-000001: volumes still to come", remove=["volumes/0002.7z"], exit=4),
    ]


def damaged(cases: Cases) -> list[Case]:
    signature = signature_name("engineer")
    der = cases.signed.signatures[signature]
    one, two = cases.volumes["volumes/0001.7z"], cases.volumes["volumes/0002.7z"]
    return [
        Case(
            "volume-flipped",
            "the volume's bytes are not the signed ones",
            {"volumes/0003.7z": flipped(cases.volumes["volumes/0003.7z"])},
        ),
        Case("volume-blob-flipped", "the bytes of part 1 of", {"volumes/0001.7z": one.replace(b"hello ", b"jello ")}),
        Case("volume-truncated", f"the volume has {len(one) - 1} bytes, not the signed", {"volumes/0001.7z": one[:-1]}),
        Case("volume-longer", f"the volume has {len(one) + 1} bytes, not the signed", {"volumes/0001.7z": one + b"\0"}),
        Case("volumes-swapped", "the volume has", {"volumes/0001.7z": two, "volumes/0002.7z": one}),
        Case("volume-renamed", _STRANGER, {"volumes/0004.7z": two}, ["volumes/0002.7z"]),
        Case("volume-extra", _STRANGER, {"volumes/0004.7z": two}),
        Case("file-extra", _STRANGER, {"pub.pem": KEYS["engineer"].public.to_pem()}),
        Case("signature-of-unknown-kind", _STRANGER, {signature.replace(".sig", ".asc"): der}),
        Case("readme-changed", _NOT_NAMED, {"README.txt": cases.signed.readme + b"\n"}),
        Case("manifest-changed", _NOT_NAMED, {"manifest.json": flipped(cases.signed.manifest_bytes, 40)}),
        Case("sums-flipped", "the signature does not hold", {"SHA256SUMS": cases.signed.sums.replace(b"0", b"1", 1)}),
        Case("sums-missing", "the bundle lacks a file", remove=["SHA256SUMS"]),
        Case("unsigned", "the bundle is not signed", remove=[signature]),
        Case("signature-flipped", "the signature does not hold", {signature: flipped(der)}),
        Case("signature-with-slack", "the signature does not hold", {signature: der + b"\0"}),
        Case("signature-long-form", "the signature does not hold", {signature: b"\x30\x81" + der[1:]}),
        Case("media-of-two-bundles", "the media are not of one bundle", folders=[ONE, MEDIA[0]]),
        Case(
            "co-signature-stripped", "a signature is missing", remove=[signature_name("reviewer")], folders=[MEDIA[0]]
        ),
        Case(
            "co-signature-beyond-the-named",
            "a signature that the manifest does not name",
            {signature_name("third"): KEYS["third"].sign(cases.signed.sums)},
        ),
        Case("expired", "the bundle has expired", now="2026-12-01T00:00:01Z"),
        Case("from-the-future", "the bundle comes from the future", now="2026-05-31T11:59:59Z"),
    ]


def untrusted(cases: Cases) -> list[Case]:
    return [
        cases.by("signer-unknown", "the signer is unknown", "stranger"),
        cases.by("signer-of-another-purpose", "a signature that does not count", "receipts"),
        cases.by("signer-of-another-site", "a signature that does not count", "delta"),
        cases.by("signer-expired", "a signature that does not count", "expired"),
        cases.by("signer-revoked", "a signature that does not count", "revoked"),
        cases.fields(
            "for-another-site", "the bundle is for another site", stream="alpha.charlie", id="alpha.charlie-000001"
        ),
    ]


def malformed(cases: Cases) -> list[Case]:
    """Wrong, and honestly signed: what a careless or captured source could send."""
    digest = next(blob["digest"] for blob in cases.document["blobs"] if "offset" in blob)
    return [
        cases.text("sums-with-carriage-returns", "SHA256SUMS line 1 is malformed", lambda t: t.replace(b"\n", b"\r\n")),
        cases.text("sums-without-last-newline", "SHA256SUMS does not end with a newline", lambda t: t[:-1]),
        cases.text(
            "sums-out-of-order", "SHA256SUMS is out of order", lambda t: b"".join(t.splitlines(keepends=True)[::-1])
        ),
        cases.text(
            "sums-with-a-double", "SHA256SUMS names a file twice", lambda t: t + t.splitlines(keepends=True)[-1]
        ),
        cases.text(
            "sums-with-a-path",
            "SHA256SUMS line 5 is malformed",
            lambda t: t.replace(b"volumes/0003.7z", b"../../etc/passwd"),
        ),
        cases.text("sums-with-a-volume-more", _DIFFER, lambda t: t + b"0" * 64 + b"  volumes/0004.7z\n"),
        cases.text("sums-with-a-volume-less", _DIFFER, lambda t: b"".join(t.splitlines(keepends=True)[:-1])),
        cases.fields("newer-major", "a bundle of another major format", format={"major": 2, "minor": 0}),
        cases.fields("unknown-crit", "a bundle that needs features", crit=["sparse-volumes"]),
        cases.fields(
            "another-kind-of-document",
            "manifest.json is another kind of document",
            type="application/vnd.lockgate.receipt.v1+json",
        ),
        cases.fields("unknown-field", "manifest.json is not a bundle manifest", note="hello"),
        cases.raw(
            "not-canonical",
            "manifest.json is not canonical",
            lambda raw: json.dumps(json.loads(raw), indent=1).encode(),
        ),
        cases.raw(
            "duplicate-key",
            "manifest.json: duplicate JSON key",
            lambda raw: raw.replace(b'"crit":[]', b'"crit":[],"crit":[]'),
        ),
        cases.raw(
            "a-float",
            "manifest.json: a number that is not an integer",
            lambda raw: raw.replace(b'"voided":[]', b'"voided":[0.5]'),
        ),
        cases.raw(
            "nested-too-deep",
            "manifest.json is nested too deep",
            lambda raw: raw.replace(b'"extensions":{}', b'"extensions":{"x":' + b"[" * 40 + b"]" * 40 + b"}"),
        ),
        cases.lie(
            "repository-with-a-path",
            "malformed repository name",
            lambda d: d["artifacts"][0].update(repository="../../etc"),
        ),
        cases.lie(
            "digest-with-a-path", "malformed digest", lambda d: d["blobs"][0].update(digest="sha256:../../etc/passwd")
        ),
        cases.lie("tag-with-control-codes", "malformed tag", lambda d: d["artifacts"][0].update(tags=["\x1b[2J"])),
        cases.lie("blobs-overlap", "a blob's place", lambda d: _move(d, digest)),
        cases.lie("blob-of-another", "the bytes of", _swap),
        cases.lie("part-of-another", "the bytes of part 1 of", lambda d: _parts(d)[0].update(sha256="0" * 64)),
        cases.lie(
            "volume-of-another-digest",
            "SHA256SUMS and manifest.json differ",
            lambda d: d["volumes"][0].update(sha256="0" * 64),
        ),
    ]


def _move(document: Document, digest: str) -> None:
    """Put a blob where its neighbour is."""
    first = next(blob for blob in document["blobs"] if blob["digest"] == digest)
    other = next(b for b in document["blobs"] if b is not first and b.get("volume") == first["volume"] and b["size"])
    first["offset"] = other["offset"]


def _swap(document: Document) -> None:
    """Exchange the places of two blobs of one size."""
    placed = [blob for blob in document["blobs"] if "offset" in blob and blob["size"]]
    one, two = next((a, b) for a in placed for b in placed if a is not b and a["size"] == b["size"])
    for name in ("volume", "offset"):
        one[name], two[name] = two[name], one[name]


def _parts(document: Document) -> list[Document]:
    parts: list[Document] = next(blob["parts"] for blob in document["blobs"] if "parts" in blob)
    return parts
