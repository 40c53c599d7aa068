"""`lockgate job`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.completion import JOB
from appliance.cli.shared.context import call, json_option, megabytes, show, station_option, table
from appliance.cli.shared.pages import limit_option, whole_list
from bundles.io.display import safe


@click.group()
def job() -> None:
    """Jobs: list, show, watch, log, resume, cancel."""


@job.command("list")
@limit_option(50)
@station_option
@json_option
def list_(root: Path | None, limit: int, as_json: bool) -> None:
    """The newest jobs."""
    document = whole_list(root, "/v1/jobs", limit)
    rows = [
        (entry["id"], entry["kind"], entry["state"], _progress(entry), entry["actor"]) for entry in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("ID", "KIND", "STATE", "PROGRESS", "WHO")))


@job.command("show")
@click.argument("job_id", metavar="ID", type=JOB)
@station_option
@json_option
def show_(root: Path | None, job_id: str, as_json: bool) -> None:
    """A job as it stands."""
    document = call(root, lambda client: client.job(job_id))
    show(document, as_json, lambda: table([(key, document[key]) for key in sorted(document)], ("FIELD", "VALUE")))


@job.command()
@click.argument("job_id", metavar="ID", type=JOB)
@station_option
@json_option
def watch(root: Path | None, job_id: str, as_json: bool) -> None:
    """Follow a job until it ends. Ctrl-C stops looking; the job goes on."""
    from appliance.cli.shared.follow import watch_job

    result = watch_job(root, job_id)
    show(result, as_json, lambda: table(sorted(result.items()), ("FIELD", "VALUE")))


@job.command()
@click.argument("job_id", metavar="ID", type=JOB)
@station_option
@json_option
def log(root: Path | None, job_id: str, as_json: bool) -> None:
    """A job's log."""

    async def ask(client: Any) -> dict[str, Any]:
        texts: list[str] = []
        offset = 0
        while True:
            part = await client.get(f"/v1/jobs/{quote(job_id, safe='')}/log", after=offset)
            if part["offset"] == offset:
                return {"text": "".join(texts), "offset": offset}
            offset = part["offset"]
            if as_json:
                texts.append(part["text"])
            else:
                click.echo("\n".join(safe(line) for line in part["text"].splitlines()))

    document = call(root, ask)
    if as_json:
        show(document, as_json, str)


@job.command()
@click.argument("job_id", metavar="ID", type=JOB)
@station_option
@json_option
def resume(root: Path | None, job_id: str, as_json: bool) -> None:
    """Hand a job that waits for it the folder or file over again, which only you can open. It then goes on."""
    document = call(root, lambda client: client.resume(job_id))
    show(document, as_json, lambda: f"{document['id']} is {document['state']}")


@job.command()
@click.argument("job_id", metavar="ID", type=JOB)
@station_option
@json_option
def cancel(root: Path | None, job_id: str, as_json: bool) -> None:
    """Cancel a job. Nothing of it becomes visible."""
    document = call(root, lambda client: client.cancel(job_id))
    remedy = (document["error"] or {}).get("remedy", "")  # a build's names the numbers that it leaves behind
    said = f"{document['id']} is {document['state']}" + (f"\n{safe(remedy)}" if remedy else "")
    show(document, as_json, lambda: said)


def _progress(entry: dict[str, Any]) -> str:
    if entry["state"] == "waiting":
        return str(entry["phase"])
    if not entry["total"]:
        return ""
    return f"{entry['phase']} {megabytes(entry['done'])} of {megabytes(entry['total'])}"
