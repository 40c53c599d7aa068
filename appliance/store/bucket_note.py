"""Where a station's blobs are: below its folder, or in a bucket that the note beside it names (docs/adr/0077).

The note (`blobs.json`) is made with the station, and decides alone: every process and command finds the same bucket by
it, whatever somebody writes into config.toml meanwhile. A station whose blobs are files has no note.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.settings.blobs import BlobsSettings
from appliance.store.whereabouts import read_note
from bundles.errors import RefusedError, UsageError
from bundles.io.files import read_small, write_atomic

CREDENTIAL: Final = "blobs-secret"
"""The systemd credential with the access key of the bucket."""
_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO


class BucketNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The note: `[blobs]` as it counts, and the id of the store, 32 hex digits, which the bucket's mark has, too."""

    url: str
    endpoint: str
    region: str
    ca: str
    store: str

    @property
    def settings(self) -> BlobsSettings:
        """As `[blobs]` says it."""
        return BlobsSettings(url=self.url, endpoint=self.endpoint, region=self.region, ca=self.ca)


def noted(paths: StationPaths) -> BucketNote | None:
    """The note; None where the blobs are files. One system call there. Raises FailedError for what is no note."""
    return read_note(paths.blobs_note, BucketNote, "blobs are")


def is_in_bucket(paths: StationPaths) -> bool:
    """Whether the blobs are in no file of the folder. Raises FailedError."""
    return noted(paths) is not None


def note(paths: StationPaths, where: BucketNote) -> None:
    """Write the note, or another one in its place. Raises FailedError."""
    write_atomic(paths.blobs_note, msgspec.json.encode(where), 0o600, owned=True)


def refuse_bucket(paths: StationPaths, what: str) -> None:
    """Go on only with blobs in files of the folder. Raises RefusedError naming what cannot be done."""
    found = noted(paths)
    if found is not None:
        raise RefusedError(
            f"{what}: its blobs are in a bucket", thing=found.url,
            remedy="see what such a station can do in docs/howto/scale-out.md", code="blobs-in-bucket",
        )  # fmt: skip


def agree(paths: StationPaths, settings: BlobsSettings) -> BucketNote | None:
    """Go on only where config.toml and the note agree on whether the blobs are in a bucket. The note that is to stand
    where the settings name another way to it, None where nothing changes: the bucket's mark says whether it is the
    station's. Raises UsageError, FailedError."""
    found = noted(paths)
    if found is None and settings.url:
        raise UsageError(
            "the station's blobs are files, and config.toml names a bucket", thing="blobs.url",
            remedy='write url = "" below [blobs]; a bucket is chosen when a station is made (init --blobs)',
        )  # fmt: skip
    if found is None or settings == found.settings:
        return None
    if not settings.url:
        raise UsageError(
            "the station's blobs are in a bucket, and config.toml does not say so", thing="blobs.url",
            remedy=f'write url = "{found.url}" below [blobs]',
        )  # fmt: skip
    return BucketNote(
        url=settings.url, endpoint=settings.endpoint, region=settings.region, ca=settings.ca, store=found.store
    )


def secret_of(paths: StationPaths) -> tuple[str, str, str]:
    """The access key's id, its secret, and a session token or "": the lines of the credential, else of
    `keys/blobs.secret`. Raises RefusedError, UsageError, FailedError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    return read_secret(paths.blobs_secret if path is None or not path.is_file() else path, given=path)


def read_secret(path: Path, given: Path | None = None) -> tuple[str, str, str]:
    """As `secret_of`, of one file, which other accounts cannot read; systemd itself sees to that of what it has
    `given`."""
    remedy = "write the key's id on the first line, its secret on the second, and a session token, if any, on the third"
    if not path.is_file():
        raise UsageError(
            "a bucket without an access key", thing=str(path),
            remedy=f"give it as the credential {CREDENTIAL}, in that file (mode 600), or to init with --blobs-secret",
        )  # fmt: skip
    raw = read_small(path, limits.METADATA_NOTE)
    if path != given and path.stat().st_mode & _EXPOSED:
        raise RefusedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")
    lines = raw.decode("ascii", "replace").splitlines()
    if not 2 <= len(lines) <= 3 or not all(line and line.isprintable() and line.isascii() for line in lines):
        raise UsageError("no access key of a bucket", thing=str(path), remedy=remedy)
    return lines[0], lines[1], lines[2] if len(lines) == 3 else ""
