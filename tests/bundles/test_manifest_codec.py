"""manifest.json has one form, and a manifest that decodes is consistent in every number and name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import FailedError, MalformedError, RefusedError
from bundles.format import manifest_codec
from bundles.format.manifest import Artifact, Blob, BundleManifest, Evidence, Part, Required, Volume
from bundles.format.media import pack
from bundles.format.volume_frame import Entry, lay_out_volume
from bundles.io import strict_json
from bundles.oci.digest import Digest
from tests.bundles.small import manifest_of

KEYID = "0123456789abcdef"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(number: int, algorithm: str = "sha256") -> Digest:
    return Digest.of(str(number).encode(), algorithm)


def sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def manifest(sizes: list[int], volume_size: int = 4_000) -> BundleManifest:
    """A manifest of blobs of `sizes`, packed and laid out; the first one is an artifact, with an SBOM."""
    blobs = [(digest(number, "sha512" if number % 5 == 4 else "sha256"), size) for number, size in enumerate(sizes)]
    packing = pack(blobs, volume_size)
    places: dict[str, list[tuple[int, int, int, int]]] = {}
    volumes = []
    for index, pieces in enumerate(packing.volumes, 1):
        layout = lay_out_volume([Entry.piece(piece) for piece in pieces])
        volumes.append(Volume(index=index, medium=1, size=layout.size, sha256=sha256(index)))
        for entry, offset in zip(layout.entries, layout.offsets, strict=True):
            piece = next(piece for piece in pieces if piece.name == entry.name)
            places.setdefault(str(piece.digest), []).append((piece.offset, index, offset, piece.length))
    listed = []
    for name, found in sorted(places.items()):
        if len(found) == 1:
            listed.append(Blob(digest=name, size=found[0][3], volume=found[0][1], offset=found[0][2]))
        else:
            parts = [Part(volume=v, offset=o, length=n, sha256=sha256(at)) for at, v, o, n in sorted(found)]
            listed.append(Blob(digest=name, size=sum(part.length for part in parts), parts=parts))
    artifacts = [
        Artifact(repository="team/app", digest=str(found), mediaType=INDEX, kind=kind, size=size, tags=tags)
        for (found, size), kind, tags in zip(blobs, ("index", "sbom"), (["1.0", "latest"], []), strict=False)
    ]
    artifacts.sort(key=lambda artifact: artifact.digest)

    class Content:
        def __init__(self) -> None:
            self.artifacts, self.requires = artifacts, [Required(digest=str(digest(-1)), size=7)]

    class LaidOut:
        def __init__(self) -> None:
            self.blobs, self.volumes = listed, volumes

    sboms = [Evidence(subject=str(blobs[0][0]), digest=str(blobs[1][0]))] if len(blobs) > 1 else []
    return manifest_of(Content(), LaidOut(), [KEYID], sboms=sboms)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def good() -> BundleManifest:
    return manifest([10, 300, 0, 9_000, 20, 1_000])


@given(st.lists(st.integers(0, 20_000), min_size=2, max_size=30), st.integers(1_100, 30_000))
def test_what_is_encoded_decodes_to_the_same(sizes: list[int], volume_size: int) -> None:
    one = manifest(sizes, volume_size)
    raw = manifest_codec.encode(one)
    assert manifest_codec.decode(raw) == one
    assert manifest_codec.encode(manifest_codec.decode(raw)) == raw


def test_the_bytes_are_rfc_8785(good: BundleManifest) -> None:
    raw = manifest_codec.encode(good)
    assert raw == strict_json.canonical(json.loads(raw))
    assert raw.startswith(b'{"artifacts":[{"digest":"sha256:')


def test_extensions_hold_what_no_field_does(good: BundleManifest) -> None:
    extended = msgspec.structs.replace(good, extensions={"org.example": {"ä": [1, None, True, "\u2028"]}})
    assert manifest_codec.decode(manifest_codec.encode(extended)) == extended


@pytest.mark.parametrize("major", [0, 2, "1", None])
def test_another_major_format_is_refused_before_anything_else_is_looked_at(major: Any) -> None:
    raw = strict_json.canonical({"type": "application/vnd.lockgate.bundle.v1+json", "format": {"major": major}})
    with pytest.raises(RefusedError, match="another major format"):
        manifest_codec.decode(raw)


def test_a_feature_that_must_be_known_and_is_not_is_refused_by_name(good: BundleManifest) -> None:
    raw = strict_json.canonical(msgspec.to_builtins(msgspec.structs.replace(good, crit=["sparse", "sums-v2"])))
    with pytest.raises(RefusedError, match="sparse, sums-v2"):
        manifest_codec.decode(raw)


def test_a_newer_minor_format_is_read(good: BundleManifest) -> None:
    newer = msgspec.structs.replace(good, format=msgspec.structs.replace(good.format, minor=7))
    assert manifest_codec.decode(manifest_codec.encode(newer)).format.minor == 7


Change = Callable[[dict[str, Any]], object]


def put(*path: str | int, value: Any) -> Change:
    """Sets the field at `path`."""

    def apply(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return apply


def whole(document: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """The carried blob `number` of those that lie in one place."""
    return [blob for blob in document["blobs"] if "offset" in blob][number]  # type: ignore[no-any-return]


def parted(document: dict[str, Any]) -> dict[str, Any]:
    return next(blob for blob in document["blobs"] if "parts" in blob)


def overlap(document: dict[str, Any]) -> None:
    """One byte of two blobs in one place."""
    one, two = sorted(
        (b for b in document["blobs"] if b.get("volume") == 1 and b["size"] > 1), key=lambda blob: blob["offset"]
    )[:2]
    two["offset"] = one["offset"] + one["size"] - 1


ZERO = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("type", value="application/vnd.lockgate.approval.v1+json"), "another kind of document"),
        (put("format", "minor", value=-1), "minor"),
        (put("format", "patch", value=1), "patch"),
        (put("surprise", value=1), "surprise"),
        (lambda d: d.pop("voided"), "voided"),
        (put("stream", value="alpha"), "site"),
        (put("stream", value="alpha.bravo.charlie"), "site"),
        (put("stream", value="alpha.Bravo"), "site"),
        (put("stream", value="alpha.alpha"), "own source"),
        (put("id", value="alpha.bravo-1"), "id is not"),
        (put("sequence", value=1_000_000), "sequence"),
        (put("sequence", value=True), "sequence"),
        (put("previous", value=ZERO), "first bundle"),
        (put("previous", value="sha512:" + "0" * 128), "not a sha256"),
        (put("previous", value="md5:" + "0" * 32), "digest algorithm"),
        (put("voided", value=[1]), "not before this one"),
        (put("voided", value=list(range(1, limits.SEQUENCE_STEP + 1))), "voided names too many"),
        (put("created", value="2026-02-30T00:00:00Z"), "created is not a time"),
        (put("created", value="2026-06-01T12:00:00+00:00"), "created is not a time"),
        (put("not_after", value="2026-05-31T12:00:00Z"), "before created"),
        (put("purpose", value="x" * (limits.MANIFEST_TEXT + 1)), "purpose is too long"),
        (put("tool", "version", value="x" * (limits.MANIFEST_TEXT + 1)), "tool.version is too long"),
        (put("signers", value=["0123456789ABCDEF"]), "key id"),
        (put("signers", value=[KEYID, KEYID]), "signers is out of order or has doubles"),
        (put("signers", value=["1" * 16, "0" * 16]), "signers is out of order"),
        (put("signers", value=[f"{number:016x}" for number in range(limits.SIGNATURES + 1)]), "signers"),
        (put("volumes", 0, "index", value=2), "numbered"),
        (put("volumes", 0, "medium", value=3), "media are not numbered"),
        (put("volumes", 0, "medium", value=0), "media are not numbered"),
        (put("volumes", 0, "sha256", value="A" * 64), "sha256"),
        (put("volumes", 0, "size", value=31), "size"),
        (lambda d: d["volumes"].append({**d["volumes"][0]}), "numbered"),
        (lambda d: d["volumes"].pop(), "place"),
        (lambda d: whole(d).update(digest="sha256:" + "F" * 64), "blobs is out of order|malformed digest"),
        (lambda d: whole(d).update(offset=31), "place"),
        (lambda d: whole(d).update(offset=-1), "place"),
        (lambda d: whole(d).update(offset=d["volumes"][0]["size"]), "place"),
        (lambda d: whole(d).update(volume=0), "place"),
        (lambda d: whole(d).update(volume=99), "place"),
        (overlap, "on another's"),
        (lambda d: whole(d).pop("offset"), "without a place"),
        (lambda d: whole(d).pop("volume"), "without a place"),
        (lambda d: whole(d).update(parts=parted(d)["parts"]), "a place and parts"),
        (lambda d: whole(d).update(parts=None), "not canonical"),
        (lambda d: parted(d).update(parts=[]), "parts do not make it up"),
        (lambda d: parted(d)["parts"].pop(), "parts do not make it up"),
        (lambda d: parted(d)["parts"][0].update(length=0), "parts do not make it up"),
        (lambda d: parted(d)["parts"][0].update(sha256="0"), "sha256"),
        (lambda d: parted(d).update(size=1), "parts do not make it up"),
        (lambda d: d["blobs"].reverse(), "blobs is out of order"),
        (lambda d: d["requires"].append(d["requires"][0]), "requires is out of order or has doubles"),
        (lambda d: d["requires"][0].update(digest=d["blobs"][0]["digest"]), "carried"),
        (lambda d: d["requires"][0].update(size=-1), "size"),
        (lambda d: d["artifacts"].reverse(), "artifacts is out of order"),
        (put("artifacts", 0, "repository", value="../up"), "repository"),
        (put("artifacts", 0, "repository", value="Team/app"), "repository"),
        (put("artifacts", 0, "tags", value=["b", "a"]), "tags is out of order"),
        (put("artifacts", 0, "tags", value=["a b"]), "tag"),
        (lambda d: [a.update(tags=["same"]) for a in d["artifacts"]], "a tag stands at two"),
        (put("artifacts", 0, "kind", value="virus"), "unknown kind"),
        (put("artifacts", 0, "mediaType", value="text"), "media type"),
        (put("artifacts", 0, "platform", value="linux/amd64\x1b[2J"), "platform"),
        (put("artifacts", 0, "platform", value="a/b/c/d"), "platform"),
        (put("artifacts", 0, "platform", value="../../x"), "platform"),
        (put("artifacts", 0, "platform", value="linux/.."), "platform"),
        (put("artifacts", 0, "size", value=11), "neither carried nor required"),
        (put("artifacts", 0, "digest", value=ZERO), "neither carried nor required|out of order"),
        (put("sboms", 0, "digest", value=ZERO), "no artifact"),
        (put("sboms", 0, "subject", value=ZERO), "no artifact"),
        (lambda d: d["sboms"].append(d["sboms"][0]), "sboms is out of order or has doubles"),
    ],
)
def test_an_inconsistent_manifest_is_not_decoded(good: BundleManifest, change: Change, reason: str) -> None:
    document = json.loads(manifest_codec.encode(good))
    change(document)
    with pytest.raises(MalformedError, match=reason):
        manifest_codec.decode(strict_json.canonical(document))


def test_parts_in_another_order_are_another_blob(good: BundleManifest) -> None:
    """Order is not told by numbers but by the list; the joined digest then finds it."""
    document = json.loads(manifest_codec.encode(good))
    parted(document)["parts"].reverse()
    decoded = manifest_codec.decode(strict_json.canonical(document))
    assert decoded != good


def test_one_digest_of_two_media_types_is_not_decoded(good: BundleManifest) -> None:
    twin = msgspec.structs.replace(good.artifacts[0], repository="team/twin", mediaType="application/json", tags=[])
    with pytest.raises(MalformedError, match="two media types"):
        manifest_codec.encode(msgspec.structs.replace(good, artifacts=[*good.artifacts, twin]))


def test_nothing_inconsistent_is_encoded(good: BundleManifest) -> None:
    with pytest.raises(MalformedError, match="id is not"):
        manifest_codec.encode(msgspec.structs.replace(good, sequence=2))


def test_a_manifest_too_large_for_any_reader_is_not_encoded(
    good: BundleManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BUNDLE_MANIFEST", 1_000)
    with pytest.raises(FailedError, match="names too much"):
        manifest_codec.encode(good)
    with pytest.raises(MalformedError, match="too large"):
        manifest_codec.decode(strict_json.canonical(msgspec.to_builtins(good)))


@pytest.mark.parametrize("spoil", [lambda raw: raw + b" ", lambda raw: raw.replace(b":", b": ", 1)])
def test_bytes_that_are_not_canonical_are_not_decoded(good: BundleManifest, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError, match="not canonical"):
        manifest_codec.decode(spoil(manifest_codec.encode(good)))
