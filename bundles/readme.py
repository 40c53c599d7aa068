"""README.txt of a medium: what it is, and how to check it with stock tools alone."""

from __future__ import annotations

from collections.abc import Mapping

from bundles.manifest import BundleManifest

_DIGESTS = {"ecdsa-p256": "sha256", "ecdsa-p384": "sha384"}


def _check(keyid: str, algorithm: str) -> str:
    """The command that checks one signature; an algorithm that is not known is taken for the default."""
    signature = f"SHA256SUMS.{keyid}.sig"
    if algorithm == "ed25519":
        return f"openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in SHA256SUMS -sigfile {signature}"
    digest = _DIGESTS.get(algorithm, "sha256")
    return f"openssl dgst -{digest} -verify pub.pem -signature {signature} SHA256SUMS"


def render(manifest: BundleManifest, algorithms: Mapping[str, str]) -> bytes:
    """The file's bytes; `algorithms` gives each signer's key algorithm, by key id."""
    checks = "".join(f"    {_check(keyid, algorithms.get(keyid, ''))}\n" for keyid in manifest.signers)
    several = len({volume.medium for volume in manifest.volumes}) > 1
    delta = (
        "\nThis bundle is a delta: it needs blobs that the destination holds already, and alone it is not complete.\n"
        if manifest.requires
        else ""
    )
    media = (
        "\nThe bundle spans several media. Each carries this file, SHA256SUMS, its signatures and manifest.json\n"
        "with its own volumes, and can be checked alone.\n"
        if several
        else ""
    )
    text = f"""Lockgate bundle {manifest.id}

Software from site {manifest.source} for site {manifest.destination}, sequence {manifest.sequence}.
Made {manifest.created}: {len(manifest.artifacts)} artifacts in {len(manifest.volumes)} volumes.
Nothing on this medium may be changed, added or renamed.

To verify with stock tools, in this folder, with the public key of each signer (pub.pem; it never comes with the
medium, ask the signer for it and compare its fingerprint over another channel):

{checks}    sha256sum -c --strict --ignore-missing SHA256SUMS

Every line must say OK. The first command proves who signed SHA256SUMS, the second that the files are the ones it
names. Signers: {", ".join(manifest.signers)}.
{media}{delta}
To bring it in: lockgate intake import FOLDER.
Without Lockgate: unpack all volumes into one folder,

    for volume in volumes/*.7z; do 7z x -oOUT "$volume"; done

and OUT is an OCI image layout. A blob larger than a volume comes as parts, which are joined with cat:

    for parts in OUT/parts/sha256/*/; do cat "$parts"* > "OUT/blobs/sha256/$(basename "$parts")"; done

then, for example: skopeo copy oci:OUT:REPOSITORY:TAG docker://REGISTRY/REPOSITORY:TAG
"""
    return text.encode()
