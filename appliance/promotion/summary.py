"""The verification summary of a promotion (slsa.dev/verification_summary/v1): what the station found, signed by its key
`verdict`, as a Sigstore bundle that refers to the artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.image_signatures.applied import Applied
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.reads.content import ManifestFacts
from appliance.store.writes.content import BlobRow, ManifestRow
from bundles.errors import FailedError, LockgateError
from bundles.image_signatures.making import Form, attest
from bundles.image_signatures.placing import layer_of, notes_of, referrer
from bundles.io.strict_json import canonical
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.signing.keys import PrivateKey, load_private

PREDICATE: Final = "https://slsa.dev/verification_summary/v1"
KEY: Final = "verdict"


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary in the store, which nothing shows yet: its carrier's digest, and the rows of what is to be shown."""

    digest: Digest
    blobs: tuple[BlobRow, ...]
    manifest: ManifestRow


def verdict_key(paths: StationPaths) -> PrivateKey:
    """The key that signs summaries and nothing else. Raises FailedError where the station has none."""
    try:
        return load_private(paths.keys / f"{KEY}.pem", None)
    except LockgateError as error:
        raise FailedError(
            f"the station cannot sign what it finds ({error.what})", thing=str(paths.keys / f"{KEY}.pem"),
            remedy=f"make the key: lockgate key create {KEY} --no-passphrase",
        ) from None  # fmt: skip


def sign_summary(
    blobs: BlobStore, key: PrivateKey, site: str, facts: ManifestFacts, repository: str, applied: Applied, at: str
) -> Summary:
    """Say of an artifact that it passed the policy as content of a repository, and put that into the store. Blocking;
    nothing collects meanwhile (`appliance.control.waiting_turns.placing`)."""
    algorithm, _, hexes = applied.digest.partition(":")
    predicate = {
        "verifier": {"id": f"urn:lockgate:site:{site}"},
        "timeVerified": at,
        "resourceUri": f"{repository}@{facts.digest}",
        "policy": {"uri": f"urn:lockgate:policy:{site}:{applied.policy.number}", "digest": {algorithm: hexes}},
        "verificationResult": "PASSED",
        "verifiedLevels": ["LOCKGATE_GATES_PASSED"],
        "slsaVersion": "1.0",
    }
    made = attest(Form.SIGSTORE, facts.digest, key, PREDICATE, canonical(predicate), name=repository)
    subject = Descriptor(facts.media_type, facts.digest, facts.size)
    placed = referrer(layer_of(made, PREDICATE), subject, at, notes_of(made, PREDICATE))
    rows = tuple(
        BlobRow(digest=str(Digest.of(raw)), size=len(raw), crc32=blobs.put(raw, Digest.of(raw)))
        for raw in (made.document, placed.config)
    )
    carrier, manifest = Digest.of(placed.manifest), parse_manifest(placed.manifest)
    blob = BlobRow(digest=str(carrier), size=len(placed.manifest), crc32=blobs.put(placed.manifest, carrier))
    row = ManifestRow(
        blob=blob, media_type=manifest.media_type, artifact_type=manifest.artifact_type, subject=str(facts.digest),
        annotations=dict(manifest.annotations),
    )  # fmt: skip
    return Summary(carrier, rows, row)
