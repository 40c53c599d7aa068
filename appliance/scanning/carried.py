"""SBOMs that came along in other forms than a referrer: at cosign's tags (`.sbom`, `.att`), in DSSE envelopes and
Sigstore bundles that refer to an image, and beside it in an index, as BuildKit puts them.

No signature is looked at: what comes from elsewhere counts for nothing, and is held against the station's own SBOM
(appliance.scanning.packages). An attestation about another image is no SBOM of this one, and is said to be so.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from appliance.advisories.sbom import Listed, listed_in
from appliance.limits import sbom as sbom_limits
from appliance.limits import scanning as limits
from appliance.station import Station
from appliance.store.reads.components import evidence_beside, indexes_shown
from bundles import limits as bundle_limits
from bundles.errors import LockgateError, MalformedError
from bundles.image_signatures import dsse, sigstore_bundle
from bundles.image_signatures.statement import PAYLOAD_TYPE
from bundles.io import strict_json
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import SBOM_TYPES
from bundles.oci.manifest import Manifest, parse_manifest

REFERENCE_TYPE: Final = "vnd.docker.reference.type"
REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"
ATTESTATION: Final = "attestation-manifest"
"""Annotations of BuildKit's attestations in an index (BuildKit, attestation-storage.md)."""
_PREDICATES: Final = ("https://spdx.dev/Document", "https://cyclonedx.org/bom")
"""How the predicate types of SBOMs begin (in-toto attestation framework, predicates spdx and cyclonedx)."""
_UNREAD: Final = frozenset({"text/spdx", "application/vnd.cyclonedx+xml", "application/vnd.syft+json"})
"""Forms in which cosign attaches SBOMs and that are not read here (cosign, SBOM_SPEC)."""
_ALL: Final = frozenset({*SBOM_TYPES, *_UNREAD, PAYLOAD_TYPE, dsse.MEDIA_TYPE})


class Evidence(NamedTuple):
    """A manifest that may hold SBOMs of an image, both by digest."""

    image: str
    manifest: str


class Carried(NamedTuple):
    """An SBOM that was found: `digest` is that of its document, `why` says why it cannot be read where it lists
    nothing."""

    digest: str
    listed: Listed | None
    why: str = ""


def evidence(station: Station) -> Iterator[Evidence]:
    """What repositories show that may hold SBOMs in these forms, read as the caller goes. What BuildKit put into an
    index stands under the index's own digest, as the image, and is told apart by `beside`."""
    yield from (Evidence(*row) for row in evidence_beside(station.reader))
    yield from (Evidence(digest, digest) for digest in indexes_shown(station.reader))


def beside(station: Station, index: str) -> list[Evidence]:
    """The attestations in an index, each with the image that it is about, of those that the store holds. Raises
    LockgateError for an index that cannot be read."""
    found = []
    for child in _manifest(station, Digest.parse(index)).manifests:
        if child.annotations.get(REFERENCE_TYPE) != ATTESTATION or station.metadata.manifest(child.digest) is None:
            continue
        try:
            image = Digest.parse(child.annotations.get(REFERENCE_DIGEST, ""))
        except LockgateError:
            continue
        found.append(Evidence(str(image), str(child.digest)))
    return found


def documents(station: Station, one: Evidence) -> Iterator[Carried]:
    """The SBOMs in a manifest. Raises LockgateError where the manifest itself cannot be read."""
    manifest = _manifest(station, Digest.parse(one.manifest))
    for layer in manifest.layers[: limits.CARRIED_LAYERS]:
        if layer.media_type not in _ALL and not layer.media_type.startswith(sigstore_bundle.FAMILY):
            continue
        try:
            listed = _read(station, layer, Digest.parse(one.image))
        except LockgateError as error:
            yield Carried(str(layer.digest), None, error.what)
            continue
        if listed is not None:
            yield Carried(str(layer.digest), listed)


def _manifest(station: Station, digest: Digest) -> Manifest:
    with station.blobs.open_blob(digest) as file:
        return parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1))


def _read(station: Station, layer: Descriptor, image: Digest) -> Listed | None:
    """What a layer lists; None for an attestation that is no SBOM. Raises MalformedError."""
    if layer.media_type in _UNREAD:
        raise MalformedError(f"an SBOM as {layer.media_type}, which is not read here")
    if layer.size > sbom_limits.SBOM_DOCUMENT:
        raise MalformedError("it is too large to be read")
    with station.blobs.open_blob(layer.digest) as file:
        raw = file.read(sbom_limits.SBOM_DOCUMENT + 1)
    document = _decoded(raw)
    if layer.media_type in SBOM_TYPES:
        return listed_in(document)
    statement = _statement(document)
    if statement is None:
        return None
    kind, predicate = statement.get("predicateType"), statement.get("predicate")
    if not isinstance(kind, str) or not kind.startswith(_PREDICATES):
        return None
    if not _is_about(statement.get("subject"), image):
        raise MalformedError("an SBOM in an attestation about another image")
    if isinstance(predicate, dict) and isinstance(predicate.get("Data"), str):  # cosign 1: the document as a text
        predicate = _decoded(predicate["Data"].encode())
    return listed_in(predicate)


def _statement(document: Any) -> dict[str, Any] | None:
    """The in-toto statement in a document: bare, in an envelope, or in a bundle; None where it holds none. Raises
    MalformedError."""
    if not isinstance(document, dict):
        return None
    envelope = document.get("dsseEnvelope", document)
    if isinstance(envelope, dict) and isinstance(envelope.get("payload"), str):
        if envelope.get("payloadType") != PAYLOAD_TYPE:
            return None
        try:
            payload = base64.b64decode(envelope["payload"], validate=True)
        except (binascii.Error, ValueError):
            raise MalformedError("an attestation whose payload is no base64") from None
        document = _decoded(payload)
    return document if isinstance(document, dict) and "predicateType" in document else None


def _is_about(subjects: Any, image: Digest) -> bool:
    for one in subjects if isinstance(subjects, list) else ():
        digests = one.get("digest") if isinstance(one, dict) else None
        if isinstance(digests, dict) and digests.get(image.algorithm) == image.hex:
            return True
    return False


def _decoded(raw: bytes) -> Any:
    return strict_json.loads(
        raw, ceiling=sbom_limits.SBOM_DOCUMENT, nodes=sbom_limits.SBOM_NODES, what="an SBOM", floats=True,
        memory=sbom_limits.SBOM_DECODED,
    )  # fmt: skip
