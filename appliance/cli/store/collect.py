"""`lockgate collect`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.completion import PLATFORM, SOURCE
from appliance.cli.shared.context import call, detach_option, json_option, megabytes, show, station_option, station_root
from bundles.errors import MalformedError, UsageError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.collection_file import Listed


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, type=SOURCE)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), help="A collection.toml that lists sources.")
@click.option("--as", "as_", metavar="REPO:TAG", help="The name it gets here; for a single artifact.")
@click.option(
    "--update", is_flag=True,
    help="Ask registries again for whatever refers to an image; with -f, make the lock anew and say what changed.",
)  # fmt: skip
@click.option("--lock", type=click.Path(path_type=Path), metavar="FILE", help="The lock of -f, if not beside it.")
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Of HOST/REPO:PATTERN, tags to leave out; repeatable."
)
@click.option("--range", "range_", metavar="RANGE", help="Of HOST/REPO:PATTERN, tags whose version is in '>=1.20 <2'.")
@click.option("--variant", metavar="PATTERN", help="Of HOST/REPO:PATTERN, versions of this variant: alpine, bookworm*.")
@click.option("--newest", type=click.IntRange(1), metavar="N", help="Of HOST/REPO:PATTERN, the N newest versions.")
@click.option("--created-since", metavar="DATE", help="Of HOST/REPO:PATTERN, images made on that day or later.")
@click.option("--latest", type=click.IntRange(1), metavar="N", help="Of HOST/REPO:PATTERN, the N that were made last.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="P",
    type=PLATFORM,
    help="Of an index, these alone: linux/amd64; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be collected, and how many bytes that is.")
@click.option("--retry-failed", is_flag=True, help="Collect again what failed of your last collect.")
@click.option(
    "--authfile", type=click.Path(path_type=Path), metavar="FILE",
    help="Your accounts at registries (containers-auth.json); else where podman, skopeo and docker keep them.",
)  # fmt: skip
@detach_option
@station_option
@json_option
def collect(
    root: Path | None,
    sources: tuple[str, ...],
    file: Path | None,
    as_: str | None,
    update: bool,
    lock: Path | None,
    exclude: tuple[str, ...],
    range_: str | None,
    variant: str | None,
    newest: int | None,
    created_since: str | None,
    latest: int | None,
    platforms: tuple[str, ...],
    dry_run: bool,
    retry_failed: bool,
    authfile: Path | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Bring artifacts into the station's registry.

    SOURCE is [docker://]HOST/REPO:TAG[@DIGEST] (a registry), HOST/REPO:PATTERN (all tags that a pattern with * covers,
    or of these what --exclude, --range, --variant, --newest, --created-since and --latest choose; REPO may be a pattern
    too, as team/**; --as names a repository then), oci:DIR[:NAME] (an OCI image layout), docker-archive:FILE or
    oci-archive:FILE (what docker save, podman save and ctr images export write), dir:DIR (what skopeo copy writes so)
    or file:PATH (any file). Of a tag and a digest the digest decides; where the tag stands elsewhere, that is said. An
    image without a name is taken with --as. With -f, sources are read from a file: [[source]] tables with `from` and,
    where wanted, `as` and `redirects` (the hosts that a registry may send on to); its relative paths start at its
    folder. The last lines are the references.

    With --platform an index keeps its digest and comes with these platforms alone; what was left out is recorded.

    One source that fails does not end the others: each is named with its reason, and the exit status is 4. What a
    registry says refers to an image is asked for once an hour, or with --update.

    With -f and --update each source is resolved to its digests, which are written into a lock beside the file
    (collection.lock) and collected, the lock with them. From then on -f takes exactly what the lock says.
    """
    from appliance.cli.shared.follow import run_job

    station_root(root)
    chosen_by = {
        "exclude": list(exclude) or None, "range": range_, "variant": variant, "newest": newest,
        "created_since": created_since, "latest": latest,
    }  # fmt: skip
    select = _selected(sources, chosen_by)
    wanted = _platforms(sources, platforms)
    entries = [_of_platforms(_entry(text, as_, Path(), select), wanted) for text in sources]
    if as_ is not None and len(entries) != 1:
        raise UsageError("--as names one artifact", thing=as_, remedy="give one SOURCE with it")
    if lock is not None and file is None:
        raise UsageError("--lock is of a collection", thing=str(lock), remedy="give -f FILE with it")

    def planned(of: list[dict[str, Any]], what: str) -> dict[str, Any]:
        return run_job(root, "collect", {"sources": of, "update": update, "plan": what}, authfile=authfile)

    changed: list[dict[str, Any]] | None = None

    def told(found: dict[str, Any]) -> dict[str, Any]:
        return found if changed is None else collection.told(found) | {"changed": changed}

    if file is not None:
        from appliance.cli.store.collection import Collection

        collection = Collection(file, *_collection(file), lock)
        if update:
            changed = [asdict(one) for one in collection.update(lambda of: planned(of, "digests"), write=not dry_run)]
        entries += collection.entries(updated=update, carried=not dry_run)
    if retry_failed:
        if entries:
            raise UsageError("--retry-failed names no sources", remedy="give it alone, or the sources without it")
        entries = _failed(root)
    if not entries:
        raise UsageError("no source was given", remedy="name a SOURCE, or a file with -f")
    if dry_run:
        found = told(planned(entries, "bytes"))
        show(found, as_json, lambda: planned_in_words(found, changed))
        return

    def said(found: dict[str, Any]) -> None:
        show(told(found), as_json, lambda: collected_in_words(told(found), changed))

    result = run_job(
        root, "collect", {"sources": entries, "update": update}, detach=detach, authfile=authfile, partly=said
    )
    if detach:
        show(result, as_json, lambda: str(result["job"]))
    else:
        said(result)


