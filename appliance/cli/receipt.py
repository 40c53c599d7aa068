"""`lockgate receipt`."""

from __future__ import annotations

from glob import escape
from pathlib import Path

import click

from appliance.cli.context import json_option, show, station_option, station_root
from bundles.display import safe


@click.group()
def receipt() -> None:
    """Receipts: what the inside holds, signed, for the outside to build on."""


@receipt.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A new file.")
@station_option
@json_option
def export(root: Path | None, out: Path, as_json: bool) -> None:
    """Write the next receipt, signed by this station. The last line is its path."""
    from appliance.cli.follow import run_job

    result = run_job(root, "receipt", {"out": str(out.absolute())})
    text = f"receipt {result['number']}, {result['blobs']} blobs, signed by {result['keyid']}\n{result['path']}"
    show(result, as_json, lambda: text)


@receipt.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trust", "trust_path", type=click.Path(path_type=Path), help="A trust folder (default: the station's).")
@station_option
@json_option
def read(root: Path | None, file: Path, trust_path: Path | None, as_json: bool) -> None:
    """Verify a receipt's signature and show what it says. Exit status 3: refused."""
    import msgspec

    from appliance import clock
    from bundles import limits
    from bundles.documents import Receipt, check_signature, decode
    from bundles.errors import MalformedError, RefusedError, UsageError
    from bundles.files import read_small
    from bundles.signing.signature_files import by_key, join
    from bundles.signing.trust import TrustFolder

    if not file.is_file():
        raise UsageError("no such file", thing=str(file), remedy="check the path")
    raw = read_small(file, limits.SIGNED_DOCUMENT)
    trust = TrustFolder.load(trust_path if trust_path is not None else station_root(root) / "trust")
    found = by_key((path.name for path in file.parent.glob(f"{escape(file.name)}.????????????????.*")), file.name)
    if len(found) != 1:
        raise RefusedError(
            "a receipt has one key's signature beside it", thing=str(file), remedy="copy FILE and FILE.KEYID.sig"
        )
    try:
        document = decode(raw, Receipt)
    except MalformedError as error:
        raise RefusedError(error.what, thing=str(file), remedy=error.remedy) from None
    ((keyid, names),) = found.items()
    files = {kind: read_small(file.with_name(name), limits.SIGNATURE_FILE) for kind, name in names.items()}
    pinned = trust.find(keyid)
    signature = None if pinned is None else join(pinned.key.algorithm, files)
    signer = check_signature(raw, keyid, signature or b"", trust, at=clock.now(), site=document.site)
    fields = {"signed_by": {"keyid": keyid, "owner": signer.owner}, "receipt": msgspec.to_builtins(document)}
    lines = [
        f"receipt {document.number} of {document.site}, {document.created}, signed by {safe(signer.owner)} ({keyid})",
        *(f"  {safe(head.stream)} is at {head.sequence} ({safe(head.digest)})" for head in document.streams),
        f"  {len(document.blobs)} blobs, {sum(blob.size for blob in document.blobs)} bytes",
    ]
    show(fields, as_json, lambda: "\n".join(lines))
