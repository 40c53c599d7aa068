"""`lockgate bundle build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import KEY
from appliance.cli.context import (
    call,
    json_option,
    load_key,
    megabytes,
    passphrase_option,
    show,
    station_option,
    station_root,
)
from bundles.display import safe, some


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
    "--since",
    default="none",
    show_default=True,
    metavar="last|RECEIPT|none",
    help="What to build a delta on.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would carry, and where to; write and sign nothing.")
@click.option("--sign-with", type=KEY, metavar="KEY", help="A name in the key folder, or a PEM's path.")
@click.option("--cosigner", "cosigners", multiple=True, metavar="KEYID", help="Who else is to sign; see: bundle sign.")
@click.option("--require-sbom", is_flag=True, help="Fail where an image's SBOM cannot be made; else it is named.")
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
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Build a signed bundle of what REF names in the station's registry, and write it to its media.

    The key is used in this process and never reaches the station. The last line is the bundle's folder.
    """
    from appliance.cli.follow import run_job
    from appliance.control.public_keys import find_public_key
    from appliance.paths import StationPaths
    from bundles.errors import UsageError
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
    if options["since"] not in ("last", "none"):
        told = Path(options["since"])
        if not told.exists():
            raise UsageError(
                "--since is neither last nor none, and no file", thing=str(told),
                remedy="say last or none, or name the receipt or want-list that came back",
            )  # fmt: skip
        options["since"] = str(told.absolute())
    if dry_run:
        _dry_run(root, references, out, options, as_json)
        return
    if options["sign_with"] is None:
        raise UsageError("no key was named", remedy="say who signs with --sign-with KEY")
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
    show(result, as_json, lambda: built(result))


def _dry_run(
    root: Path | None, references: tuple[str, ...], out: tuple[Path, ...], options: dict[str, Any], as_json: bool
) -> None:
    """Show the plan."""
    asked = {name: options[name] for name in ("to", "volume", "since")}
    media = [{"path": str(path.absolute())} for path in out]
    plan = call(root, lambda client: client.plan({**asked, "references": list(references), "media": media}))
    show(plan, as_json, lambda: _plan_text(plan))


def _plan_text(plan: dict[str, Any]) -> str:
    space = plan["space"]
    lines = [
        f"{some(len(plan['artifacts']), 'artifact')}, {some(plan['blobs'], 'blob')}, {megabytes(plan['bytes'])},"
        f" {some(len(plan['volumes']), 'volume')}",
        f"stands on {plan['base']}: {some(plan['requires'], 'blob')}, {megabytes(plan['required_bytes'])} are"
        f" not carried",
        *(
            f"medium {number}: {medium['path']}, {megabytes(medium['size'])} of {megabytes(medium['free'])} free"
            for number, medium in enumerate(plan["media"], 1)
        ),
        f"at its peak it takes {megabytes(space['outside'])} here, {megabytes(space['media'])} on the media"
        f" and {megabytes(space['inside'])} inside",
    ]
    if plan["sboms_to_make"]:
        lines.append(f"{some(plan['sboms_to_make'], 'SBOM is', 'SBOMs are')} still to be made, and come on top")
    lines += [
        f"[!!] not carried, a foreign layer that is not held here: {safe(one['artifact'])}: {safe(one['layer'])}"
        for one in plan["not_carried"]
    ]
    lines += [f"[!!] {safe(note)}" for note in plan["notes"]]
    return "\n".join([*lines, "nothing was written"])


def _without_sbom(told: dict[str, Any]) -> list[str]:
    """The images that have no SBOM, each with its layer and syft's reason where they are known."""
    why = [str(one) for one in told.get("undescribed", ())]
    bare = [str(name) for name in told.get("without_sbom", ())]
    return [*why, *(name for name in bare if not any(one.startswith(f"{name}:") for one in why))]


def built(result: dict[str, Any]) -> str:
    """What was built, in words; the bundle's folder alone on the last line."""
    rate = result["bytes"] / max(result["seconds"], 0.001)
    lines = [
        f"{result['id']}: {some(result['volumes'], 'volume')}, {megabytes(result['bytes'])},"
        f" written and compared in {result['seconds']:.1f} s ({megabytes(rate)}/s)",
        f"signed by {', '.join(result['signed_by'])}",
    ]
    if result["missing_signers"]:
        lines.append(f"still to sign: {', '.join(result['missing_signers'])} (lockgate bundle sign)")
    lines += [f"[!!] no SBOM: {safe(name)}" for name in _without_sbom(result)]
    lines += [
        f"[!!] not carried, a foreign layer that is not held here: {safe(one)}" for one in result.get("not_carried", ())
    ]
    lines += [f"[!!] {safe(note)}" for note in result.get("notes", ())]
    lines += [f"medium: {path}" for path in result["media"][1:]]
    lines.append("safe to remove")
    return "\n".join([*lines, result["path"]])
