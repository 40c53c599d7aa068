"""`lockgate rebuild`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import MB, folder_option, json_option, show, station_root
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from bundles.documents.signed import StreamHead

_SHOWN: Final = 40
"""Lines about what could not be restored on the terminal; all of them are in rebuilt.json."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be restored and what could not be; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--receipt", "receipts", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A receipt from an inside: its streams never go back behind what it says. Repeatable.",
)  # fmt: skip
@folder_option
@json_option
def rebuild(root: Path | None, dry_run: bool, yes: bool, receipts: tuple[Path, ...], as_json: bool) -> None:
    """Restore an outside's database that was lost, damaged, or went back, from what its folder still proves.

    Reads every blob, the manifests, the folders of jobs and the audit log. Repositories, tags, streams and their
    numbers, blocks and jobs come back; what only the database held (accounts, for one) is named. The station must not
    run. Cut off, the same command goes on. The lost database is kept beside the new one.
    """
    from appliance.access.first_administrator import make_code
    from appliance.audit.acts import Act
    from appliance.audit.folder_acts import recorded
    from appliance.audit.noted_head import lost_head
    from appliance.lifecycle.forgotten import look
    from appliance.lifecycle.rebuild import rebuild as run
    from appliance.origin import require_open
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from appliance.station import station_lock
    from appliance.store.bucket_note import refuse_bucket
    from appliance.store.whereabouts import refuse_elsewhere
    from bundles.errors import RefusedError

    paths = StationPaths(station_root(root))
    config = load_config(paths.config)
    if config.open:
        require_open(paths, config)
    refuse_elsewhere(paths.database, "nothing is rebuilt here")
    refuse_bucket(paths, "nothing is rebuilt here")
    if config.side == "inside":
        raise RefusedError(
            "an inside is not rebuilt: what was approved and released is not made up from a log",
            thing=config.site,
            remedy="put the newest copy of its database back, then: lockgate restore --why TEXT",
        )
    heads = [head for file in receipts for head in _heads(paths.trust, file)]
    if lost := lost_head(paths):
        raise RefusedError(
            "a rebuild rests on the audit log, which lost what the station signed", thing=f"{paths.audit} ({lost})",
            remedy="put its newest copy back if there is one, and say so: lockgate restore --why TEXT",
        )  # fmt: skip
    with station_lock(paths):
        found = look(paths)
        what = "nothing is missing" if found is None else str(found)
        if dry_run:
            document = run(paths, config, found, heads, _progress(), dry_run=True).to_json()
        else:
            _ask(config.site, what, yes=yes)
            with recorded(paths.root, Act.REBUILD, config.site, {"found": what, "receipts": len(receipts)}):
                document = run(paths, config, found, heads, _progress()).to_json()
            if not config.open and not _has_accounts(paths.database):
                with recorded(paths.root, Act.ACCOUNT_CODE, config.site, {}):
                    document["code"] = make_code(paths)
    document |= {"site": config.site, "dry_run": dry_run, "found": None if found is None else what}
    show(document, as_json, lambda: _text(document, paths.rebuilt))


def _has_accounts(database: Path) -> bool:
    """Whether somebody can log in: only where nobody can does a rebuild let a first administrator be made anew."""
    from contextlib import closing

    from appliance.store.database import open_reader
    from appliance.store.reads.accounts import Accounts

    with closing(open_reader(database)) as reader:
        return Accounts(reader).exist()


def _heads(trust_folder: Path, file: Path) -> list[StreamHead]:
    """Where streams stood by a receipt whose signature counts. Raises RefusedError, UsageError."""
    from appliance import clock
    from bundles.documents.signed import Receipt
    from bundles.documents.statement import open_statement
    from bundles.errors import UsageError
    from bundles.signing.trust import TrustFolder

    document = open_statement(file, TrustFolder.load(trust_folder), clock.now()).document
    if not isinstance(document, Receipt):
        raise UsageError("not a receipt", thing=str(file), remedy="give a file of: lockgate receipt export")
    return list(document.streams)


def _ask(site: str, what: str, *, yes: bool) -> None:
    """Go on only where somebody says so. Raises UsageError."""
    from bundles.errors import UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("a rebuild is confirmed", thing=site, remedy="give --yes, or call it at a terminal")
    click.echo(safe(what), err=True)
    if click.prompt(f"Type the site's name to rebuild its database ({site})", err=True) != site:
        raise UsageError("the site's name was not typed", thing=site, remedy="nothing was changed")


def _progress() -> Any:
    """Says each phase once, and of those with bytes every tenth of them."""
    said: list[tuple[str, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if (phase, tenth) not in said[-1:]:
            said.append((phase, tenth))
            amount = f" {done / MB:.1f} of {total / MB:.1f} MB" if total else ""
            click.echo(f"  {phase}{amount}", err=True)

    return progress


def _text(document: dict[str, Any], kept: Path) -> str:
    place, restored = ("would be in place", "would be restored") if document["dry_run"] else ("in place", "restored")
    lines = [
        document["found"] or "the database itself is whole: it was held against the blobs and the audit log",
        f"{place}: {some(document['repositories'], 'repository', 'repositories')},"
        f" {some(document['tags'], 'tag')}, {some(document['jobs'], 'job')}, {some(document['blocks'], 'block')},"
        f" {some(document['sites'], 'listed site')}, {some(document['blobs'], 'blob')}",
        f"{restored}: {some(document['links'], 'missing link')}",
    ]
    lines += [f"  {stream} continues after number {last:06d}" for stream, last in sorted(document["streams"].items())]
    cannot = document["cannot"]
    if cannot:
        lines.append(f"not restored, {len(cannot)}:")
        lines += [f"  {line}" for line in cannot[:_SHOWN]]
        if len(cannot) > _SHOWN:
            lines.append(f"  and {len(cannot) - _SHOWN} more" + ("" if document["dry_run"] else f"; see {kept}"))
    if "code" in document:
        lines += [
            f"one-time code {document['code']}",
            f"make the first administrator with: lockgate user claim NAME -C {kept.parent}",
        ]
    if not document["dry_run"]:
        lines.append(f"start it with: lockgate serve -C {kept.parent}")
    return "\n".join(safe(line) for line in lines)
