"""`lockgate receipt`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from appliance.cli.bundle.build import on_disk
from appliance.cli.shared.context import call, folder_option, json_option, show, station_option, station_root
from bundles.documents.signed import Receipt
from bundles.documents.statement import Statement
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from bundles.signing.trust import TrustRecord

_OWN_KEY: Final = "receipt.pub.pem"
"""The public half of the station's receipt key, below `keys`."""


@click.group()
def receipt() -> None:
    """Receipts: what the inside holds, signed, for the outside to build on."""


@receipt.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A new file.")
@click.option("--sequence-only", is_flag=True, help="Only where each stream stands; nothing of what is held.")
@station_option
@json_option
def export(root: Path | None, out: Path, sequence_only: bool, as_json: bool) -> None:
    """Write the next receipt, signed by this station. The last line is its path."""
    from appliance.cli.shared.follow import run_job

    params = {"out": str(out.absolute())} | ({"sequence_only": True} if sequence_only else {})
    result = run_job(root, "receipt", params)
    listed = "no inventory" if result["blobs"] is None else f"{some(result['blobs'], 'blob')}"
    lines = [f"receipt {result['number']}, {listed}, signed by {result['keyid']}", f"audit head {result['head']}"]
    if result.get("disk"):
        lines.append(f"[!!] {safe(str(out.parent.absolute()))}: {on_disk(result['disk'])}")
    text = "\n".join([*lines, result["path"]])
    show(result, as_json, lambda: text)


@receipt.command()
@click.argument("file", type=click.Path(path_type=Path))
@station_option
@json_option
def take(root: Path | None, file: Path, as_json: bool) -> None:
    """Record a receipt or want-list that came back: what the inside holds, and its part of each bundle's custody.

    A build with --since takes one, too. Each is taken once; an older one after it is a replay. Exit status 3: refused.
    """
    document = call(root, lambda client: client.take_statement(file.absolute()))

    def text() -> str:
        was = "" if document["new"] else ", which was taken before"
        moved = [f"  {safe(bundle)} was void and came in after all: it counts again" for bundle in document["back"]]
        moved += [f"  {safe(bundle)} is void: it cannot come in; build it again" for bundle in document["voided"]]
        if "number" not in document:
            return "\n".join([f"want-list of {safe(document['site'])} for {safe(document['bundle'])}{was}", *moved])
        lines = [f"receipt {document['number']} of {safe(document['site'])}{was}"]
        lines += [f"  custody of {safe(name)}" for name in document["custody"]]
        return "\n".join([*lines, *moved, f"  audit head {safe(document['head'])}"])

    show(document, as_json, text)


@receipt.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trust", "trust_path", type=click.Path(path_type=Path), help="A trust folder (default: the station's).")
@folder_option
@json_option
def read(root: Path | None, file: Path, trust_path: Path | None, as_json: bool) -> None:
    """Verify the signature of a receipt or a want-list and show what it says. Exit status 3: refused."""
    import msgspec

    from appliance import clock
    from bundles.documents.statement import open_statement
    from bundles.signing.trust import TrustFolder

    if trust_path is not None:
        trust = TrustFolder.load(trust_path)
    else:
        station = station_root(root)
        trust = TrustFolder.load(station / "trust")
        if (station / "keys" / _OWN_KEY).exists():
            own = _own_record(station, trust.site)
            trust = replace(trust, records=(*(one for one in trust.records if one.keyid != own.keyid), own))
    statement = open_statement(file, trust, clock.now())
    signer = statement.signer
    name = "receipt" if isinstance(statement.document, Receipt) else "want_list"
    fields = {
        "signed_by": {"keyid": signer.keyid, "owner": signer.owner},
        name: msgspec.to_builtins(statement.document),
    }
    show(fields, as_json, lambda: _text(statement))


def _text(statement: Statement) -> str:
    document, by = statement.document, f"signed by {safe(statement.signer.owner)} ({statement.signer.keyid})"
    if isinstance(document, Receipt):
        lines = [
            f"receipt {document.number} of {document.site}, {document.created}, {by}",
            *(f"  {safe(head.stream)} is at {head.sequence} ({safe(head.digest)})" for head in document.streams),
            *([f"  audit head {document.head}"] if document.head else []),
            *(f"  {safe(part.bundle)} is {safe(part.state)}" for part in document.custody or []),
        ]
    else:
        lines = [f"want-list of {document.site} for {document.bundle}, {document.created}, {by}"]
    if document.blobs is None:
        return "\n".join([*lines, "  no inventory"])
    return "\n".join(
        [*lines, f"  {some(len(document.blobs), 'blob')}, {sum(blob.size for blob in document.blobs)} bytes"]
    )


def _own_record(station: Path, site: str) -> TrustRecord:
    """The station's own receipt key as a record of a trust folder: nobody pins it here."""
    from bundles.signing.keys import load_public
    from bundles.signing.trust import TrustRecord

    return TrustRecord(
        key=load_public(station / "keys" / _OWN_KEY), owner="this station", purposes=("receipt",), sites=(site,),
        not_before=None, not_after=None, revoked=None,
    )  # fmt: skip


def own_receipt(station: Path, file: Path, site: str) -> tuple[Receipt, bytes]:
    """A receipt that this very station signed, and its bytes. Raises RefusedError for any other, UsageError."""
    from appliance import clock
    from bundles.documents.statement import open_statement
    from bundles.errors import UsageError
    from bundles.signing.trust import TrustFolder

    statement = open_statement(file, TrustFolder(site, (_own_record(station, site),)), clock.now())
    if not isinstance(statement.document, Receipt):
        raise UsageError("not a receipt", thing=str(file), remedy="give a file of: lockgate receipt export")
    return statement.document, statement.raw


def head_in(station: Path, file: Path, stream: str) -> tuple[int, str]:
    """Where a stream stands by a receipt of this station's own: sequence and digest, to enter after a restore.

    Raises RefusedError for a receipt that the station's receipt key did not sign, UsageError where it lacks the stream.
    """
    from bundles.errors import UsageError

    document, _ = own_receipt(station, file, stream.partition(".")[2])
    for head in document.streams:
        if head.stream == stream:
            return head.sequence, head.digest
    raise UsageError("the receipt does not name the stream", thing=stream, remedy="give --sequence from a printed head")