_LOOKED_AT: Final = 1000
"""Jobs among which the last collect is looked for."""


def _failed(root: Path | None) -> list[dict[str, Any]]:
    """The sources to collect again, as `failed_of`."""
    from appliance.cli.shared.pages import whole_list

    caller = str(call(root, lambda client: client.who())["account"])
    return failed_of(whole_list(root, "/v1/jobs", _LOOKED_AT)["items"], caller)


def failed_of(jobs: Iterable[dict[str, Any]], caller: str) -> list[dict[str, Any]]:
    """The sources that failed in the caller's last collect that has ended, of jobs with the newest first; all of them
    where it did not come to its end. Another's is not repeated: it would be with the caller's accounts. Raises
    UsageError where there is none, or none of them failed."""
    from appliance.api.states import FINAL_STATES

    for job in jobs:
        is_theirs = job["actor"] == caller and job["kind"] == "collect"
        if not is_theirs or job["state"] not in FINAL_STATES or job["params"].get("plan"):
            continue
        sources: list[dict[str, Any]] = job["params"].get("sources", [])
        if job["state"] == "done":
            raise UsageError("nothing failed in the last collect", thing=job["id"], remedy="name a SOURCE")
        numbers = (job["result"] or {}).get("failed", range(len(sources)))
        return [sources[number] for number in numbers]
    raise UsageError(f"no collect of {safe(caller)} has ended here", remedy="name a SOURCE")


