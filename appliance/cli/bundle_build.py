"""`lockgate bundle build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.context import (
    json_option,
    load_key,
    megabytes,
    passphrase_option,
    show,
    station_option,
    station_root,
)


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option("--to", required=True, metavar="SITE", help="The inside station's site.")
@click.option(
    "--out",
    required=True,
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A medium; further ones are filled in order.",
)
@click.option("--volume", default="fat32", show_default=True, metavar="PROFILE|SIZE", help="The largest volume file.")
@click.option(
    "--since", default="none", show_default=True, metavar="last|RECEIPT|none", help="What to build a delta on."
)
@click.option("--sign-with", required=True, metavar="KEY", help="A name in the key folder, or a PEM's path.")
@click.option("--cosigner", "cosigners", multiple=True, metavar="KEYID", help="Who else is to sign; see: bundle sign.")
@click.option("--purpose", default="", help="What it is for.")
@click.option("--authorisation", default="", help="The reference of whoever allowed it.")
@click.option("--classification", default="", help="Its classification label.")
@click.option("--not-after", metavar="TIME", help="YYYY-MM-DDTHH:MM:SSZ: no import after this (default: a year).")
@passphrase_option
@station_option
@json_option
def build(
    root: Path | None,
    references: tuple[str, ...],
    out: tuple[Path, ...],
    passphrase_fd: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Build a signed bundle of what REF names in the station's registry, and write it to its media.

    The key is used in this process and never reaches the station. The last line is the bundle's folder.
    """
    from appliance.cli.follow import run_job
    from appliance.control.public_keys import find_public_key
    from appliance.paths import StationPaths
    from bundles.media import capacity
    from bundles.oci.reference import Reference, check_site
    from bundles.signing.keys import check_keyid
    from bundles.times import check_time

    folder = station_root(root)
    check_site(options["to"])
    capacity(options["volume"])
    for text in references:
        Reference.parse(text)
    for keyid in options["cosigners"]:
        check_keyid(keyid)
    if options["not_after"]:
        check_time(options["not_after"], "--not-after")
    key = load_key(folder, options.pop("sign_with"), passphrase_fd)
    find_public_key(StationPaths(folder), key.public.keyid)
    params = {
        **options,
        "cosigners": list(options["cosigners"]),
        "references": list(references),
        "out": [str(path.absolute()) for path in out],
        "sign_with": key.public.keyid,
    }
    result = run_job(root, "build", params, key=lambda: key)
    show(result, as_json, lambda: _text(result))


def _text(result: dict[str, Any]) -> str:
    rate = result["bytes"] / max(result["seconds"], 0.001)
    lines = [
        f"{result['id']}: {result['volumes']} volumes, {megabytes(result['bytes'])},"
        f" written and compared in {result['seconds']:.1f} s ({megabytes(rate)}/s)",
        f"signed by {', '.join(result['signed_by'])}",
    ]
    if result["missing_signers"]:
        lines.append(f"still to sign: {', '.join(result['missing_signers'])} (lockgate bundle sign)")
    lines += [f"medium: {path}" for path in result["media"][1:]]
    lines.append("safe to remove")
    return "\n".join([*lines, result["path"]])
