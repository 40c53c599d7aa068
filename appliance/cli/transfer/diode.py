"""`lockgate diode`: bundles over one-way links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import DIODE
from appliance.cli.shared.context import call, detach_option, json_option, megabytes, show, station_option, table
from bundles.io.display import safe, some


@click.group()
def diode() -> None:
    """Carry bundles over one-way links: list, send, receive. They are named in config.toml."""


@diode.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The diodes, and what is on its way in over them: what is missing, and the code to have it sent again."""
    document = call(root, lambda client: client.get("/v1/diodes"))
    show(document, as_json, lambda: _listed(document["items"]))


def _listed(diodes: list[dict[str, Any]]) -> str:
    rows = [
        (one["name"], one["address"], f"{one['rate'] / 1e6:g} MB/s" if not one["drop_folder"] else "-",
         one["drop_folder"] or "-", "yes" if one["key"] else "no", one["job"] or "-", one["at"] or "-")
        for one in diodes
    ]  # fmt: skip
    lines = [table(rows, ("DIODE", "ADDRESS", "RATE", "FOLDER", "KEY", "JOB", "AT"))] if rows else []
    for one in diodes:
        for bundle in one["arriving"]:
            lines.append(
                f"{one['name']}: {bundle['id']}: {bundle['missing']} of {some(bundle['blocks'], 'block')} missing,"
                f" code {bundle['code']}"
            )
        counts = one["datagrams"]
        if any(counts.values()):
            told = ", ".join(f"{count} {how}" for how, count in counts.items())
            lines.append(f"{one['name']}: datagrams: {told}")
    return "\n".join(safe(line) for text in lines for line in text.split("\n")) or "no diode is named in config.toml"


@diode.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--over", required=True, type=DIODE, metavar="NAME", help="The diode.")
@click.option("--repeat", type=int, metavar="N", help="Rounds; each sends other symbols than those before it.")
@click.option("--rate", type=int, metavar="BYTES", help="Bytes a second.")
@click.option(
    "--missing", default="", metavar="CODE", help="Only these blocks: the code that the receiving side shows."
)
@detach_option
@station_option
@json_option
def send(
    root: Path | None, folders: tuple[Path, ...], over: str, repeat: int | None, rate: int | None, missing: str,
    detach: bool, as_json: bool,
) -> None:  # fmt: skip
    """Send bundles over a one-way link: what is signed of each DIR, and nothing else.

    Nothing comes back: --missing takes the code by which the receiving side says what it lacks.
    """
    from appliance.cli.shared.follow import run_job

    params = {
        "paths": [str(folder.absolute()) for folder in folders], "over": over, "repeat": repeat, "rate": rate,
        "missing": missing,
    }  # fmt: skip
    result = run_job(root, "diode-send", params, detach=detach)
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    show(result, as_json, lambda: _sent(result))


def _sent(result: dict[str, Any]) -> str:
    lines = []
    for one in result["bundles"]:
        part = "" if one["sent_blocks"] == one["blocks"] else f", {one['sent_blocks']} of them"
        lines.append(f"{one['id']}: {megabytes(one['bytes'])} in {some(one['blocks'], 'block')}{part}")
        if one["missing_signers"]:
            lines.append(f"still to sign: {', '.join(one['missing_signers'])}")
    lines.append(f"sent in {some(result['rounds'], 'round')}; whether it came, the receiving side alone can say")
    return "\n".join(safe(line) for line in lines)


@diode.command()
@click.argument("name", type=DIODE, metavar="NAME")
@click.option("--once", is_flag=True, help="End once a session came and is over.")
@detach_option
@station_option
@json_option
def receive(root: Path | None, name: str, once: bool, detach: bool, as_json: bool) -> None:
    """Receive from a one-way link until it is cancelled, and deliver whole bundles into its drop folder.

    The job goes on after a restart of the station. Exit status with --once: 4 where blocks have not come. The last
    line is the bundle's folder.
    """
    from appliance.cli.shared.follow import run_job

    result = run_job(
        root, "diode-receive", {"from": name, "once": once}, detach=detach,
        partly=lambda part: show(part, as_json, lambda: _received(part)),
    )  # fmt: skip
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    show(result, as_json, lambda: _received(result))


def _received(result: dict[str, Any]) -> str:
    lines = [
        f"{one['id']}: {one['missing']} of {some(one['blocks'], 'block')} missing, code {one['code']}"
        for one in result["missing"]
    ]
    lines += [f"{one['id']}: {megabytes(one['bytes'])}, every block is the signed one" for one in result["delivered"]]
    lines += [one["path"] for one in result["delivered"]]
    return "\n".join(safe(line) for line in lines) or "nothing new came"
