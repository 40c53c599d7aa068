"""`lockgate repo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, megabytes, show, station_option, table
from appliance.cli.shared.pages import limit_option, show_list, whole_list
from appliance.cli.store.adopt import adopt
from appliance.cli.store.promote import channels, history, promote, rollback
from appliance.cli.store.retire import retire, retired, words
from bundles.errors import NotFoundError, UsageError
from bundles.io.display import safe, some
from bundles.oci.reference import check_repository, check_tag_pattern


@click.group()
def repo() -> None:
    """Repositories: list, tags, show, adopt, delete, copy, promote, rollback, history, channels, retire, retired."""


repo.add_command(adopt)
repo.add_command(promote)
repo.add_command(rollback)
repo.add_command(history)
repo.add_command(channels)
repo.add_command(retire)
repo.add_command(retired)


def paging(command: Any) -> Any:
    """`--limit`, `--after` and `--filter`."""
    command = click.option("--filter", "text", default="", help="Names that contain this.")(command)
    command = click.option("--after", default="", help="Go on behind this name.")(command)
    return limit_option()(command)


@repo.command("list")
@paging
@station_option
@json_option
def list_(root: Path | None, limit: int | None, after: str, text: str, as_json: bool) -> None:
    """The repositories; UNTAGGED counts the manifests to which no tag leads."""

    def row(entry: dict[str, Any]) -> tuple[object, ...]:
        untagged = "?" if entry["untagged"] is None else entry["untagged"]
        name = entry["name"] + _retired(entry)
        return name, entry["tags"], entry["manifests"], untagged, megabytes(entry["bytes"])

    head = ("REPOSITORY", "TAGS", "MANIFESTS", "UNTAGGED", "SIZE")
    show_list(root, "/v1/repositories", row, head, limit=limit, as_json=as_json, after=after, filter=text)


@repo.command()
@click.argument("name", metavar="REPO")
@paging
@station_option
@json_option
def tags(root: Path | None, name: str, limit: int | None, after: str, text: str, as_json: bool) -> None:
    """A repository's tags."""

    def row(entry: dict[str, Any]) -> tuple[object, ...]:
        return entry["tag"], entry["kind"] + _retired(entry), entry["digest"], entry["updated"]

    path, head = f"/v1/repositories/{quote(name)}/tags", ("TAG", "KIND", "DIGEST", "UPDATED")
    show_list(root, path, row, head, limit=limit, as_json=as_json, after=after, filter=text)


def _retired(entry: dict[str, Any]) -> str:
    """What stands behind something that is retired, or will be."""
    found = entry.get("retired")
    return "" if found is None else " (retired)" if found["over"] else " (to be retired)"


@repo.command("show")
@click.argument("reference", metavar="REF", required=False, default="")
@click.option("--untagged", is_flag=True, help="List what no tag leads to, of repository REF or of all.")
@limit_option()
@station_option
@json_option
def show_(root: Path | None, reference: str, untagged: bool, limit: int | None, as_json: bool) -> None:
    """An artifact: platforms, layers, and what refers to it.

    With --untagged what overwritten tags left: manifests to which no tag leads, neither itself nor through an index or
    as what refers to it, since when, and why a collection keeps one. `gc --untagged` takes the others.
    """
    if untagged:
        document = _untagged(root, reference, limit)
        rows = [
            (one["repository"], one["digest"], one["kind"], megabytes(one["size"]), one["since"], one["kept"] or "-")
            for one in document["items"]
        ]
        show(document, as_json, lambda: table(rows, ("REPOSITORY", "DIGEST", "KIND", "SIZE", "SINCE", "KEPT")))
        return
    if not reference:
        raise UsageError("no artifact was named", remedy="give REPO:TAG or REPO@DIGEST, or --untagged")
    if limit is not None:
        raise UsageError("--limit is about what has no tag", thing=str(limit), remedy="give --untagged, too")
    document = call(root, lambda client: client.get("/v1/artifact", ref=reference))
    show(document, as_json, lambda: _text(document))


