"""`lockgate intake approve | reject`: a person's signed decision, made here or on another machine."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import (
    call,
    json_option,
    load_key,
    passphrase_option,
    show,
    station_option,
    station_root,
)

_KEY = click.option("--key", "key_name", type=KEY, metavar="KEY", help="A name in the key folder, or a PEM's path.")
_APPROVAL = click.option(
    "--approval", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Instead of --key: a decision signed on another machine, its signature files beside it.",
)  # fmt: skip


@click.command()
@click.argument("name", metavar="ID")
@_KEY
@_APPROVAL
@passphrase_option
@station_option
@json_option
def approve(
    root: Path | None, name: str, key_name: str | None, file: Path | None, passphrase_fd: int | None, as_json: bool
) -> None:
    """Approve a quarantined bundle: sign its digest and its report's with your own key.

    With --approval, hand in what an officer signed on their own machine with `lockgate-verify approve`.
    """
    if file is None:
        _decide(root, name, key_name, passphrase_fd, "approve", "", as_json)
    else:
        _hand_in(root, name, key_name, file, "approve", as_json)


@click.command()
@click.argument("name", metavar="ID")
@_KEY
@_APPROVAL
@click.option("--why", default="", metavar="TEXT", help="The reason, which is kept.")
@passphrase_option
@station_option
@json_option
def reject(
    root: Path | None, name: str, key_name: str | None, file: Path | None, why: str, passphrase_fd: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Reject a quarantined bundle for good, with a reason.

    With --approval, hand in the rejection that an officer signed with `lockgate-verify approve --reject`.
    """
    from bundles.errors import UsageError

    if file is not None:
        _hand_in(root, name, key_name, file, "reject", as_json)
        return
    if not why:
        raise UsageError("a rejection needs a reason", thing=name, remedy="say it with --why")
    _decide(root, name, key_name, passphrase_fd, "reject", why, as_json)


def _decide(
    root: Path | None, name: str, key_name: str | None, passphrase_fd: int | None, decision: str, why: str,
    as_json: bool,
) -> None:  # fmt: skip
    from bundles.errors import UsageError

    if key_name is None:
        raise UsageError("nobody signs", thing=name, remedy="give --key KEY, or --approval FILE")
    key = load_key(station_root(root), key_name, passphrase_fd)
    keyid = key.public.keyid
    path = f"/v1/intake/{quote(name, safe='')}/approval"
    answer = call(root, lambda client: client.get(path, keyid=keyid, decision=decision, why=why))
    signature = base64.b64encode(key.sign(base64.b64decode(answer["payload"]))).decode()
    _send(root, name, {"payload": answer["payload"], "keyid": keyid, "signature": signature}, as_json)


def _hand_in(root: Path | None, name: str, key_name: str | None, file: Path, decision: str, as_json: bool) -> None:
    """Hand in a decision that was signed on another machine: the word asked for, and no other."""
    from bundles import limits
    from bundles.documents.signed import Approval, decode
    from bundles.errors import MalformedError, RefusedError, UsageError
    from bundles.io.files import read_small, require_file

    if key_name is not None:
        raise UsageError("one decision at a time", remedy="give --key KEY, or --approval FILE")
    require_file(file)
    payload = read_small(file, limits.SIGNED_DOCUMENT)
    try:
        said = decode(payload, Approval)
    except MalformedError as error:
        raise RefusedError(error.what, thing=str(file), remedy="sign it with: lockgate-verify approve") from None
    if said.decision != decision:
        raise UsageError(
            f"the file says {said.decision}", thing=str(file), remedy=f"use: lockgate intake {said.decision}"
        )
    keyid, signature = _signature_beside(root, file)
    body = {"payload": base64.b64encode(payload).decode(), "keyid": keyid, "signature": signature}
    _send(root, name, body, as_json)


def _signature_beside(root: Path | None, file: Path) -> tuple[str, str]:
    """The one key's signature beside a file, whatever files its kind takes: key id, and signature in base64."""
    from glob import escape

    from bundles import limits
    from bundles.errors import RefusedError
    from bundles.io.files import read_small
    from bundles.signing.signature_files import by_key, join

    found = by_key((beside.name for beside in file.parent.glob(f"{escape(file.name)}.*")), file.name)
    if len(found) != 1:
        raise RefusedError(
            "an approval has one key's signature beside it", thing=str(file), remedy="copy FILE and FILE.KEYID.sig"
        )
    ((keyid, names),) = found.items()
    pinned = call(root, lambda client: client.get("/v1/trust"))["items"]
    algorithm = next((str(entry["algorithm"]) for entry in pinned if entry["keyid"] == keyid), "")
    files = {kind: read_small(file.with_name(beside), limits.SIGNATURE_FILE) for kind, beside in names.items()}
    signature = join(algorithm, files) if algorithm else b""
    if algorithm and signature is None:
        raise RefusedError(
            "a file of the signature is missing", thing=str(file), remedy=f"a {algorithm} key has several"
        )
    return keyid, base64.b64encode(signature or b"").decode()


def _send(root: Path | None, name: str, body: dict[str, str], as_json: bool) -> None:
    document = call(root, lambda client: client.post(f"/v1/intake/{quote(name, safe='')}/approval", body))
    show(document, as_json, lambda: f"{document['id']} is {document['state']} ({count(document)} approvals)")


def count(entry: dict[str, Any]) -> str:
    """How many people approved it, of how many it takes."""
    return f"{entry['approvals']} of {entry['needed']}"
