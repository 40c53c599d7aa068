"""A co-signature onto media that are written already: a folder's act, done in this process with a person's key.

The small files are checked against SHA256SUMS first, so that nobody signs a list beside other files. Blocking: call it
in a thread.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.observe.acts import Act
from bundles import limits, sums
from bundles.errors import RefusedError, UsageError
from bundles.files import read_small, write_atomic
from bundles.manifest_codec import decode
from bundles.signing.signature_files import by_key, files_of

Sign = Callable[[bytes], tuple[str, bytes]]
"""Gives key id and signature over bytes."""


@dataclass(frozen=True)
class CoSigned:
    """A co-signature that is on the media now, and the ids of the keys still to come."""

    keyid: str
    signature: bytes
    missing: tuple[str, ...]


def cosign(folders: Sequence[Path], sign: Sign, audit: Path | None) -> CoSigned:
    """Sign the bundle whose media are mounted at `folders`.

    Raises RefusedError: the files are not the ones SHA256SUMS names, or the manifest does not name the key; UsageError:
    no medium is there.
    """
    here = [folder for folder in folders if (folder / sums.NAME).is_file()]
    if not here:
        raise UsageError(
            "no medium of the bundle is here", thing=str(folders[0]), remedy="put it back in, then try again"
        )
    roots = {read_small(folder / sums.NAME, limits.SUMS_FILE) for folder in here}
    if len(roots) != 1:
        raise RefusedError("the media are not of one bundle", thing=str(here[0]), remedy="check each alone")
    root = roots.pop()
    manifest = decode(_checked(here[0], root))
    keyid, signature = sign(root)
    if keyid not in manifest.signers:
        raise RefusedError("the bundle does not name this key as a signer", thing=keyid, remedy="use a key it names")
    for folder in here:
        for name, data in files_of(sums.NAME, keyid, signature).items():
            write_atomic(folder / name, data)
    if audit is not None:
        _record(audit, manifest.id, keyid, here)
    signed = by_key((path.name for path in here[0].iterdir()), sums.NAME)
    return CoSigned(keyid, signature, tuple(name for name in manifest.signers if name not in signed))


def _checked(folder: Path, root: bytes) -> bytes:
    """manifest.json, when it and README.txt are the files that SHA256SUMS names."""
    named = {line.path: line.sha256 for line in sums.parse(root)}
    raw = read_small(folder / sums.MANIFEST, limits.BUNDLE_MANIFEST)
    for name, content in ((sums.MANIFEST, raw), (sums.README, read_small(folder / sums.README, limits.README_FILE))):
        if hashlib.sha256(content).hexdigest() != named[name]:
            raise RefusedError("the file's bytes are not the ones SHA256SUMS names", thing=str(folder / name))
    return raw


def _record(audit: Path, bundle: str, keyid: str, folders: Sequence[Path]) -> None:
    """The act, in the station's audit log as the command line writes it: no job and no socket stands between."""
    from appliance.observe.audit import AuditEvent, FileAudit

    actor = f"{getpass.getuser()}({os.geteuid()})"
    detail = {"keyid": keyid, "folders": [str(folder) for folder in folders]}
    FileAudit(audit).record(AuditEvent(Act.BUNDLE_SIGN, actor, bundle, "done", detail))
