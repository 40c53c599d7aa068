"""Co-signing a bundle on written media: one operation for `lockgate bundle sign` and the console.

Every medium is checked against its SHA256SUMS, volumes included, before the key signs; the act is in the station's
audit log before the signature is written. Blocking: an interface calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from bundles.errors import RefusedError, UsageError
from bundles.format import sums
from bundles.io.files import write_atomic
from bundles.oci.digest import Digest
from bundles.signing.signature_files import by_key, files_of
from bundles.verify import examine

if TYPE_CHECKING:
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class CoSigned:
    """A co-signature on the media: its files, the media's folders, the keys whose signatures are missing."""

    id: str
    keyid: str
    signature: bytes
    folders: tuple[Path, ...]
    files: tuple[str, ...]
    missing: tuple[str, ...]


def cosign(
    folders: Sequence[Path], open_key: Callable[[], PrivateKey], station: Path | None, progress: Progress
) -> CoSigned:
    """Check the media in `folders` whole, then sign their SHA256SUMS and write the signature onto each.

    `open_key` is called after the check. The act is recorded in the audit log of the `station`'s folder, where one is
    given, by the user id of this process. Raises RefusedError: a medium's bytes are not the ones that are to be signed,
    the media are not of one bundle, or the manifest does not name the key; UsageError without a folder; what `progress`
    raises ends it with nothing written.
    """
    if not folders:
        raise UsageError("no medium of the bundle is here", remedy="put it back in, then try again")
    media = [examine(folder, progress) for folder in folders]
    manifest, signed = media[0].manifest, media[0].files.sums
    for medium in media[1:]:
        if medium.files.sums != signed:
            raise RefusedError(
                "the media are not of one bundle",
                thing=f"{media[0].folder} is {manifest.id}, {medium.folder} is {medium.manifest.id}",
                remedy="sign each bundle alone, with all its media",
            )
    key = open_key()
    keyid = key.public.keyid
    if keyid not in manifest.signers:
        raise RefusedError(
            "the bundle does not name this key as a signer", thing=keyid, remedy="build it with --cosigner " + keyid
        )
    progress("sign", 0, 0)  # the last moment at which a cancel leaves the media as they are
    where = ", ".join(str(medium.folder) for medium in media)
    detail = {"keyid": keyid, "folder": where, "digest": str(Digest.of(signed))}
    with nullcontext() if station is None else recorded(station, Act.BUNDLE_SIGN, manifest.id, detail):
        signature = key.sign(signed)
        files = files_of(sums.NAME, keyid, signature)
        for medium in media:
            for name, data in files.items():
                write_atomic(medium.folder / name, data)
    here = by_key((path.name for path in media[0].folder.iterdir()), sums.NAME)
    missing = tuple(name for name in manifest.signers if name not in here)
    return CoSigned(
        manifest.id, keyid, signature, tuple(medium.folder for medium in media), tuple(sorted(files)), missing
    )
