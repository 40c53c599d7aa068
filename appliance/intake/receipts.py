"""Receipts: the inside's signed, numbered statement of what it holds (the `receipt` job).

The station's own receipt key signs, without a person: a receipt gives nobody any right, it lets the next bundle be a
delta. It is the only kind of document that key is good for.
"""

from __future__ import annotations

from pathlib import Path

from appliance import clock
from appliance.control.kinds import JobContext, Result
from appliance.intake.ledger import history
from appliance.observe.audit import AuditEvent
from appliance.station import Station
from appliance.store.writes.intake import AddReceipt
from bundles import documents
from bundles.documents import Held, Receipt, StreamHead
from bundles.errors import FailedError
from bundles.files import failures_named, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.keys import load_private


def run(context: JobContext) -> Result:
    """Write a receipt to `params["out"]`, and its signature beside it as `<out>.<keyid>.sig`."""
    station = context.station
    out = Path(context.params["out"])
    key = load_private(station.paths.keys / "receipt.pem", None)
    receipt = _state(station)
    raw = documents.encode(receipt)
    with failures_named(out, "the receipt cannot be written"):
        if out.exists():
            raise FailedError("the file exists", thing=str(out), remedy="choose another name")
        if not out.parent.is_dir():
            raise FailedError("no such folder", thing=str(out.parent), remedy="check the path")
    station.writer.submit(
        AddReceipt(number=receipt.number, digest=str(Digest.of(raw)), document=raw.decode(), at=receipt.created)
    )
    write_atomic(out, raw, replace=False)
    write_atomic(out.with_name(f"{out.name}.{key.public.keyid}.sig"), key.sign(raw))
    detail = {"number": receipt.number, "digest": str(Digest.of(raw)), "blobs": len(receipt.blobs)}
    station.audit.record(AuditEvent("receipt.export", context.actor, str(out), "done", detail))
    return {"path": str(out), "number": receipt.number, "keyid": key.public.keyid, "blobs": len(receipt.blobs)}


def _state(station: Station) -> Receipt:
    """What the station holds and shows: each stream's last bundle, and every linked blob."""
    read = station.reader.execute
    last = read("SELECT number, digest FROM receipts ORDER BY number DESC LIMIT 1").fetchone()
    heads = []
    for (stream,) in read("SELECT DISTINCT stream FROM ledger ORDER BY stream").fetchall():
        row = history(station.reader, stream)[-1]
        heads.append(StreamHead(stream=stream, sequence=row.sequence, digest=row.digest))
    held = read(
        "SELECT digest, size FROM blobs"
        " WHERE EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest) ORDER BY digest"
    )
    return Receipt(
        site=station.config.site,
        number=(last[0] if last else 0) + 1,
        previous=last[1] if last else None,
        created=clock.now(),
        streams=heads,
        blobs=[Held(digest=digest, size=size) for digest, size in held],
    )
