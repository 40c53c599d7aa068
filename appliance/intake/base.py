"""What a delta stands on: every required blob is here and hashed anew, or a want-list says what is missing.

The want-list is a file in the station's own folder, signed with the receipt key like a receipt: it is carried back on
another medium, and the outside's next plan reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.control.kinds import JobContext
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.observe.recorded import recording
from appliance.station import Station
from bundles import documents, limits
from bundles.documents import Held, WantList
from bundles.errors import FailedError
from bundles.files import failures_named, write_atomic
from bundles.lanes import Lane
from bundles.manifest import BASE_EXTENSION, BundleManifest, Required
from bundles.oci.digest import Digest, new_hasher
from bundles.ports import Progress
from bundles.signing.keys import load_private
from bundles.signing.signature_files import files_of

_BOUND: Final = 32
"""Names of missing blobs that go into the job's log; the want-list has all."""


def require_base(context: JobContext, manifest: BundleManifest, digest: Digest) -> None:
    """Every blob that the bundle requires is held at its size. Raises FailedError naming the want-list."""
    station = context.station
    missing = [entry for entry in manifest.requires if not _is_held(station, entry)]
    if missing:
        raise _wanting(context, manifest, digest, missing)


def rehash_base(context: JobContext, manifest: BundleManifest, digest: Digest) -> None:
    """Hash every required blob anew, two at a time. Raises FailedError naming the want-list where one has rotted."""
    rotten = _rotten(context.station, manifest.requires, context.progress)
    if rotten:
        raise _wanting(context, manifest, digest, rotten)


def receipt_of(manifest: BundleManifest) -> int | None:
    """The number of the receipt that the bundle was built on, where it says so; whatever else stands there is None."""
    said: Any = manifest.extensions.get(BASE_EXTENSION)
    number = said.get("receipt") if isinstance(said, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _is_held(station: Station, entry: Required) -> bool:
    digest = Digest.parse(entry.digest)
    return (
        station.metadata.blob(digest) is not None
        and station.blobs.has_blob(digest)
        and station.blobs.size(digest) == entry.size
    )


def _rotten(station: Station, required: Sequence[Required], progress: Progress) -> list[Required]:
    total, done = sum(entry.size for entry in required), 0
    found: list[Required] = []
    turn = threading.Lock()

    def check(entry: Required) -> None:
        nonlocal done
        digest = Digest.parse(entry.digest)
        hasher = new_hasher(digest.algorithm)
        with station.blobs.open_blob(digest) as file:
            while chunk := file.read(limits.CHUNK):
                hasher.update(chunk)
                with turn:
                    done += len(chunk)
                    progress("check the base", done, total)
        if hasher.hexdigest() != digest.hex:
            with turn:
                found.append(entry)

    with Lane(check, depth=1) as second:
        for number, entry in enumerate(required):
            (second.put if number % 2 else check)(entry)
    return found


def _wanting(context: JobContext, manifest: BundleManifest, digest: Digest, missing: Sequence[Required]) -> FailedError:
    """Write the want-list; the error that names it."""
    path = context.station.paths.wants / f"{manifest.id}.wants"
    for entry in missing[:_BOUND]:
        context.log(f"missing: {entry.digest}, {entry.size} bytes")
    detail = {"digest": str(digest), "blobs": len(missing), "file": str(path)}
    event = AuditEvent(Act.WANTS_WRITE, context.actor, manifest.id, "done", detail)
    with recording(context.station.audit, event):
        _write(context.station, path, manifest, digest, missing)
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return FailedError(
        "the bundle stands on blobs that are not here",
        thing=f"{manifest.id}: {missing[0].digest}{more}",
        remedy=f"carry {path} and its .sig to {manifest.source}, and build there with --since {path.name}",
    )


def _write(station: Station, path: Path, manifest: BundleManifest, digest: Digest, missing: Sequence[Required]) -> None:
    key = load_private(station.paths.keys / "receipt.pem", None)
    wants = WantList(
        site=station.config.site, bundle=manifest.id, stream=manifest.stream, sequence=manifest.sequence,
        digest=str(digest), created=clock.now(),
        blobs=[Held(digest=entry.digest, size=entry.size) for entry in sorted(missing, key=lambda entry: entry.digest)],
    )  # fmt: skip
    raw = documents.encode(wants)
    with failures_named(path, "the want-list cannot be written"):
        path.parent.mkdir(exist_ok=True)
    write_atomic(path, raw)
    for name, data in files_of(path.name, key.public.keyid, key.sign(raw)).items():
        write_atomic(path.with_name(name), data)
