"""README.txt of a medium: what it is, and how to check and unpack it with stock tools alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from bundles.manifest import BundleManifest, Volume, volume_path
from bundles.signing import hybrid, ssh_keys, sshsig

_DIGESTS = {"ecdsa-p256": "sha256", "ecdsa-p384": "sha384", hybrid.ALGORITHM: "sha384"}


def render(manifest: BundleManifest, algorithms: Mapping[str, str]) -> bytes:
    """The file's bytes; `algorithms` gives each signer's key algorithm, by key id. The same on every medium."""
    sections = [_head(manifest), _checking(manifest, algorithms)]
    if manifest.volumes[-1].medium > 1:
        sections.append(_media(manifest.volumes))
    if manifest.requires:
        sections.append(_delta(manifest))
    sections.append(_unpacking(any(blob.parts for blob in manifest.blobs)))
    return "\n".join(sections).encode()


def _head(manifest: BundleManifest) -> str:
    carried = f"{len(manifest.artifacts)} artifacts, {len(manifest.blobs)} blobs, {len(manifest.volumes)} volumes"
    return f"""Lockgate bundle {manifest.id}

Software from site {manifest.source} for site {manifest.destination}.
Stream {manifest.stream}, sequence {manifest.sequence}, made {manifest.created},
to be brought in by {manifest.not_after}.
It carries {carried}.
Nothing in this folder may be changed, added or renamed.
To bring it in with Lockgate: lockgate intake import FOLDER
"""


def _checking(manifest: BundleManifest, algorithms: Mapping[str, str]) -> str:
    alone = len(manifest.signers) == 1
    checks = "\n".join(
        f"    {_check(keyid, algorithms.get(keyid, ''), 'pub.pem' if alone else f'{keyid}.pem')}"
        for keyid in manifest.signers
    )
    keys = "pub.pem is the signer's public key" if alone else "KEYID.pem is each signer's public key"
    return f"""TO CHECK IT with stock tools, in this folder:

{checks}
    sha256sum -c --strict --ignore-missing SHA256SUMS

{keys}. It never comes with the medium: have it from
the signer, and compare its fingerprint over another way. Each signature must
verify: it proves who signed SHA256SUMS. Then every line of sha256sum must say OK:
manifest.json, README.txt and each volume here are the files that were signed.
"""


def _check(keyid: str, algorithm: str, key: str) -> str:
    """The command that checks one signature; an algorithm that is not known is taken for the default."""
    signature = f"SHA256SUMS.{keyid}.sig"
    if algorithm in ssh_keys.ALGORITHMS:
        signature = f"SHA256SUMS.{keyid}.sshsig"
        return f"ssh-keygen -Y verify -f allowed_signers -I {keyid} -n {sshsig.NAMESPACE} -s {signature} < SHA256SUMS"
    if algorithm == "ed25519":
        return f"openssl pkeyutl -verify -pubin -inkey {key} -rawin -in SHA256SUMS -sigfile {signature}"
    digest = _DIGESTS.get(algorithm, "sha256")
    return f"openssl dgst -{digest} -verify {key} -signature {signature} SHA256SUMS"


def _media(volumes: Sequence[Volume]) -> str:
    lines = []
    for medium, group in groupby(volumes, key=lambda volume: volume.medium):
        listed = list(group)
        to = f" to {volume_path(listed[-1].index)}" if len(listed) > 1 else ""
        lines.append(f"    medium {medium}: {volume_path(listed[0].index)}{to}")
    return f"""IT SPANS {volumes[-1].medium} MEDIA, each with this file, SHA256SUMS, its signatures and
manifest.json, and with volumes of its own. Each is checked alone:
--ignore-missing passes over what lies on the others, so count the volumes.

{chr(10).join(lines)}
"""


def _delta(manifest: BundleManifest) -> str:
    return f"""IT IS A DELTA: it needs {len(manifest.requires)} blobs that the destination holds already
(`requires` in manifest.json). Alone it is not complete.
"""


def _unpacking(parts: bool) -> str:
    joining = """
A blob larger than a volume comes as parts, to be joined with cat:

    (cd OUT/parts && for p in */*/; do mkdir -p "../blobs/${p%/*/}"; cat "$p"* > "../blobs/${p%/}"; done)
"""
    return f"""TO UNPACK IT with 7z, all volumes of all media into one folder:

    for volume in volumes/*.7z; do 7z x -oOUT "$volume"; done
{joining if parts else ""}
Then OUT is an OCI image layout, each blob named by its digest:

    (cd OUT/blobs/sha256 && for b in *; do echo "$b  $b"; done | sha256sum -c --quiet)
    skopeo copy oci:OUT:REPOSITORY:TAG docker://REGISTRY/REPOSITORY:TAG
"""
