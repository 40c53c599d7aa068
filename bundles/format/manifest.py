"""The bundle manifest: what a bundle says of itself, under its signatures (docs/internals/format.md, The manifest).

Shapes are msgspec structs, strict and closed: an unknown field is refused, the one `extensions` object aside.
Bytes are canonical JSON (RFC 8785), and only those bytes are accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bundles.oci.digest import Digest

TYPE: Final = "application/vnd.lockgate.bundle.v1+json"
FORMAT_MAJOR: Final = 1
FORMAT_MINOR: Final = 0
BASE_EXTENSION: Final = "lockgate.base"
"""The extension that says what a delta was built on: `{"receipt": the receipt's number, or 0}`."""

NOT_CARRIED_EXTENSION: Final = "lockgate.not_carried"
"""The extension that names foreign layers that the source did not hold: `{"count": …, "layers": [{"artifact":
"repository@digest", "layer": digest} …]}`, the first NAMED_MOST of them."""

UNDESCRIBED_EXTENSION: Final = "lockgate.undescribed"
"""The extension that says why images have no SBOM: `{"count": …, "images": [{"image": "repository@digest", "layer":
text, "why": text} …]}`, the first NAMED_MOST of them."""

LEFT_OUT_EXTENSION: Final = "lockgate.left_out"
"""The extension that names indexes of which platforms were left out when they were collected: `{"count": …, "indexes":
[{"index": "repository@digest", "platforms": [text …]} …]}`, the first NAMED_MOST of them. What permits the absence is
the record that is carried with each (bundles.oci.left_out)."""

ROTATIONS_EXTENSION: Final = "lockgate.key_rotations"
"""The extension that carries the source's key rotations, oldest first (bundles.documents.rotation_carried). A reader
that does not know it goes on believing the keys that it has."""

NAMED_MOST: Final = 1_000

KNOWN_CRIT: Final[frozenset[str]] = frozenset({LEFT_OUT_EXTENSION})
"""Features this reader knows; a bundle whose `crit` names another is refused."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Format(_Struct, frozen=True):
    """Major: a reader of another major refuses. Minor: additions an older reader may ignore."""

    major: int
    minor: int


class Artifact(_Struct, frozen=True):
    """A manifest that becomes visible on release. `tags` is sorted and may be empty (an index's child, a referrer).

    `kind` is index, image, chart, sbom, signature, attestation, file or artifact; `platform` is `os/arch[/variant]`
    or empty; `size` is the manifest's own bytes.
    """

    repository: str
    digest: str
    mediaType: str  # noqa: N815  the OCI name
    kind: str
    size: int
    platform: str = ""
    tags: list[str] = []


class Part(_Struct, frozen=True):
    """A piece of a blob that is larger than a volume: `length` bytes at `offset` of `volume`, with their own digest."""

    volume: int
    offset: int
    length: int
    sha256: str


class Blob(_Struct, frozen=True, omit_defaults=True):
    """A blob that is carried: at `offset` of `volume`, or in `parts` (exactly one of the two)."""

    digest: str
    size: int
    volume: int | None = None
    offset: int | None = None
    parts: list[Part] | None = None


class Required(_Struct, frozen=True):
    """A blob that is needed and not carried: a delta's base."""

    digest: str
    size: int


class Volume(_Struct, frozen=True):
    """One archive: `volumes/<index, four digits>.7z` on medium number `medium` (from 1)."""

    index: int
    medium: int
    size: int
    sha256: str


class Evidence(_Struct, frozen=True):
    """An SBOM, signature or attestation (`digest`, a manifest) and what it speaks of (`subject`)."""

    subject: str
    digest: str


class Tool(_Struct, frozen=True):
    name: str
    version: str


class BundleManifest(_Struct, frozen=True):
    """The whole manifest. Lists are sorted and without doubles, so that one content has one form:
    `artifacts` by (repository, digest), `blobs` and `requires` by digest, `volumes` by index,
    `signers`, `crit` and `voided` ascending, evidence by (subject, digest)."""

    type: str
    format: Format
    crit: list[str]
    extensions: dict[str, Any]
    id: str
    stream: str
    sequence: int
    previous: str | None
    voided: list[int]
    created: str
    not_after: str
    purpose: str
    authorisation: str
    classification: str
    signers: list[str]
    artifacts: list[Artifact]
    blobs: list[Blob]
    requires: list[Required]
    volumes: list[Volume]
    sboms: list[Evidence]
    signatures: list[Evidence]
    attestations: list[Evidence]
    tool: Tool

    @property
    def source(self) -> str:
        """The site that made it."""
        return self.stream.partition(".")[0]

    @property
    def destination(self) -> str:
        """The site it is for."""
        return self.stream.partition(".")[2]

    def without_sbom(self) -> list[str]:
        """The images that no carried SBOM speaks of, each as `repository@digest`."""
        described = {entry.subject for entry in self.sboms}
        bare = (entry for entry in self.artifacts if entry.kind == "image" and entry.digest not in described)
        return [f"{entry.repository}@{entry.digest}" for entry in bare]

    def not_carried(self) -> list[str]:
        """The foreign layers that the source says it did not hold, each as `repository@digest: layer`."""
        found = self._named(NOT_CARRIED_EXTENSION, "layers")
        return [f"{one.get('artifact')}: {one.get('layer')}" for one in found]

    def left_out(self) -> list[str]:
        """The indexes that lack platforms on purpose, in words."""
        return [left_out_in_words(one) for one in self._named(LEFT_OUT_EXTENSION, "indexes")]

    def undescribed(self) -> list[str]:
        """Why images have no SBOM, as the source says: `repository@digest: layer …: reason`."""
        found = self._named(UNDESCRIBED_EXTENSION, "images")
        where = [f"layer {one.get('layer')}: " if one.get("layer") else "" for one in found]
        return [f"{one.get('image')}: {at}{one.get('why')}" for one, at in zip(found, where, strict=True)]

    def _named(self, extension: str, kind: str) -> list[dict[str, Any]]:
        said = self.extensions.get(extension)
        listed = said.get(kind) if isinstance(said, dict) else None
        return [one for one in listed[:NAMED_MOST] if isinstance(one, dict)] if isinstance(listed, list) else []

    def blob_digests(self) -> list[Digest]:
        """The digests of every carried blob, in the manifest's order."""
        return [Digest.parse(blob.digest) for blob in self.blobs]


def left_out_in_words(one: Mapping[str, Any]) -> str:
    """An entry of LEFT_OUT_EXTENSION in words: `repository@digest: without linux/arm64`."""
    platforms = one.get("platforms")
    listed = platforms if isinstance(platforms, list) else []
    return f"{one.get('index')}: without {', '.join(map(str, listed)) or 'some of its manifests'}"


def bundle_id(stream: str, sequence: int) -> str:
    """`<stream>-<sequence, six digits>`: the bundle's id and the name of its folder."""
    return f"{stream}-{sequence:06d}"


def volume_path(index: int) -> str:
    """`volumes/0001.7z`: a volume's path below the bundle's folder."""
    return f"volumes/{index:04d}.7z"
