"""`lockgate file`: files that were collected, given back."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import call, json_option, megabytes, show, station_option
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.io.display import safe
from bundles.io.files import create_new, failures_named, name_once, sync_folder
from bundles.oci.digest import Digest, new_hasher
from bundles.people import is_unseen

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

_MODE: Final = re.compile(r"0[0-7]{3,4}\Z")
_BITS: Final = 0o777
"""Permission bits that are given back: never setuid, setgid or sticky."""
_NAME_MOST: Final = 255
"""Bytes of a name, as file systems have it."""


@click.group()
def file() -> None:
    """Files that were collected: get."""


@file.command()
@click.argument("reference", metavar="REF")
@click.option(
    "--to", "folder", required=True, metavar="DIR", type=click.Path(path_type=Path), help="A folder that is there."
)
@click.option("--name", metavar="NAME", help="Another name than the file had.")
@station_option
@json_option
def get(root: Path | None, reference: str, folder: Path, name: str | None, as_json: bool) -> None:
    """Write a collected file, or a Helm chart's archive, into DIR; the last line is its path.

    It gets its name, its permission bits and its bytes, which are checked against the digest before the file gets its
    name. It belongs to the caller. No file that is there is replaced, and setuid, setgid and sticky bits are never set.
    """
    document = call(root, lambda client: client.get("/v1/file", ref=reference))
    found = _name(name if name is not None else document["name"], given=name is not None)
    mode = _mode(document["mode"])
    if not folder.is_dir():
        raise UsageError("no such folder", thing=str(folder), remedy="make it first, or name another one with --to")
    target = folder / found
    if os.path.lexists(target):
        raise UsageError("the file exists", thing=safe(str(target)), remedy="move it away, or give --name NAME")
    exact = f"{document['repository']}@{document['digest']}"  # what was described, wherever the tag goes meanwhile
    _write(root, exact, document, target, mode)
    shown = {
        "path": str(target), "name": found, "mode": f"{stat.S_IMODE(target.lstat().st_mode):04o}",
        "digest": document["content"], "size": document["size"], "reference": exact,
    }  # fmt: skip
    note = f"[!!] {safe(document['note'])}\n" if document["note"] else ""
    said = f"{note}{safe(found)}: {megabytes(document['size'])}, mode {shown['mode']}, {document['content']}"
    # Scripts take the last line for the path: nothing that `safe` escapes beyond what cannot be shown is escaped here.
    path = str(target)
    show(shown, as_json, lambda: f"{said}\n{safe(path) if any(map(is_unseen, path)) else path}")


def fetch_file(root: Path | None, reference: str, target: Path) -> None:
    """Write a collected file, or a chart's archive, to `target`, checked. Raises a LockgateError."""
    document = call(root, lambda client: client.get("/v1/file", ref=reference))
    _write(root, f"{document['repository']}@{document['digest']}", document, target, None)


def _name(name: str, *, given: bool) -> str:
    """The name as one path component that can be shown as it is. A hidden name, or one that reads as an option, is a
    person's choice alone. Raises RefusedError, UsageError for one that was given."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    kind = UsageError if given else RefusedError
    what = ""
    if not name:
        what = "the artifact gives its file no name"
    elif "/" in name or "\0" in name or name in (".", "..") or not 0 < size <= _NAME_MOST:
        what = "the file's name is no single name"
    elif any(map(is_unseen, name)):
        what = "the file's name holds characters that cannot be shown"
    elif not given and name[0] in ".-":
        what = "the file's name is a hidden one" if name[0] == "." else "the file's name reads as an option"
    if not what:
        return name
    raise kind(what, thing=safe(name)[:160], remedy="name it with --name NAME")


def _mode(text: str) -> int | None:
    """The permission bits that were recorded, None where none were (an earlier version recorded none)."""
    return int(text, 8) & _BITS if _MODE.match(text) else None


def _write(root: Path | None, reference: str, document: dict[str, Any], target: Path, mode: int | None) -> None:
    """Write the content beside its place, check it, and give it its name last. Raises RefusedError, FailedError."""
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    digest = Digest.parse(document["content"])
    with failures_named(target, "the file cannot be written"):
        descriptor = create_new(partial, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                hasher, size = new_hasher(digest.algorithm), 0

                def take(chunk: bytes) -> None:
                    nonlocal size
                    hasher.update(chunk)
                    out.write(chunk)
                    size += len(chunk)

                async def fetch(client: ControlClient) -> None:
                    await client.fetch("/v1/file/content", take, ref=reference)

                call(root, fetch)
                if size != document["size"] or hasher.hexdigest() != digest.hex:
                    raise RefusedError(
                        "the bytes are not the file's", thing=f"{reference}: {digest}", remedy="run: lockgate scrub"
                    )
                out.flush()
                _set_mode(out.fileno(), mode)
                os.fsync(out.fileno())
            try:
                name_once(partial, target)
            except FileExistsError:
                raise UsageError(
                    "the file exists", thing=safe(str(target)), remedy="move it away, or give --name NAME"
                ) from None
            sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def _set_mode(descriptor: int, mode: int | None) -> None:
    """Give a file its permission bits whatever the umask, or those of any new file where none were recorded."""
    if mode is None:
        umask = os.umask(0o077)
        os.umask(umask)
        mode = 0o666 & ~umask
    try:
        os.fchmod(descriptor, mode)
    except PermissionError:  # FAT keeps no permission bits, and says so for some of them
        raise FailedError(
            "the permission bits cannot be set here",
            thing=f"{mode:04o}",
            remedy="choose a folder on another file system",
        ) from None