def _untagged(root: Path | None, repository: str, limit: int | None) -> dict[str, Any]:
    """The manifests without a tag of one repository, or of every one that has some."""
    if repository:
        names = [check_repository(repository)]
    else:
        names = [entry["name"] for entry in whole_list(root, "/v1/repositories")["items"] if entry["untagged"] != 0]
    items: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        left = None if limit is None else limit - len(items)
        page = whole_list(root, f"/v1/repositories/{quote(name)}/untagged", left)
        items += [{"repository": name, **one} for one in page["items"]]
        if limit is not None and len(items) >= limit:
            if names[number + 1 :] and not page["next"]:
                click.echo(f"{len(items)} shown; more may follow: give a larger --limit, or none", err=True)
            return {"items": items, "next": page["next"] or (f"{name}" if names[number + 1 :] else None)}
    return {"items": items, "next": None}


@repo.command()
@click.argument("pattern", metavar="REPO:PATTERN")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@station_option
@json_option
def delete(root: Path | None, pattern: str, dry_run: bool, as_json: bool) -> None:
    """Delete the tags of a repository that a pattern names (`*` stands for any characters), or REPO@DIGEST.

    What a tag named stays, and is listed by `repo show --untagged`, until `gc --untagged` takes it. REPO@DIGEST deletes
    a manifest at once, with every tag on it. A repository that holds released content is refused.
    """
    name, at, digest = pattern.partition("@")
    asked: dict[str, Any] = {"dry_run": dry_run}
    if at:
        asked["digest"] = digest
    else:
        name, colon, tags_ = pattern.rpartition(":")
        if not colon or "/" in tags_:
            raise UsageError(
                "no tags were named", thing=pattern[:280], remedy="write REPO:PATTERN, as team/app:1.*, or team/app:*"
            )
        asked["tags"] = check_tag_pattern(tags_)
    if "*" in name:
        raise UsageError("a pattern is of tags", thing=name[:280], remedy="name one repository at a time")
    check_repository(name)

    async def ask(client: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while True:
            page = await client.post(f"/v1/repositories/{quote(name)}/delete", asked)
            items += page["items"]
            if not page["next"]:
                return items
            asked["after"] = page["next"]

    items = call(root, ask)
    if not items:
        raise NotFoundError("no tag matches", thing=pattern[:280], remedy=f"see: lockgate repo tags {name}")
    rows = [(one["tag"] or "(the manifest)", one["digest"]) for one in items]
    count = some(sum(one["tag"] is not None for one in items), "tag")
    what = f"the manifest and {count}" if at else count
    end = f"{what} {'would be deleted' if dry_run else 'deleted'} from {name}"
    document = {"repository": name, "dry_run": dry_run, "items": items}
    show(document, as_json, lambda: f"{table(rows, ('TAG', 'DIGEST'))}\n{end}")


@repo.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@station_option
@json_option
def copy(root: Path | None, source: str, target: str, as_json: bool) -> None:
    """Show an artifact in another repository, or under another tag, with its SBOMs and signatures.

    SRC is REPO:TAG or REPO@DIGEST; DST is REPO:TAG, or REPO for the same tag. No byte is copied. Takes the right to
    pull the one and to push to the other; inside, a repository that holds released content is refused as for a push.
    The last line is the new reference.
    """
    document = call(root, lambda client: client.post("/v1/copies", {"source": source, "target": target}))
    lines = [f"{one['tag']} stood at {one['digest']}" for one in document["moved"]]
    lines.append(
        f"{some(document['manifests'], 'manifest')} and {some(document['blobs'], 'blob')}, {document['linked']} of them"
        " new there"
    )
    show(document, as_json, lambda: "\n".join([*map(safe, lines), document["reference"]]))


_NOT_HERE: Final = {"here": "", "left-out": "  (left out when it was collected)", "missing": "  [!!] not here"}


def _text(document: dict[str, Any]) -> str:
    lines = [
        f"{document['reference']}  ({document['kind']})",
        f"  digest      {document['digest']}",
        f"  media type  {document['media_type']}",
        f"  size        {megabytes(document['total_size'])}",
    ]
    lines += [f"  [!!] {document['note']}"] if document["note"] else []
    lines += [f"  [!!] blocked: {document['blocked']}"] if document["blocked"] is not None else []
    lines += [f"  [!!] {words(document['retired'])}"] if document["retired"] is not None else []
    lines += [
        f"  platform    {entry['platform']}  {entry['digest']}{_NOT_HERE[entry['state']]}"
        for entry in document["platforms"]
    ]
    lines += [f"  layer       {entry['digest']}  {megabytes(entry['size'])}" for entry in document["layers"]]
    lines += [f"  referrer    {entry['digest']}  {entry['kind']}" for entry in document["referrers"]]
    return "\n".join(safe(line) for line in lines)
