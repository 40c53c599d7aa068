"""Receipts: the inside's signed, numbered statement of what it holds (the `receipt` job).

The station's own receipt key signs, without a person: a receipt gives nobody any right, it lets the next bundle be a
delta. It is the only kind of document that key is good for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.custody import record
from appliance.jobs.kinds import JobContext, Result
from appliance.mounts import disk_of
from appliance.station import Station
from appliance.store.reads.intake import history
from appliance.store.reads.receipts import last_receipt, ledger_streams, shown_blobs
from appliance.store.writes.intake import AddReceipt
from bundles import limits
from bundles.documents import signed
from bundles.documents.signed import HeldBlob, Receipt, StreamHead
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.io.files import failures_named, open_folder, read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.keys import load_private
from bundles.signing.signature_files import files_of

_ACT: Final = Act.RECEIPT_EXPORT
_DRAFT: Final = "receipt.json"
"""The receipt in the job's own folder: a job that was cut off states again what it stated, under the same number."""


def run(context: JobContext) -> Result:
    """Write a receipt to `params["out"]`, and its signature beside it as `<out>.<keyid>.sig`.

    With `params["sequence_only"]` it says where each stream stands, and not one word of what is held.
    """
    out = context.params.get("out")
    if not isinstance(out, str) or not out:
        raise UsageError("no file was given", remedy="name a new file with --out")
    try:
        return _export(context, context.path(out))
    except LockgateError as error:
        context.record_failure(_ACT, out, error)
        raise


def _export(context: JobContext, out: Path) -> Result:
    station = context.station
    key = load_private(station.paths.keys / "receipt.pem", None)
    raw = _drafted(context, out)
    receipt = signed.decode(raw, Receipt)
    digest = str(Digest.of(raw))
    detail = {
        "number": receipt.number,
        "digest": digest,
        "blobs": None if receipt.blobs is None else len(receipt.blobs),
        "head": receipt.head,
    }
    write = AddReceipt(number=receipt.number, digest=digest, document=raw.decode(), at=receipt.created)
    with recording(station.audit, AuditEvent(_ACT, context.actor, str(out), "done", detail)):
        station.writer.submit(write)
        # The receipt comes last: a run that is killed leaves none without its signature, and the command works again.
        for name, data in files_of(out.name, key.public.keyid, key.sign(raw)).items():
            write_atomic(out.with_name(name), data)
        if not _is_there(out, raw):
            write_atomic(out, raw, replace=False)
    facts = {name: detail[name] for name in ("number", "blobs", "head")}
    return {"path": str(out), "keyid": key.public.keyid, "disk": _disk(context, out.parent), **facts}


def _disk(context: JobContext, folder: Path) -> str:
    """Where the disk is mounted that the receipt's folder is but a folder of, "" for a medium."""
    with failures_named(folder, "the receipt's folder cannot be looked at"):
        descriptor = open_folder(folder)
        try:
            return disk_of(descriptor, folder, context.station.config.media_roots)
        finally:
            os.close(descriptor)


def _drafted(context: JobContext, out: Path) -> bytes:
    """The receipt's bytes: those an earlier run of this job fixed, or new ones."""
    draft = context.folder / _DRAFT
    if draft.exists():
        return read_small(draft, limits.SIGNED_DOCUMENT)
    with failures_named(out, "the receipt cannot be written"):
        if out.exists() or out.is_symlink():
            raise UsageError("the file exists", thing=str(out), remedy="choose another name")
        if not out.parent.is_dir():
            raise UsageError("no such folder", thing=str(out.parent), remedy="check the path")
    inventory = context.params.get("sequence_only") is not True
    raw = signed.encode(state_of(context.station, clock.now(), inventory=inventory))
    if len(raw) > limits.SIGNED_DOCUMENT:
        raise FailedError(
            "the station holds more blobs than a receipt can list",
            thing=f"{len(raw)} bytes, the ceiling is {limits.SIGNED_DOCUMENT}",
            remedy="export it with --sequence-only",
        )
    write_atomic(draft, raw, 0o600)
    return raw


def _is_there(out: Path, raw: bytes) -> bool:
    """Whether an earlier run of this job had written the file."""
    return out.is_file() and read_small(out, limits.SIGNED_DOCUMENT) == raw


def state_of(station: Station, at: str, *, inventory: bool = True) -> Receipt:
    """The next receipt: each stream's last bundle (no digest where people set its floor), the audit log's head, and
    every blob shown and what happened to each bundle (neither without `inventory`)."""
    last = last_receipt(station.reader)
    heads = []
    for stream in ledger_streams(station.reader):
        row = history(station.reader, stream)[-1]
        heads.append(StreamHead(stream=stream, sequence=row.sequence, digest=row.digest))
    return Receipt(
        site=station.config.site,
        number=(last[0] if last else 0) + 1,
        previous=last[1] if last else None,
        created=at,
        streams=heads,
        blobs=[HeldBlob(digest=digest, size=size) for digest, size in shown_blobs(station.reader)]
        if inventory
        else None,
        head=checkpoint(station.paths),
        custody=record.parts_since_known(station.reader) if inventory else None,
    )
