"""`lockgate intake`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from appliance.cli.intake.decide import approve, count, reject
from appliance.cli.intake.list_entries import list_
from appliance.cli.intake.stream import stream
from appliance.cli.people.user_pending import lines_of
from appliance.cli.shared.context import (
    call,
    detach_option,
    json_option,
    megabytes,
    show,
    station_option,
    table,
)
from bundles.io.display import safe, some


@click.group()
def intake() -> None:
    """Bring a bundle in: import, list, show, inspect, approve, reject, release, withdraw, check."""


@intake.command("import")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Take in what is whole without volumes that are lost for good.")
@detach_option
@station_option
@json_option
def import_(root: Path | None, folders: tuple[Path, ...], partial: bool, detach: bool, as_json: bool) -> None:
    """Verify a bundle into quarantine. Give a folder for each medium that is here; the others may follow.

    Exit status 3: refused; 4: good so far, volumes still to come. The last line is the bundle's id.
    """
    from appliance.cli.shared.follow import run_job

    params = {"paths": [str(folder.absolute()) for folder in folders], "partial": partial}
    result = run_job(root, "import", params, detach=detach)
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    without = f", without volumes {', '.join(map(str, absent))}" if (absent := result["missing_volumes"]) else ""
    text = (
        f"{some(result['artifacts'], 'artifact')}, {megabytes(result['bytes'])}:"
        f" {result['state']}{without}\n{result['id']}"
    )
    show(result, as_json, lambda: text)


@intake.command("show")
@click.argument("name", metavar="ID")
@click.option("--report", "whole", is_flag=True, help="The report alone, with what is folded and every line of a list.")
@station_option
@json_option
def show_(root: Path | None, name: str, whole: bool, as_json: bool) -> None:
    """An entry with its inspection report and approvals."""
    document = call(root, lambda client: client.get(f"/v1/intake/{quote(name, safe='')}"))
    if whole:
        _report_of(document, name)
        show(document["report"], as_json, lambda: _report_text(document, most=0, folded=True))
        return
    show(document, as_json, lambda: _text(document))


@intake.command()
@click.argument("name", metavar="ID")
@click.option("--scan", is_flag=True, help="Scan its images for gates; the report and approvals stay.")
@detach_option
@station_option
@json_option
def inspect(root: Path | None, name: str, scan: bool, detach: bool, as_json: bool) -> None:
    """Inspect a quarantined bundle anew: after an inspector was fixed or added, or what is served has changed.

    The new report takes the place of the old one, and every approval by that one is void. The last line is the
    report's digest. With --scan the station makes an SBOM of each image of the bundle instead, for gates that are held
    against a release.
    """
    from appliance.cli.shared.follow import run_job

    result = run_job(root, "inspect", {"id": name, **({"scan": True} if scan else {})}, detach=detach)
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    if scan:
        said = f"{result['made']} of {some(result['images'], 'image')} scanned now"
        failed = [f"[!!] {one['image']}: {one['why']}" for one in result["failed"]]
        show(result, as_json, lambda: "\n".join(safe(line) for line in [*failed, said]))
        return
    lines = [f"{one['outcome']:<5} {one['inspector']}" for one in result["sections"]]
    show(result, as_json, lambda: "\n".join(safe(line) for line in [*lines, result["report_digest"]]))


@intake.command()
@station_option
@json_option
def check(root: Path | None, as_json: bool) -> None:
    """Compare what clients see of every bundle, where released tags point, what is blocked, and what the intake says of
    bundles, with the audit log. Exit status 3: something is shown that nobody released, or a released tag, a block, a
    bundle's state, its inspection report or the history of a channel was changed.
    """
    from bundles.errors import RefusedError

    document = call(root, lambda client: client.get("/v1/releases/check"))
    rows = [(one["bundle"], _place(one), one["kind"], one["digest"]) for one in document["items"]]
    cached = some(document["cached"], "repository", "repositories")
    good = "[ok] all that is shown was released" + f", but for {cached} that caches fill" * bool(document["cached"])
    more = f"\n{len(rows)} shown; there may be more: a thousand of a kind are listed" if len(rows) >= _LISTED else ""
    show(document, as_json, lambda: table(rows, ("BUNDLE", "REPOSITORY", "KIND", "DIGEST")) + more if rows else good)
    if not rows:
        return
    first = min(document["items"], key=lambda one: _SEVERE.get(one["kind"], 0))
    if first["kind"] == "block":
        raise RefusedError(
            "a block is not what the audit log says" if first["found"] != "missing" else "a block was removed by hand",
            thing=f"{first['digest']}, {first['found']}",
            remedy="find out who changed the database, then "
            + ("remove it: lockgate block remove DIGEST" if first["found"] == "unexplained" else "block it again"
               " (lockgate block add DIGEST --why TEXT); why is in: lockgate audit show"),
        )  # fmt: skip
    if first["kind"] == "tag":
        must = f"now {first['found'] or 'gone'}, by the audit log {first['digest'] or 'nowhere'}"
        if first["bundle"]:
            raise RefusedError(
                "a released tag no longer points where the release put it",
                thing=f"{_place(first)} of {first['bundle']}, {must}",
                remedy="find out who moved it (lockgate audit show), then release the bundle again after a withdrawal",
            )
        raise RefusedError(
            "a tag in a repository of released content stands where nobody put it",
            thing=f"{_place(first)}, {must}",
            remedy="find out who changed the database (lockgate audit show), and put it back from a backup",
        )
    if first["kind"] == "missing":
        raise RefusedError(
            "a released manifest or blob is not shown, and nobody took it away",
            thing=f"{first['repository']}@{first['digest']} of {first['bundle']}",
            remedy="find out who changed the database, then release the bundle again after a withdrawal",
        )
    if first["kind"] in ("claim", "facts", "record", "channel", "retirement"):
        raise _changed_row(first)
    if first["kind"] == "damaged":
        raise RefusedError(
            "a released manifest cannot be read, so that what it shows cannot be told",
            thing=f"{first['repository']}@{first['digest']} of {first['bundle']}",
            remedy="look for damage (lockgate scrub), then carry the bundle in again",
        )
    if first["kind"] == "cut":
        raise RefusedError(
            "events went from the audit log, and what was kept of them is missing or changed",
            thing=first["digest"] or "nothing was kept",
            remedy="put the station's folder `imported` back from a backup; see: lockgate audit verify",
        )
    if first["kind"] == "stray":
        raise RefusedError(
            f"{some(len(rows), 'file among the kept manifests is', 'files among the kept manifests are')} named"
            f" by no event", thing=first["digest"],
            remedy="find out who put them into the station's folder `imported`, and take them away",
        )  # fmt: skip
    if first["kind"] == "foreign":
        raise RefusedError(
            "the audit log holds lines that the station did not write", thing=first["digest"],
            remedy="keep a copy of the folder audit/, and see: lockgate audit verify",
        )  # fmt: skip
    if first["kind"] == "older-than-the-log":
        raise RefusedError(
            f"{some(len(rows), 'link says', 'links say')} that they are older than the audit log that is left",
            thing=f"{first['bundle']} in {first['repository']}",
            remedy="find the release in the export that was pruned; block what is not there: lockgate block add DIGEST",
        )
    if first["kind"] in ("entry", "kept", "state", "report"):
        what, thing, remedy = _bundle_words(first)
        raise RefusedError(what, thing=thing, remedy=remedy)
    raise RefusedError(
        "content is shown that nobody released",
        thing=f"{first['bundle'] or 'content of no bundle that was taken in'} in {first['repository']}",
        remedy="block it (lockgate block add DIGEST), keep the database as it is, find out who changed it",
    )  # fmt: skip


def _bundle_words(one: dict[str, str]) -> tuple[str, str, str]:
    """What is wrong with a bundle's record, which it is, and the remedy."""
    if one["kind"] == "state":
        return (
            "a bundle's state in the database is not what was decided",
            f"{one['bundle']} is {one['found']}, by the audit log {one['expected']}",
            "find out who changed the database, and put it back from a backup; hide what must not be pulled meanwhile:"
            " lockgate block add DIGEST",
        )
    if one["kind"] == "report":
        return (
            "a bundle's inspection report is not the one that was recorded",
            one["bundle"],
            "find out who changed the database; what waits is inspected anew: lockgate intake inspect ID",
        )
    return (
        "a bundle that came in is not in the station as it was signed",
        one["bundle"],
        "find out who changed the database or the folder `imported`, and put them back from a backup",
    )


