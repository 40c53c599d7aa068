"""`lockgate bundle recut`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.bundle.build import check_folders, removable
from appliance.cli.shared.context import json_option, megabytes, show, station_option
from bundles.io.display import some


@click.command()
@click.argument("name", metavar="ID")
@click.option(
    "--medium", "media", required=True, multiple=True, type=click.IntRange(1), metavar="N", help="Which medium of it."
)
@click.option(
    "--out", required=True, multiple=True, metavar="DIR", type=click.Path(path_type=Path),
    help="The folder it goes to, which must be there; the first for the first --medium.",
)  # fmt: skip
@station_option
@json_option
def recut(root: Path | None, name: str, media: tuple[int, ...], out: tuple[Path, ...], as_json: bool) -> None:
    """Cut a medium of a bundle again, byte for byte, where it failed on its way. Nothing is signed anew.

    The last line is the bundle's folder. A co-signer's signature is copied from another medium, or made again.
    """
    from appliance.cli.shared.follow import run_job

    check_folders(out)
    params = {"id": name, "media": list(media), "out": [str(path.absolute()) for path in out]}
    result = run_job(root, "recut", params)
    rate = result["bytes"] / max(result["seconds"], 0.001)
    lines = [
        f"{result['id']}: {some(result['volumes'], 'volume')}, {megabytes(result['bytes'])}, the same as before,"
        f" written and compared in {result['seconds']:.1f} s ({megabytes(rate)}/s)",
        *([f"still to sign: {', '.join(result['missing_signers'])}"] if result["missing_signers"] else []),
        *removable(result),
        result["path"],
    ]
    show(result, as_json, lambda: "\n".join(lines))
