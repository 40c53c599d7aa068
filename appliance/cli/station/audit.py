"""`lockgate audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.audit.acts import Act
from appliance.cli.shared.context import (
    call,
    folder_option,
    json_option,
    require_ungiven,
    shaped,
    show,
    station_option,
    station_root,
    table,
)
from appliance.cli.shared.pages import PAGE
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.api.recall import Recall
    from appliance.paths import StationPaths
    from bundles.documents.audit_findings import LogFindings


@click.group()
def audit() -> None:
    """The audit log: show, verify, export, prune, recall, workloads."""


@audit.command("show")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="The newest so many."
)
@click.option("--filter", "text", default="", help="Events that contain this.")
@click.option("--act", default="", help="Events whose act begins so, as intake. or key.revoke.")
@click.option("--actor", default="", metavar="WHO", help="Events of this actor.")
@click.option("--thing", default="", help="Events about this thing.")
@click.option(
    "--outcome", default="", type=click.Choice(["", "done", "refused", "failed"]), help="Events that ended so."
)
@click.option("--since", default="", metavar="TIME", help="From this time, YYYY-MM-DD[THH:MM:SSZ].")
@click.option("--until", default="", metavar="TIME", help="Before this time.")
@station_option
@json_option
def show_(
    root: Path | None, limit: int, text: str, act: str, actor: str, thing: str, outcome: str, since: str, until: str,
    as_json: bool,
) -> None:  # fmt: skip
    """The newest acts on this station, the latest last."""
    query = {"act": act, "actor": actor, "thing": thing, "outcome": outcome, "since": since, "until": until}
    document = _newest(root, limit, {"filter": text, **query})
    if document["next"]:
        click.echo(f"{len(document['items'])} shown, the newest; older ones follow: give a larger --limit", err=True)
    rows = [
        (
            event["time"],
            event["act"],
            event["outcome"],
            event["actor"],
            event["thing"],
            _note(event["detail"]),
        )
        for event in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("TIME", "ACT", "OUTCOME", "WHO", "THING", "NOTE")))


def _newest(root: Path | None, limit: int, query: dict[str, str]) -> dict[str, Any]:
    """The newest events, the latest last, and `next`: whether there are older ones. Pages go back in time."""

    async def ask(client: Any) -> dict[str, Any]:
        items: list[Any] = []
        after = ""
        while True:
            page: dict[str, Any] = await client.get(
                "/v1/audit", limit=min(PAGE, limit - len(items)), after=after, **query
            )
            items[:0] = page["items"]
            after = page["next"]
            if not after or len(items) >= limit:
                return page | {"items": items}

    return call(root, ask)


def _note(detail: dict[str, Any]) -> str:
    reason = str(detail.get("reason", detail.get("why", "")))
    return f"{reason} (and {detail['repeated']} more)" if "repeated" in detail else reason


@audit.command()
@click.option("--expect-head", default="", metavar="HEAD", help="A head from a receipt, a form or the console.")
@click.option(
    "--export", "exported", type=click.Path(path_type=Path), metavar="DIR", help="An export; needs no station."
)
@click.option("--key", "key_file", type=click.Path(path_type=Path), metavar="PEM", help="With --export: the audit key.")
@click.option("--site", default="", metavar="NAME", help="With --export: the station it must be of.")
@folder_option
@json_option
def verify(
    root: Path | None, expect_head: str, exported: Path | None, key_file: Path | None, site: str, as_json: bool
) -> None:
    """Check every event of the log, on the station's folder or in an export. Exit status 3: something was changed.

    A cut end shows against --expect-head: the head that somebody wrote down.
    """
    from bundles.documents.audit_findings import UNDOCUMENTED
    from bundles.errors import IncompleteError, RefusedError

    found = _verify(root, expect_head, exported, key_file, site)
    document = found.to_json() | {"head_expected": expect_head or None, "unchecked": found.unchecked}
    lines = [f"[!!] {safe(each.text())}" for each in found.findings]
    lines += [f"[..] not checked: {safe(each)}" for each in found.unchecked]
    if not found.findings:
        lines += [
            f"[ok] {some(found.events, 'event')} in {some(found.lanes, 'lane')}, {found.first} to {found.last}",
            f"[ok] {some(found.checkpoints, 'checkpoint')}; the last covers {some(found.covered, 'event')}",
            f"[..] {some(found.uncovered, 'event is', 'events are')} behind it: no signature covers them yet"
            if found.uncovered else "[ok] no event is behind it",
            f"[..] {some(found.time_back, 'event is', 'events are')} older than the one before them: the clock"
            f" was corrected"
            if found.time_back else "[ok] no event is older than the one before it",
            f"[..] {some(found.set_back, 'event says', 'events say')} that the clock was set back" if found.set_back
            else "[ok] no event says that the clock was set back",
            f"[ok] the log holds the head {expect_head}" if expect_head
            else "[..] a cut end: not checked; give a head that was written down with --expect-head",
            f"     head {found.head}",
        ]  # fmt: skip
    show(document, as_json, lambda: "\n".join(lines))
    if found.findings and all(each.code == UNDOCUMENTED for each in found.findings):
        raise RefusedError(
            f"the export lacks documents that the log names: {some(len(found.findings), 'finding')}",
            thing=found.findings[0].text(),
            remedy="keep this folder as it is; see who changed the station's database, and put it back from a backup",
        )
    if found.findings:
        raise RefusedError(
            f"the audit log was changed: {some(len(found.findings), 'finding')}",
            thing=found.findings[0].text(),
            remedy="keep this folder as it is, and compare it with the last export",
        )
    if found.unchecked:
        raise IncompleteError(
            f"what was checked holds; not checked: {some(len(found.unchecked), 'event')}", thing=found.unchecked[0],
            remedy="look for these documents in earlier exports, or in what a restore may have lost",
        )  # fmt: skip


def _verify(
    root: Path | None, expect_head: str, exported: Path | None, key_file: Path | None, site: str
) -> LogFindings:
    from appliance.audit.checkpoints import verify_log
    from appliance.audit.export import verify_export
    from appliance.audit.seals import seals_of
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from bundles.errors import UsageError
    from bundles.signing.keys import PUBLIC_SUFFIX, load_public

    if exported is None:
        require_ungiven(("key_file", "site"), "the option is about an export", "give --export DIR, too")
    else:
        seals = None
        if root is not None and key_file is None:
            paths = StationPaths(station_root(root))
            key_file, site = paths.keys / f"audit{PUBLIC_SUFFIX}", site or load_config(paths.config).site
            seals = seals_of(paths)
        if key_file is None or not site:
            raise UsageError(
                "an export is checked with a key that did not come with it",
                remedy="give --key PEM and --site NAME, or -C DIR on the station itself",
            )
        return verify_export(exported, load_public(key_file), site, expect_head, seals)
    paths = StationPaths(station_root(root))
    return verify_log(paths, load_config(paths.config).site, expect_head)


@audit.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@folder_option
@json_option
def export(root: Path | None, out: Path, as_json: bool) -> None:
    """Write the whole log, and what was signed about each bundle, to a folder that verifies without a station.

    The last line is the folder.
    """
    from appliance import clock
    from appliance.audit import export as audit_export
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config

    paths = StationPaths(station_root(root))
    site, target = load_config(paths.config).site, out.absolute()
    with recorded(paths.root, Act.AUDIT_EXPORT, str(target), {}):
        head = audit_export.export(paths, target, _documents(paths), site=site, at=clock.now())
    document = {"path": str(target), "head": head, "site": site}
    show(document, as_json, lambda: f"head {head}\n{safe(str(target))}")


def _documents(paths: StationPaths) -> dict[str, bytes]:
    from appliance.custody.record import signed_documents
    from appliance.store.database import open_reader
    from appliance.store.whereabouts import is_made
    from bundles.signing.trust import TrustFolder

    if not is_made(paths.database):
        return {}
    reader = open_reader(paths.database)
    try:
        return signed_documents(reader, TrustFolder.load(paths.trust))
    finally:
        reader.close()


@audit.command()
@click.argument("thing", metavar="KEYID|DIGEST|REF")
@station_option
@json_option
def recall(root: Path | None, thing: str, as_json: bool) -> None:
    """Of a key or content that is no longer believed: the bundles that held it, the tags it became, who pulled them."""
    from appliance.api.recall import Recall

    document = call(root, lambda client: client.get("/v1/recall", thing=thing))
    show(document, as_json, lambda: recalled(shaped(document, Recall)))


def recalled(found: Recall) -> str:
    """What a recall found, as tables."""
    from appliance.custody.recall import lines

    parts = [table(rows, head) if rows else f"{head[0]}: none" for rows, head in lines(found)]
    return "\n\n".join([*parts, f"pulls are known since {safe(found.pulls_since or '-')}"])


@audit.command()
@click.option("--all", "every", is_flag=True, help="Those whose image stands as it did, too.")
@station_option
@json_option
def workloads(root: Path | None, every: bool, as_json: bool) -> None:
    """What clusters were let run that is blocked by now, not shown any more, retired, or that no tag leads to."""
    document = call(root, lambda client: client.get("/v1/workloads", **({"every": "1"} if every else {})))
    show(document, as_json, lambda: _deployed(document))


def _deployed(document: dict[str, Any]) -> str:
    head = ("STATE", "CLUSTER", "NAMESPACE", "WORKLOAD", "IMAGE", "ADMITTED", "WHY")
    keys = ("state", "cluster", "namespace", "workload", "reference", "at", "why")
    rows = [[one[key] or "-" for key in keys] for one in document["items"]]
    lines = [table(rows, head)] if rows else [f"nothing is hit, of {some(document['remembered'], 'workload')}"]
    return "\n".join([*lines, *([f"and {document['left_out']} more"] if document["left_out"] else [])])


@audit.command()
@click.option(
    "--exported", required=True, type=click.Path(path_type=Path), metavar="DIR", help="An export that holds it."
)
@folder_option
@json_option
def prune(root: Path | None, exported: Path, as_json: bool) -> None:
    """Remove the log's oldest segments that an export holds. Nothing that is not in a verified export goes.

    What they said of imports and of links that clients made is kept in the station's folder, and the cut names it.
    """
    from appliance.lifecycle.prune import prune_log
    from appliance.paths import StationPaths

    gone, cut = prune_log(StationPaths(station_root(root)), exported)
    lanes = [] if cut is None else msgspec.to_builtins(cut)["lanes"]
    record = None if cut is None else msgspec.to_builtins(cut)["record"]
    nothing = (
        f"0 segments removed: the newest of each lane stays, and so does the event of a decision whose document is"
        f" missing; {safe(str(exported))} holds no older one"
    )
    show(
        {"removed": gone, "lanes": lanes, "record": record},
        as_json,
        lambda: f"{some(gone, 'segment')} removed; the export keeps them: {safe(str(exported))}" if gone else nothing,
    )