_LISTED: Final = 1_000
"""Findings of a kind, and manifests that are still shown, that the control API lists at most."""

_SEVERE: Final = {"cut": 0, "manifest": 1, "blob": 1, "entry": 2, "kept": 2, "tag": 2, "missing": 2, "block": 2,
                  "claim": 2, "facts": 2, "record": 2, "channel": 2, "retirement": 2, "state": 2, "report": 2,
                  "foreign": 3, "older-than-the-log": 3, "damaged": 3, "stray": 4}  # fmt: skip
"""Which finding is told in words: the first of the lowest number."""


def _changed_row(first: dict[str, str]) -> Exception:
    """The refusal for a row that is not what the log or a manifest's bytes make it."""
    from bundles.errors import RefusedError

    if first["kind"] == "claim":
        return RefusedError(
            "the database's record of what a release stands for was changed",
            thing=f"{_place(first)} of {first['bundle']}, {first['found']}",
            remedy="find out who changed the database (lockgate audit show); withdraw the bundle, approve and release"
            " it again, which makes the record anew",
        )
    if first["kind"] == "record":
        return RefusedError(
            "the database's record is not what the audit log says",
            thing=f"{first['thing']}: {first['found']}",
            remedy="find out who changed the database (lockgate audit show), and put it back from a backup",
        )
    if first["kind"] == "retirement":
        return RefusedError(
            "a retirement is not what the audit log says", thing=f"{first['thing']}: {first['found']}",
            remedy="find out who changed the database, then "
            + ("take it back: lockgate repo retire REF --undo" if first["found"] == "unexplained" else "retire it"
               " again: lockgate repo retire REF --successor REF --after DATE"),
        )  # fmt: skip
    if first["kind"] == "channel":
        return RefusedError(
            "promotions of a channel are not what the station wrote",
            thing=f"{_place(first)}{' ' + first['digest'] if first['digest'] else ''}, {first['found']}",
            remedy="find out who changed the database, then promote what is to stand there: lockgate repo promote REF"
            " --to STAGE --tag TAG --anew",
        )
    said = "no row" if first["found"] == "missing" else f"another {first['found']}"
    return RefusedError(
        "the database does not say of a manifest what its bytes say",
        thing=f"{first['repository']}@{first['digest']}: {said}",
        remedy="find out who changed the database (lockgate audit show); set it right with: lockgate scrub",
    )