def _selected(sources: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options choose among tags, by their keys (Selection). Raises UsageError where a SOURCE is not
    many tags, or an option is wrong."""
    from appliance.selecting.selection import Selection, is_many

    said = {key: value for key, value in options.items() if value is not None}
    if not said:
        return {}
    option = f"--{next(iter(said)).replace('_', '-')}"
    if not sources:
        raise UsageError(
            f"{option} is of a SOURCE that is many tags", remedy="give HOST/REPO:PATTERN with it; in a file it is a key"
        )
    for text in sources:
        if not is_many(text):
            raise UsageError(
                f"{option} chooses among tags", thing=text, remedy="write HOST/REPO:PATTERN, such as REPO:*"
            )
    return Selection.of(said).to_json()


def _platforms(sources: Sequence[str], platforms: tuple[str, ...]) -> list[str]:
    """The platforms that options name, also several in one, with commas between. Raises UsageError."""
    from appliance.selecting.platforms import check_platforms

    if platforms and not sources:
        raise UsageError("--platform is of a SOURCE", remedy="give one with it; in a file it is the key `platforms`")
    return list(check_platforms([part.strip() for one in platforms for part in one.split(",")]))


def _of_platforms(entry: dict[str, Any], platforms: Sequence[str]) -> dict[str, Any]:
    """A source's params with the platforms that are taken of an index. Raises UsageError for a source without any."""
    if not platforms:
        return entry
    if entry["kind"] in ("file", "url"):
        raise UsageError("a file has no platforms", thing=str(entry["name"]), remedy="leave --platform out")
    return {**entry, "platforms": list(platforms)}


def planned_in_words(result: dict[str, Any], changed: list[dict[str, Any]] | None) -> str:
    """What would be collected, in words: each artifact, and all together on the last line."""
    lines = [
        f"{safe(one['reference'])} {one['digest']}: {megabytes(one['fetch'])} to fetch, {megabytes(one['held'])} held"
        + (f" ({safe(one['why'])})" if one.get("why") else "")
        for one in result["planned"]
    ]
    fetch, held = (sum(one[what] for one in result["planned"]) for what in ("fetch", "held"))
    number = some(len(lines), "artifact", "artifacts")
    return "\n".join(
        [*_changed(changed), *_chosen(result), *lines, f"{number}: {megabytes(fetch)} to fetch, {megabytes(held)} held"]
    )


def _changed(changed: list[dict[str, Any]] | None) -> list[str]:
    """How a lock changed, a line for each artifact; nothing where none was made."""
    if changed is None:
        return []
    lines = [f"{safe(one['reference'])}: {one['before'] or 'new'} -> {one['after'] or 'gone'}" for one in changed]
    return lines or ["the lock is as it was"]


def _chosen(result: dict[str, Any]) -> list[str]:
    """What was chosen among many tags, a line for each source, with why others were left."""
    from appliance.selecting.selection import left_in_words

    return [
        f"{safe(one['from'])}: {one['chosen']} of {some(one['tags'], 'tag', 'tags')}"
        + (f" of {some(one['repositories'], 'repository', 'repositories')}" if one["repositories"] != 1 else "")
        + "".join(f", {text}" for text in left_in_words(one["left_out"]))
        for one in result.get("selected", ())
    ]


def collected_in_words(result: dict[str, Any], changed: list[dict[str, Any]] | None) -> str:
    """What was collected, in words; the references on the last lines."""
    said = _changed(changed) + _chosen(result)
    said += [f"[!!] {safe(note)}" for note in result.get("notes", ())]
    left = result.get("left_out", ())
    said += [f"[!!] left out, a foreign layer that the source does not hold: {safe(one)}" for one in left]
    return "\n".join([*said, *result["references"]])


def _entry(text: str, as_: str | None, base: Path, select: dict[str, Any] | None = None) -> dict[str, Any]:
    """A source's params; paths are made absolute here, from `base`, where the caller's folder is known. `select`
    chooses among many tags."""
    from appliance.selecting.selection import ManyTags, is_many
    from bundles.oci.reference import Reference, RemoteReference

    is_path = text.partition(":")[0] in (*_PATHS, *_OF_OTHERS) or text.startswith(("/", "./", "../", "~"))
    if is_many(text) and not is_path:
        ManyTags.parse(text)
        if as_ is not None:
            _check_as_of_many(as_)
        return {"kind": "tags", "reference": text, "as": as_, "select": select or {}}
    if as_ is not None:
        named = Reference.parse(as_)
        if named.tag is None or named.digest is not None:
            raise UsageError("--as takes a tag", thing=as_, remedy="write REPO:TAG")
    kind, colon, rest = text.partition(":")
    if colon and kind in _PATHS:
        path, tag = _path(base, rest, *_PATHS[kind])
        entry = {"kind": {"oci": "layout"}.get(kind, kind), "path": str(path), "name": path.name, "as": as_}
        return entry if kind == "file" else {**entry, "tag": tag}
    if colon and kind in _OF_OTHERS:
        raise UsageError(
            f"{kind}: is not read",
            thing=text,
            remedy=f"copy it first: skopeo copy {text} oci:DIR, then collect oci:DIR",
        )
    if colon and rest and kind.isidentifier() and (base / rest).exists():
        raise UsageError("an unknown form of a source", thing=text, remedy=_forms_of(rest, base / rest))
    if text.startswith(("/", "./", "../", "~")) or (base / text).exists():
        raise UsageError("a path without its form", thing=text, remedy=_forms_of(text, base / text))
    try:
        RemoteReference.parse(text)
    except MalformedError as error:
        if "/" in text:
            raise
        raise UsageError(error.what, thing=error.thing, remedy=f"{error.remedy}; or {_FORMS}") from None
    return {"kind": "registry", "reference": text, "as": as_}


def _check_as_of_many(as_: str) -> None:
    """Raises UsageError where many tags would get the name of one."""
    from bundles.oci.reference import check_repository

    try:
        check_repository(as_)
    except MalformedError:
        raise UsageError(
            "--as of many tags takes a repository", thing=as_, remedy="write REPO, without a tag"
        ) from None


_FORMS: Final = "file:PATH, oci:DIR, docker-archive:FILE, oci-archive:FILE or dir:DIR for what is on this machine"


_PATHS: Final = {
    "oci": (True, "no such OCI image layout", "write oci:DIR, oci:DIR:NAME or oci:DIR@DIGEST"),
    "oci-archive": (False, "no such archive", "write oci-archive:FILE or oci-archive:FILE:NAME"),
    "docker-archive": (False, "no such archive", "write docker-archive:FILE or docker-archive:FILE:NAME"),
    "dir": (True, "no such folder", "write dir:DIR, with --as REPO:TAG"),
    "file": (False, "no such file", "give a file's path"),
}
"""Forms of a source that is a path: whether it is a folder, and what is said where it is not there."""
_OF_OTHERS: Final = ("docker-daemon", "containers-storage", "ostree", "sif", "tarball")
"""Forms that skopeo reads (containers-transports(5)) and this does not."""


def _forms_of(text: str, path: Path) -> str:
    """How a path can be written, by what is there."""
    if path.is_dir():
        if (path / "oci-layout").exists():
            return f"write oci:{text}"
        if (path / "manifest.json").exists():
            return f"write dir:{text}"
        return f"a file is file:PATH, an OCI image layout oci:DIR; {text} is neither"
    return f"write file:{text} to carry it as it is, or docker-archive:{text} or oci-archive:{text} for images in it"


def _path(base: Path, text: str, is_folder: bool, missing: str, remedy: str) -> tuple[Path, str | None]:
    """`PATH`, `PATH:NAME`, `PATH@DIGEST` or `PATH:NAME@DIGEST`: the longest path that is there, and what is behind."""
    ends = [len(text), *(position for position in range(len(text) - 1, 0, -1) if text[position] in ":@")]
    for end in ends:
        path = base / text[:end]
        if path.is_dir() if is_folder else path.is_file():
            behind = text[end:].removeprefix(":") or None
            return Path(os.path.normpath(path.absolute())), behind
    path = base / text
    if is_folder and path.is_file():
        raise UsageError("not a folder", thing=text, remedy=_forms_of(text, path))
    if not is_folder and path.exists():
        raise UsageError("not a file", thing=str(path.absolute()), remedy=remedy)
    raise UsageError(missing, thing=text if is_folder else str(path.absolute()), remedy=remedy)


def _collection(file: Path) -> tuple[Sequence[Listed], list[dict[str, Any]]]:
    """The sources of a collection.toml, and their params. Raises UsageError naming the file and the entry."""
    from appliance.collection_file import read_collection

    listed = read_collection(file)
    return listed, [_listed(one, file) for one in listed]


def _listed(listed: Listed, file: Path) -> dict[str, Any]:
    if listed.is_url:
        entry: dict[str, Any] = {"kind": "url", "url": listed.came, "sha256": listed.sha256, "as": listed.name}
    else:
        entry = _entry(listed.came, listed.name, file.absolute().parent, listed.selection.to_json())
        entry = _of_platforms(entry, listed.platforms)
    if listed.redirects is None:
        return entry
    if entry["kind"] not in ("registry", "tags", "url"):
        raise UsageError(f"source {listed.number} is no registry", thing=str(file), remedy="leave its `redirects` out")
    return {**entry, "redirects": list(listed.redirects)}
