"""`lockgate intake stream`: where each stream stands in the ledger, and its floor set by two people."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import (
    call,
    json_option,
    load_key,
    passphrase_option,
    show,
    station_option,
    station_root,
    table,
)
from appliance.cli.shared.near import meant
from appliance.cli.shared.pages import whole_list
from bundles.io.display import safe


@click.group()
def stream() -> None:
    """The ledger's streams: show, reset."""


@stream.command("show")
@click.argument("name", metavar="[STREAM]", required=False, default="")
@station_option
@json_option
def show_stream(root: Path | None, name: str, as_json: bool) -> None:
    """What came when, on one stream or on all, and which streams a restore shut."""
    from bundles.errors import NotFoundError

    document = whole_list(root, "/v1/ledger", stream=name)
    streams = call(root, lambda client: client.get("/v1/streams"))["items"]
    document["shut"] = {one["stream"]: one["shut"] for one in streams if one["shut"] and name in ("", one["stream"])}
    if name and not document["items"] and not document["shut"]:
        remedy = meant(name, [one["stream"] for one in streams], "see: lockgate intake stream show")
        raise NotFoundError("nothing came on this stream", thing=name, remedy=remedy)
    shut = "".join(f"\n[!!] {safe(why)}" for why in document["shut"].values())
    rows = [
        (
            entry["stream"],
            entry["sequence"],
            entry["state"],
            entry["created"],
            entry["actor"],
            entry["digest"] or entry["why"],
        )
        for entry in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("STREAM", "SEQUENCE", "STATE", "WHEN", "WHO", "DIGEST")) + shut)


@stream.command()
@click.argument("name", metavar="STREAM")
@click.option("--sequence", type=click.IntRange(0), help="The floor: the next bundle is the one after it.")
@click.option("--digest", default="", metavar="DIGEST", help="The digest of that bundle, which the next one follows.")
@click.option("--receipt", type=click.Path(path_type=Path), metavar="FILE", help="Take both from this site's receipt.")
@click.option("--clock", "floor", default="", metavar="TIME", help="Instead: no bundle so far was made after TIME.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, which is kept in the ledger.")
@click.option("--key", "key_name", type=KEY, metavar="KEY", help="Sign it: a name in the key folder, or a path.")
@passphrase_option
@station_option
@json_option
def reset(
    root: Path | None,
    name: str,
    sequence: int | None,
    digest: str,
    receipt: Path | None,
    floor: str,
    why: str,
    key_name: str | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Set a stream's floor by hand: after bundles were lost, after a restore, or where a clock was wrong.

    Two people say the same, each with their own release key (--key); the second one's word does it. On an open
    station one person suffices, without a key.
    """
    from appliance.cli.intake.receipt import head_in
    from bundles.errors import UsageError
    from bundles.io.times import check_time

    if receipt is not None:
        sequence, digest = head_in(station_root(root), receipt, name)
    if floor:
        check_time(floor, "--clock")
    if (sequence is None) == (not floor):
        raise UsageError("a reset sets one floor", thing=name, remedy="give --sequence, --receipt or --clock")
    said = {"sequence": sequence or 0, "digest": digest, "floor": floor, "why": why}
    document = _say(root, name, said, key_name, passphrase_fd)

    def text() -> str:
        if document["people"] < document["needed"]:
            more = "a second person now gives the same command with their own key and log-in"
            lines = [
                f"[!!] {one['owner']} said something else, which does not count for this: {_floor(one)}; the two must"
                " say the same"
                for one in document["differing"]
            ]
            return "\n".join(
                map(safe, [*lines, f"{name}: {document['people']} of {document['needed']} people; {more}"])
            )
        return (
            f"{name} continues after number {sequence}"
            if not floor
            else f"no bundle so far counts as made after {floor}"
        )

    show(document, as_json, text)


def _floor(said: dict[str, Any]) -> str:
    """What a person said of a floor, as the options that say it."""
    if said["floor"]:
        return f"--clock {said['floor']}"
    return f"--sequence {said['sequence']}" + (f" --digest {said['digest']}" if said["digest"] else "")


def _say(
    root: Path | None, name: str, said: dict[str, Any], key_name: str | None, passphrase_fd: int | None
) -> dict[str, Any]:
    path = f"/v1/streams/{quote(name, safe='')}"
    if key_name is None:
        return call(root, lambda client: client.post(f"{path}/reset", said))
    key = load_key(station_root(root), key_name, passphrase_fd)
    keyid = key.public.keyid
    answer = call(root, lambda client: client.get(f"{path}/override", keyid=keyid, **said))
    signature = base64.b64encode(key.sign(base64.b64decode(answer["payload"]))).decode()
    body = {"payload": answer["payload"], "keyid": keyid, "signature": signature}
    return call(root, lambda client: client.post(f"{path}/override", body))