def _place(one: dict[str, str]) -> str:
    """Where a finding is: a repository, or a tag in it."""
    if one["kind"] in ("record", "retirement"):
        return one["thing"]
    return f"{one['repository']}:{one['tag']}" if one.get("tag") else one["repository"]


@intake.command()
@click.argument("name", metavar="ID")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A new file.")
@station_option
@json_option
def report(root: Path | None, name: str, out: Path, as_json: bool) -> None:
    """Write a bundle's inspection report to a file, for an officer who approves it on another machine.

    The last line is the file.
    """
    from bundles.io.files import write_atomic

    document = call(root, lambda client: client.get(f"/v1/intake/{quote(name, safe='')}"))
    write_atomic(out, _report_of(document, name), replace=False)
    fields = {"path": str(out), "report_digest": document["report_digest"]}
    show(fields, as_json, lambda: f"report {document['report_digest']}\n{safe(str(out))}")


@intake.command()
@click.argument("name", metavar="ID")
@click.option(
    "--only", multiple=True, metavar="REF",
    help="Only this artifact (repository, repository:tag or repository@digest) and what belongs to it; repeatable.",
)  # fmt: skip
@station_option
@json_option
def release(root: Path | None, name: str, only: tuple[str, ...], as_json: bool) -> None:
    """Make an approved bundle's content visible, all at once."""
    path = f"/v1/intake/{quote(name, safe='')}/release"
    document = call(root, lambda client: client.post(path, {"only": list(only)}))
    show(document, as_json, lambda: "\n".join(safe(reference) for reference in document["released"]))
    for line in lines_of(document["account_changes"]):
        click.echo(line, err=True)


