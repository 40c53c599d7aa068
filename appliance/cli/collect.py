"""`lockgate collect`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import SOURCE
from appliance.cli.context import detach_option, json_option, show, station_option, station_root
from bundles import limits
from bundles.errors import UsageError


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, type=SOURCE)
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
    are read from a file: [[source]] tables with `from` and, where wanted, `as` and `redirects` (the hosts that a
    registry may send on to); its relative paths start at its folder. The last lines are the references.
    """
    from appliance.cli.follow import run_job

    station_root(root)
    entries = [_entry(text, as_, Path()) for text in sources]
    if as_ is not None and len(entries) != 1:
        raise UsageError("--as names one artifact", thing=as_, remedy="give one SOURCE with it")
    if file is not None:
        entries += _collection(file)
    if not entries:
        raise UsageError("no source was given", remedy="name a SOURCE, or a file with -f")
    result = run_job(root, "collect", {"sources": entries}, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else "\n".join(result["references"]))


def _entry(text: str, as_: str | None, base: Path) -> dict[str, Any]:
    """A source's params; paths are made absolute here, from `base`, where the caller's folder is known."""
    from bundles.oci.reference import Reference, RemoteReference

    if as_ is not None and Reference.parse(as_).tag is None:
        raise UsageError("--as takes a tag", thing=as_, remedy="write REPO:TAG")
    if text.startswith("oci:"):
        path, tag = _layout(base, text.removeprefix("oci:"))
        return {"kind": "layout", "path": str(path), "tag": tag, "as": as_}
    if text.startswith("file:"):
        path = (base / text.removeprefix("file:")).absolute()
        if not path.is_file():
            what = "not a file" if path.exists() else "no such file"
            raise UsageError(what, thing=str(path), remedy="give a file's path")
        return {"kind": "file", "path": str(path), "as": as_}
    RemoteReference.parse(text)
    return {"kind": "registry", "reference": text, "as": as_}


def _layout(base: Path, text: str) -> tuple[Path, str | None]:
    """`DIR[:TAG]`: the longest folder that is there, and the tag behind it."""
    ends = [len(text), *(position for position in range(len(text) - 1, 0, -1) if text[position] == ":")]
    for end in ends:
        path = base / text[:end]
        if path.is_dir():
            return path.absolute(), text[end + 1 :] or None
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
    return [_listed(number, source, file) for number, source in enumerate(listed, 1)]


def _listed(number: int, source: Any, file: Path) -> dict[str, Any]:
    if not isinstance(source, dict) or not {"from"} <= set(source) <= {"from", "as", "redirects"}:
        raise UsageError(
            f"source {number} is malformed",
            thing=str(file),
            remedy="give `from` and, where wanted, `as` and `redirects`, alone",
        )
    from appliance.policy.redirects import check_hosts

    redirects = source.get("redirects")
    if not all(isinstance(source.get(name, ""), str) for name in ("from", "as")):
        raise UsageError(f"source {number} is malformed", thing=str(file), remedy="`from` and `as` are texts")
    if redirects is not None and not (isinstance(redirects, list) and all(isinstance(one, str) for one in redirects)):
        raise UsageError(f"source {number} is malformed", thing=str(file), remedy="`redirects` is a list of hosts")
    entry = _entry(source["from"], source.get("as"), file.absolute().parent)
    if redirects is None:
        return entry
    if entry["kind"] != "registry":
        raise UsageError(f"source {number} is no registry", thing=str(file), remedy="leave its `redirects` out")
    return {**entry, "redirects": list(check_hosts(redirects))}
