"""What a delta stands on: every required blob counts, is here and hashed anew, or a want-list says what is missing.

A blob counts where it is served here by the audit log (appliance.release_check.served), or where an earlier bundle of
the same stream carries it that nobody rejected, by the log and by its signed manifest.
What only another source's bundle brought, or a rejected one, does not: its bytes may be in the store, and nobody let
them in for this stream. A release asks again, and then for what is served alone.

The want-list is a file in the station's own folder, signed with the receipt key like a receipt: it is carried back on
another medium, and the outside's next plan reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.intake.missing_volumes import whole_without
from appliance.jobs.kinds import JobContext
from appliance.release_check.log_record import read_log
from appliance.release_check.served import unserved
from appliance.release_check.signed_content import entry_manifest, kept_manifest
from appliance.station import Station
from appliance.store.reads.bases import Holder, keepers, mentions
from appliance.store.reads.intake import missing_volumes, read_manifest
from bundles import limits
from bundles.documents import signed as documents
from bundles.documents.signed import HeldBlob, WantList
from bundles.errors import FailedError
from bundles.format.manifest import BASE_EXTENSION, BundleManifest, Required, bundle_id
from bundles.format.manifest_codec import decode
from bundles.io.files import failures_named, write_atomic
from bundles.io.work_threads import WorkThread
from bundles.oci.digest import Digest, new_hasher
from bundles.ports import Progress
from bundles.signing.keys import load_private
from bundles.signing.signature_files import files_of

_BOUND: Final = 32
"""Names of missing blobs that go into the job's log; the want-list has all."""
_COUNTING: Final = ("quarantined", "approved", "released", "withdrawn")
"""States of an earlier bundle that may still be released, so that a delta may stand on what it brought."""


def require_base(context: JobContext, manifest: BundleManifest, digest: Digest) -> None:
    """Every blob that the bundle requires is held at its size, and counts. Raises FailedError naming the first that
    does not, the bundle that must come or be released first, and the want-list."""
    station = context.station
    missing = [entry for entry in manifest.requires if not _is_held(station, entry)]
    if missing:
        raise _wanting(context, manifest, digest, missing)
    require_counting(context, manifest, digest)


def require_counting(context: JobContext, manifest: BundleManifest, digest: Digest) -> None:
    """Every blob that the bundle requires counts. Raises FailedError as `require_base`."""
    if foreign := _not_counting(context.station, manifest):
        raise _wanting(context, manifest, digest, foreign, _who_has(context.station, manifest, foreign[0].digest))


def require_served(station: Station, manifest: BundleManifest, digests: Iterable[str]) -> tuple[str, ...]:
    """Those of `digests` that the bundle requires; all of them are served here.

    Raises FailedError naming the first that is not, and the bundle that is to be released first.
    """
    required = {entry.digest for entry in manifest.requires}.intersection(digests)
    absent = unserved(station, sorted(required))
    if absent:
        raise FailedError(
            "the bundle stands on content that is not released here",
            thing=f"{manifest.id}: {absent[0]}{_more(absent)}",
            remedy=_first_release(station, manifest, absent[0]),
        )
    return tuple(sorted(required))


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
        station.metadata.knows_blob(digest)
        and station.blobs.has_blob(digest)
        and station.blobs.size(digest) == entry.size
    )


def _not_counting(station: Station, manifest: BundleManifest) -> list[Required]:
    """The required blobs that are not served and that no earlier, unrejected bundle of the stream brought."""
    absent = set(unserved(station, (entry.digest for entry in manifest.requires)))
    if not absent:
        return []
    log = read_log(station.paths, station.config.site)
    carried: dict[str, set[str]] = {}

    def brought(holder: Holder, digest: str) -> bool:
        if holder.stream != manifest.stream or holder.sequence >= manifest.sequence or holder.state not in _COUNTING:
            return False
        name, kept = log.imported.get(holder.digest, ("", ""))
        if name != holder.id or bundle_id(holder.stream, holder.sequence) != name or holder.digest in log.rejected:
            return False  # by the audit log it did not come in, or people rejected it, whatever its row says
        if holder.digest not in carried:
            raw = kept_manifest(station.paths, holder.digest, kept) or entry_manifest(station.reader, holder.digest)
            signed = {blob.digest for blob in decode(raw).blobs} if raw is not None else set()
            carried[holder.digest] = _carried(station, holder.digest) & signed
        return digest in carried[holder.digest]

    return [
        entry
        for entry in manifest.requires
        if entry.digest in absent
        and not any(brought(holder, entry.digest) for holder in keepers(station.reader, entry.digest))
    ]