@intake.command()
@click.argument("name", metavar="ID")
@click.option("--why", required=True, metavar="TEXT", help="The reason, which is kept.")
@station_option
@json_option
def withdraw(root: Path | None, name: str, why: str, as_json: bool) -> None:
    """Take a release back: its content is no longer visible, and its tags stand where they stood.

    The content stays in quarantine; approved anew, it can be released again. What another release, a push or a collect
    stands for stays shown, and is named: lockgate block add DIGEST hides it everywhere.
    """
    document = call(root, lambda client: client.post(f"/v1/intake/{quote(name, safe='')}/withdraw", {"why": why}))
    still = [f"still shown: {reference}" for reference in document["still_shown"]]
    if len(still) >= _LISTED:
        still.append(f"{len(still)} shown; there may be more: a thousand are listed")
    show(document, as_json, lambda: "\n".join(safe(line) for line in [*document["withdrawn"], *still]))


def _report_of(document: dict[str, Any], name: str) -> bytes:
    """The report's canonical bytes. Raises FailedError where there is none, or another than the station named."""
    from bundles.errors import FailedError
    from bundles.io import strict_json
    from bundles.oci.digest import Digest

    if document["report"] is None:
        raise FailedError("the bundle was not inspected yet", thing=name, remedy="import it to its end first")
    raw = strict_json.canonical(document["report"])
    if str(Digest.of(raw)) != document["report_digest"]:
        raise FailedError("the report that came is not the one the station named", thing=name, remedy="try again")
    return raw


def _report_text(document: dict[str, Any], *, most: int = 40, folded: bool = False) -> str:
    """The report as the console shows it."""
    from bundles.documents import report_page

    report = document["report"]
    shown = report_page.lines(report_page.page(report), most=most, folded=folded)
    return "\n".join(safe(line) for line in [*shown, *report_page.made(report, document["report_digest"])])


def _text(document: dict[str, Any]) -> str:
    lines = [
        f"{document['id']}  {document['state']}",
        f"  digest      {document['digest']}",
        f"  received    {document['received']} by {document['actor']}",
        f"  content     {some(document['artifacts'], 'artifact')}, {megabytes(document['bytes'])}",
        f"  approvals   {count(document)}",
    ]
    for entry in document["decisions"]:
        why = f": {entry['why']}" if entry["why"] else ""
        lines.append(f"    {entry['decision']} by {entry['owner']} ({entry['keyid']}) at {entry['created']}{why}")
    lines.append("  steps")
    lines += [
        f"    {step['at']} {step['state']} by {step['actor']}" + (f": {step['note']}" if step["note"] else "")
        for step in document["steps"]
    ]
    if document["missing_volumes"]:
        lines.append(f"  missing     volumes {', '.join(map(str, document['missing_volumes']))}")
    lines += [f"  {line}" for line in lines_of(document["account_changes"])]
    shown = "\n".join(safe(line) for line in lines)
    if document["report"] is None:
        return shown
    return f"{shown}\n\n{_report_text(document)}\nthe whole report: lockgate intake show {document['id']} --report"


for _command in (list_, approve, reject, stream):
    intake.add_command(_command)
