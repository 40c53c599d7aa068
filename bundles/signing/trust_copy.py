"""Copies of a station's trust folder: what an officer's own machine verifies with."""

from __future__ import annotations

import os
from pathlib import Path

from bundles import limits
from bundles.errors import UsageError
from bundles.io.files import os_failure, read_small, write_atomic
from bundles.signing import policy
from bundles.signing.copy_note import NOTE, note_of
from bundles.signing.pinning import locked
from bundles.signing.trust import SITE_FILE, TrustFolder


def export_trust(path: Path, to: Path, at: str) -> TrustFolder:
    """Copy a trust folder, checked, to the new folder `to`: what an officer's own machine verifies with. A note in it
    says that it is a copy, and that it was made at `at`.

    Raises UsageError for a damaged folder, and where `to` exists, FailedError where the copy cannot be written.
    """
    if os.path.lexists(to):
        raise UsageError("the folder exists", thing=str(to), remedy="give a new one")
    with locked(path):
        folder = TrustFolder.load(path)
        names = [SITE_FILE, *(f"{r.keyid}.{kind}" for r in folder.records for kind in ("pem", "json"))]
        if folder.policy.rules:
            names.append(policy.FILE)
        try:
            to.mkdir(mode=0o755)
        except OSError as error:
            raise os_failure(error, to, "the trust folder cannot be copied") from None
        for name in names:
            write_atomic(to / name, read_small(path / name, limits.KEY_FILE), replace=False)
        write_atomic(to / NOTE, note_of(folder.site, at), replace=False)
    if TrustFolder.load(to) != folder:
        raise UsageError("the copy is not what was copied", thing=str(to), remedy="take another medium")
    return folder
