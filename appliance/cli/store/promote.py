"""`lockgate repo promote`, `rollback`, `history` and `channels`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import call, json_option, show, station_option
from appliance.cli.shared.pages import limit_option, show_list
from bundles.io.display import safe, some


@click.command()
@click.argument("reference", metavar="REF")
@click.option("--to", "stage", required=True, metavar="STAGE", help="A stage that the policy names.")
@click.option("--tag", default="", metavar="TAG", help="The tag there, where it is another one, or REF names a digest.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the promotion.")
@click.option("--anew", is_flag=True, help="The tag's history begins with it: where rows of before are damaged.")
@station_option
@json_option
def promote(root: Path | None, reference: str, stage: str, tag: str, reason: str, anew: bool, as_json: bool) -> None:
    """Promote an artifact to a stage: the same digest, with its evidence, below the stage's prefix.

    It must pass the rules and gates of the policy as content of the stage, and everything that an index names with it.
    The station signs what it found (a verification summary, by its key `verdict`). Takes the right to pull where it is
    and to push in the stage, and with --anew to delete there. The last line is the new reference.
    """
    body = {"source": reference, "to": stage, "tag": tag, "reason": reason} | ({"anew": True} if anew else {})
    _show(call(root, lambda client: client.post("/v1/promotions", body)), as_json)


@click.command()
@click.argument("channel", metavar="REPO[:TAG]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the rollback.")
@station_option
@json_option
def rollback(root: Path | None, channel: str, reason: str, as_json: bool) -> None:
    """Take a tag of a stage back to what was promoted to it before. Once more goes back further.

    What it goes back to must pass the policy as it is now. Takes the right to delete there.
    """
    body = {"channel": channel, "reason": reason}
    _show(call(root, lambda client: client.post("/v1/rollbacks", body)), as_json)


@click.command()
@click.argument("channel", metavar="CHANNEL")
@click.option("--after", default="", help="Go on behind this number.")
@limit_option()
@station_option
@json_option
def history(root: Path | None, channel: str, after: str, limit: int | None, as_json: bool) -> None:
    """What was promoted to a channel and rolled back, by whom and why, the newest first.

    CHANNEL is REPO, REPO:TAG, or a prefix such as a stage's. SEAL says whether a row is what the station wrote: good,
    damaged, or none where an earlier version wrote it.
    """

    def row(entry: dict[str, Any]) -> tuple[object, ...]:
        what = entry["at"], entry["act"], entry["reference"], entry["digest"], entry["actor"]
        return *what, entry["seal"], entry["reason"] or "-"

    head = ("AT", "ACT", "TAG", "DIGEST", "WHO", "SEAL", "WHY")
    none = f"nothing was promoted to {channel}; see: lockgate repo channels"
    show_list(root, "/v1/promotions", row, head, limit=limit, as_json=as_json, none=none, after=after, channel=channel)


@click.command("channels")
@click.argument("under", metavar="[CHANNEL]", required=False, default="")
@click.option("--after", default="", help="Go on behind this reference.")
@limit_option()
@station_option
@json_option
def channels(root: Path | None, under: str, after: str, limit: int | None, as_json: bool) -> None:
    """What stands in each channel, since when, who put it there, and whether it would pass the policy as it is now.

    CHANNEL is REPO, or a prefix such as a stage's; without it all of them.
    """

    def row(entry: dict[str, Any]) -> tuple[object, ...]:
        damaged = "history damaged: lockgate intake check" if entry["seal"] == "damaged" else ""
        return (
            entry["reference"], entry["digest"] or "(gone)", entry["since"] or "-", entry["actor"] or "-",
            entry["verdict"], damaged or entry["why"] or "-",
        )  # fmt: skip

    head = ("CHANNEL", "DIGEST", "SINCE", "WHO", "GATE", "WHY")
    named = {"under": under} if under else {}
    none = f"nothing was promoted to {under}; see: lockgate repo channels" if under else "nothing was promoted here"
    show_list(root, "/v1/channels", row, head, limit=limit, as_json=as_json, none=none, after=after, **named)


def _show(document: dict[str, Any], as_json: bool) -> None:
    lines = [
        f"[ok] gate {one['gate']} {one['rule']} {one['platform'] or '-'} {one['image']} {one['why']}"
        + (f" (by {', '.join(one['exceptions'])})" if one["exceptions"] else "")
        for one in document["gates"]
        if one["met"]
    ]
    lines += [
        f"[!!] gate {one['gate']} {one['rule']} {one['platform'] or '-'} {one['image']} {one['why']} (it warns)"
        for one in document["gates"]
        if not one["met"]
    ]
    lines += [f"{one} refers to it, is no evidence, and stayed behind" for one in document["left"]]
    lines += [f"it stood at {document['before']}"] if document["before"] else []
    new = some(document["linked"], "manifest or blob", "manifests and blobs")
    lines.append(f"{document['digest']}, {new} new there")
    if document["summary"]:
        lines.append(f"summary {document['summary']}, signed by key {document['keyid']}")
    show(document, as_json, lambda: "\n".join([*map(safe, lines), document["reference"]]))