def _carried(station: Station, bundle: str) -> set[str]:
    """The digests that a bundle brought, without those of volumes that did not come."""
    manifest = read_manifest(station.reader, bundle)
    if missing := missing_volumes(station.reader, bundle):
        manifest = whole_without(station.blobs, manifest, set(missing))
    return {blob.digest for blob in manifest.blobs}


def _who_has(station: Station, manifest: BundleManifest, digest: str) -> str:
    """What may be done about a blob that is here and does not count, as the beginning of a remedy."""
    if found := _to_release(station, manifest, digest):
        return f"release {found.id} first and import this again, or "
    rejected = _rejected(station, digest)
    return f"it came with {rejected}, which was rejected: " if rejected else ""


def _first_release(station: Station, manifest: BundleManifest, digest: str) -> str:
    """What may be done about a blob that is not served, as a remedy."""
    if found := _to_release(station, manifest, digest):
        return f"release {found.id} first: it is {found.state}"
    rejected = _rejected(station, digest)
    gone = f"{rejected}, which brought it, was rejected: " if rejected else ""
    return f"{gone}reject this one, and carry a receipt to {manifest.source}: the next bundle built on it brings it"


def _to_release(station: Station, manifest: BundleManifest, digest: str) -> Holder | None:
    """A bundle whose release would serve the blob; one of the same stream and before it where there is one."""
    found = [
        one
        for one in keepers(station.reader, digest)
        if one.state in _COUNTING and one.id != manifest.id and digest in _carried(station, one.digest)
    ]
    own = [one for one in found if one.stream == manifest.stream and one.sequence < manifest.sequence]
    return next(iter((*own, *found)), None)


def _rejected(station: Station, digest: str) -> str:
    return next((one.id for one in mentions(station.reader, digest) if one.state == "rejected"), "")


def _more(entries: Sequence[object]) -> str:
    return f" and {len(entries) - 1} more" if len(entries) > 1 else ""


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

    with WorkThread(check, depth=1) as second:
        for number, entry in enumerate(required):
            (second.put if number % 2 else check)(entry)
    return found


def _wanting(
    context: JobContext, manifest: BundleManifest, digest: Digest, missing: Sequence[Required], first: str = ""
) -> FailedError:
    """Write the want-list; the error that names it. `first` is what may be done instead."""
    path = context.station.paths.wants / f"{manifest.id}.wants"
    for entry in missing[:_BOUND]:
        context.log(f"missing: {entry.digest}, {entry.size} bytes")
    detail = {"digest": str(digest), "blobs": len(missing), "file": str(path)}
    event = AuditEvent(Act.WANTS_WRITE, context.actor, manifest.id, "done", detail)
    with recording(context.station.audit, event):
        _write(context.station, path, manifest, digest, missing)
    return FailedError(
        "the bundle stands on blobs that are not here" + (" as released content" if first else ""),
        thing=f"{manifest.id}: {missing[0].digest}{_more(missing)}",
        remedy=f"{first}carry {path} and its .sig to {manifest.source}, and build there with --since {path.name}",
    )


def _write(station: Station, path: Path, manifest: BundleManifest, digest: Digest, missing: Sequence[Required]) -> None:
    key = load_private(station.paths.keys / "receipt.pem", None)
    wants = WantList(
        site=station.config.site, bundle=manifest.id, stream=manifest.stream, sequence=manifest.sequence,
        digest=str(digest), created=clock.now(),
        blobs=[
            HeldBlob(digest=entry.digest, size=entry.size) for entry in sorted(missing, key=lambda entry: entry.digest)
        ],
    )  # fmt: skip
    raw = documents.encode(wants)
    with failures_named(path, "the want-list cannot be written"):
        path.parent.mkdir(exist_ok=True)
    write_atomic(path, raw)
    for name, data in files_of(path.name, key.public.keyid, key.sign(raw)).items():
        write_atomic(path.with_name(name), data)
