"""`lockgate collect`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from appliance.cli.context import detach_option, json_option, show, station_option, station_root
from bundles import limits
from bundles.errors import UsageError


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), help="A collection.toml that lists sources.")
@click.option("--as", "as_", metavar="REPO:TAG", help="The name it gets here; for a single artifact.")
@detach_option
@station_option
@json_option
def collect(
    root: Path | None, sources: tuple[str, ...], file: Path | None, as_: str | None, detach: bool, as_json: bool
) -> None:
    """Bring artifacts into the station's registry.

    SOURCE is HOST/REPO:TAG (a registry), oci:DIR[:TAG] (an OCI image layout) or file:PATH (any file). With -f, sources
    are read from a file: [[source]] tables with `from` and, where wanted, `as`.
    """
    from appliance.cli.follow import run_job

    station_root(root)
    entries = [_entry(text, as_) for text in sources]
    if as_ is not None and len(entries) != 1:
        raise UsageError("--as names one artifact", thing=as_, remedy="give one SOURCE with it")
    if file is not None:
        entries += _collection(file)
    if not entries:
        raise UsageError("no source was given", remedy="name a SOURCE, or a file with -f")
    result = run_job(root, "collect", {"sources": entries}, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else "\n".join(result["references"]))


def _entry(text: str, as_: str | None) -> dict[str, Any]:
    """A source's params; paths are made absolute here, where the caller's folder is known."""
    from bundles.oci.reference import Reference, RemoteReference

    if as_ is not None:
        Reference.parse(as_)
    if text.startswith("oci:"):
        path, tag = _layout(text.removeprefix("oci:"))
        return {"kind": "layout", "path": str(path), "tag": tag, "as": as_}
    if text.startswith("file:"):
        path = Path(text.removeprefix("file:")).absolute()
        if not path.is_file():
            raise UsageError("no such file", thing=str(path), remedy="check the path")
        return {"kind": "file", "path": str(path), "as": as_}
    RemoteReference.parse(text)
    return {"kind": "registry", "reference": text, "as": as_}


def _layout(text: str) -> tuple[Path, str | None]:
    """`DIR[:TAG]`: the longest folder that is there, and the tag behind it."""
    if Path(text).is_dir():
        return Path(text).absolute(), None
    for position, character in enumerate(text):
        if character == ":" and Path(text[:position]).is_dir():
            return Path(text[:position]).absolute(), text[position + 1 :]
    raise UsageError("no such OCI image layout", thing=text, remedy="write oci:DIR or oci:DIR:TAG")


def _collection(file: Path) -> list[dict[str, Any]]:
    """The sources of a collection.toml. Raises UsageError naming the file and the entry."""
    from bundles.files import read_small

    if not file.is_file():
        raise UsageError("no such file", thing=str(file), remedy="check the path")
    try:
        document = tomllib.loads(read_small(file, limits.MIB).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not a collection ({error})", thing=str(file), remedy="write TOML") from None
    listed = document.get("source")
    if set(document) != {"source"} or not isinstance(listed, list) or not listed:
        raise UsageError("not a collection", thing=str(file), remedy="write [[source]] tables with `from` and `as`")
    entries = []
    for number, source in enumerate(listed, 1):
        if not isinstance(source, dict) or not {"from"} <= set(source) <= {"from", "as"}:
            raise UsageError(
                f"source {number} is malformed", thing=str(file), remedy="give `from` and, where wanted, `as`"
            )
        entries.append(_entry(str(source["from"]), str(source["as"]) if "as" in source else None))
    return entries
