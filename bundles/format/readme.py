"""README.txt of a medium: what it is, and how to check and unpack it with stock tools alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from bundles import limits
from bundles.format.manifest import Artifact, BundleManifest, Volume, volume_path
from bundles.io.display import some
from bundles.oci.manifest import DOCKER_LIST, DOCKER_MANIFEST
from bundles.signing import hybrid
from bundles.signing.ssh import keys as ssh_keys
from bundles.signing.ssh import sshsig

_DIGESTS = {"ecdsa-p256": "sha256", "ecdsa-p384": "sha384", hybrid.ALGORITHM: "sha384"}
_COPY = "skopeo copy --all --preserve-digests"
"""With every platform, and refused where a byte of a manifest would change: a registry has the signed digests then."""

_LACKING_MOST = 20
_TEXT_AROUND_LINES = 2 * limits.KIB
"""What stands around the lines that copy artifacts, at most."""

_LAYOUT_TYPES_UNKNOWN = frozenset({DOCKER_MANIFEST, DOCKER_LIST})
"""Types that skopeo does not find by name in an OCI layout (containers/image, oci/layout); from a `dir:` folder it
takes them."""


def render(manifest: BundleManifest, algorithms: Mapping[str, str]) -> bytes:
    """The file's bytes; `algorithms` gives each signer's key algorithm, by key id, "" or nothing where it is not known:
    such a signer may sign by a certificate (CMS). The same on every medium."""
    sections = [_head(manifest), _checking(manifest, algorithms)]
    if manifest.volumes[-1].medium > 1:
        sections.append(_media(manifest.volumes))
    if manifest.requires:
        sections.append(_delta(manifest))
    if lacking := manifest.not_carried():
        sections.append(_lacking(lacking))
    if partial := manifest.left_out():
        sections.append(_partial(partial))
    sections.append(_unpacking(manifest))
    room = limits.README_FILE - len("\n".join(sections).encode()) - _TEXT_AROUND_LINES
    return "\n".join([*sections, _copying(manifest.artifacts, room)]).encode()


def _head(manifest: BundleManifest) -> str:
    held = (some(len(manifest.artifacts), "artifact"), some(len(manifest.blobs), "blob"))
    carried = ", ".join([*held, some(len(manifest.volumes), "volume")])
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
        f"    {check_command(keyid, algorithms.get(keyid, ''), 'pub.pem' if alone else f'{keyid}.pem')}"
        for keyid in manifest.signers
    )
    keys = "pub.pem is the signer's public key" if alone else "KEYID.pem is each signer's public key"
    if not all(algorithms.get(keyid) for keyid in manifest.signers):
        keys += ", and root.crt\nthe root certificate of a signer who has one"
    return f"""TO CHECK IT with stock tools, in this folder:

{checks}
    sha256sum -c --strict --ignore-missing SHA256SUMS

{keys}. It never comes with the medium: have it from
the signer, and compare its fingerprint over another way. Each signature must
verify: it proves who signed SHA256SUMS. Then every line of sha256sum must say OK:
manifest.json, README.txt and each volume here are the files that were signed.
"""


def check_command(keyid: str, algorithm: str, key: str) -> str:
    """The command that checks one signature. Where the algorithm is not known it looks which form lies there: by a
    certificate (`root.crt` is the pinned root), or by a key of the default algorithm."""
    signature = f"SHA256SUMS.{keyid}.sig"
    if not algorithm:
        certified = f"SHA256SUMS.{keyid}.cms"
        checked = f"openssl cms -verify -binary -inform PEM -in {certified} -content SHA256SUMS"
        believed = "-CAfile root.crt -purpose any -out /dev/null"
        default = f"openssl dgst -sha256 -verify {key} -signature {signature} SHA256SUMS"
        return f"if [ -e {certified} ]; then {checked} {believed}; else {default}; fi"
    if algorithm in ssh_keys.ALGORITHMS:
        signature = f"SHA256SUMS.{keyid}.sshsig"
        allowed = f"printf '%s %s\\n' {keyid} \"$(cat {key})\" > allowed_signers"
        verify = f"ssh-keygen -Y verify -f allowed_signers -I {keyid} -n {sshsig.NAMESPACE} -s {signature}"
        return f"{allowed} && {verify} < SHA256SUMS"
    if algorithm == "ed25519":
        return f"openssl pkeyutl -verify -pubin -inkey {key} -rawin -in SHA256SUMS -sigfile {signature}"
    return f"openssl dgst -{_DIGESTS.get(algorithm, 'sha256')} -verify {key} -signature {signature} SHA256SUMS"


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
    return f"""IT IS A DELTA: it needs {some(len(manifest.requires), "blob")} that the destination holds already
(`requires` in manifest.json). Alone it is not complete: unpack the bundles that brought
them into the same folder first, and this one last.
"""


def _lacking(named: Sequence[str]) -> str:
    """`named`: foreign layers, each with its artifact. Shown as they are: both are digests and repositories."""
    listed = "\n".join(f"  {one}" for one in named[:_LACKING_MOST])
    more = f"\n  and {len(named) - _LACKING_MOST} more" if len(named) > _LACKING_MOST else ""
    return f"""IT LACKS {some(len(named), "layer")} not to be distributed, which its source does not hold:

{listed}{more}
"""


def _partial(partial: Sequence[str]) -> str:
    """`partial`: indexes, each with the platforms that it lacks."""
    listed = "\n".join(f"  {one}" for one in partial[:_LACKING_MOST])
    more = f"\n  and {len(partial) - _LACKING_MOST} more" if len(partial) > _LACKING_MOST else ""
    return f"""PLATFORMS WERE LEFT OUT of {some(len(partial), "index", "indexes")}, on purpose:

{listed}{more}

What copies whole indexes (--all) ends with an error there: copy one platform,
with skopeo's --override-os and --override-arch.
"""


def _unpacking(manifest: BundleManifest) -> str:
    joining = """
A blob larger than a volume comes as parts, to be joined with cat:

    (cd OUT/parts && for p in */*/; do mkdir -p "../blobs/${p%/*/}"; cat "$p"* > "../blobs/${p%/}"; done)
"""
    checks = "\n".join(
        f'    (cd OUT/blobs/{name} && for b in *; do echo "$b  $b"; done | {name}sum -c --quiet)'
        for name in sorted({blob.digest.partition(":")[0] for blob in manifest.blobs})
    )
    return f"""TO UNPACK IT with 7z, in a copy of this folder on a disk (of all media, copied into one):

    for volume in volumes/*.7z; do 7z x -y -oOUT "$volume"; done
{joining if any(blob.parts for blob in manifest.blobs) else ""}
Then OUT is an OCI image layout, each blob named by its digest:

{checks}
"""


def _copying(artifacts: Sequence[Artifact], room: int) -> str:
    """A line for each artifact, as many as `room` bytes take, and then one line for all."""
    named = [(artifact, tag) for artifact in artifacts for tag in artifact.tags]
    by_digest = [(artifact, "") for artifact in artifacts if not artifact.tags]
    lines, is_cut = {True: list[str](), False: list[str]()}, False
    for artifact, tag in (*named, *by_digest):
        line = f"    {_copy(artifact, tag)}"
        room -= len(line) + 1
        if room < 0:
            is_cut = True
            break
        lines[bool(tag)].append(line)
    text = "TO COPY IT with skopeo, an artifact a line; REGISTRY is the registry that takes it.\n"
    if is_cut or any(_from_folder(artifact, tag) for artifact, tag in (*named, *by_digest)):
        text += f"""skopeo takes Docker's types, and what has no tag, from a folder of their blobs:

    {_FOLDER}
"""
    for tagged, heading in (
        (True, "By name:"),
        (False, "By digest, what has no tag (platforms of an index, SBOMs, signatures):"),
    ):
        if lines[tagged]:
            text += f"\n{heading}\n\n" + "\n".join(lines[tagged]) + "\n"
    if is_cut:
        text += f"""
There are more than this file has room for. All that have a name, with those above:

    {_COPY_ALL}
"""
    return text


_FOLDER = (
    "mkdir -p DIR && cp -rlf OUT/blobs/*/. DIR"
    ' && (cd DIR && for b in *[0-9a-f]; do ln -f "$b" "$b.manifest.json"; done)'
)
"""A folder as skopeo's `dir:` has it (containers/image, directory): blobs and platforms' manifests by hex digest; the
artifact's own manifest is laid into it as manifest.json by each line."""

_COPY_ALL = (
    r"""tr '{' '\n' < OUT/index.json"""
    r""" | sed -n 's/.*ref.name":"\([^"]*\)"},"digest":"[^:]*:\([0-9a-f]*\)".*/\1 \2/p'"""
    """ | while read -r name hex; do cp -f "DIR/$hex" DIR/manifest.json"""
    f""" && {_COPY} dir:DIR "docker://REGISTRY/$name" < /dev/null || exit 1; done"""
)


def _from_folder(artifact: Artifact, tag: str) -> bool:
    return not tag or artifact.mediaType in _LAYOUT_TYPES_UNKNOWN


def _copy(artifact: Artifact, tag: str) -> str:
    """The command that copies one artifact, by its tag or, where that is empty, by its digest."""
    target = f"docker://REGISTRY/{artifact.repository}" + (f":{tag}" if tag else f"@{artifact.digest}")
    if not _from_folder(artifact, tag):
        return f"{_COPY} oci:OUT:{artifact.repository}:{tag} {target}"
    hexdigest = artifact.digest.partition(":")[2]
    return f"cp -f DIR/{hexdigest} DIR/manifest.json && {_COPY} dir:DIR {target}"
