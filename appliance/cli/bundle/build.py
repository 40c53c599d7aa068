"""`lockgate bundle build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import KEY, SITE
from appliance.cli.shared.context import (
    call,
    json_option,
    key_file,
    load_key,
    megabytes,
    passphrase_option,
    show,
    station_option,
    station_root,
    table,
)
from appliance.handles.path_params import MISSING
from appliance.reference_lists import names_in
from bundles.io.display import safe, some


@click.command()
@click.argument("references", metavar="REF...", nargs=-1)
@click.option("-f", "--file", "lists", multiple=True, metavar="FILE", help="A list of REFs, or a collection.toml.")
@click.option("--changed", is_flag=True, help="Only tags whose digest is not the one that the site was sent last.")
@click.option("--to", required=True, type=SITE, metavar="SITE", help="The inside station's site.")
@click.option("--new-site", is_flag=True, help="The site may be one that nothing was built for yet; it is listed then.")
@click.option(
    "--out",
    required=True,
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A medium: a folder that is there; further ones are filled in order.",
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
    lists: tuple[str, ...],
    out: tuple[Path, ...],
    passphrase_fd: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Build a signed bundle of what REF names in the station's registry, and write it to its media.

    REF is REPO:TAG, REPO@DIGEST, or REPO for all its tags; in names and tags * stands for any part of one component, **
    for one component or more: team/**, team/*:1.*. With --changed and no REF every repository is meant; where nothing
    has changed nothing is built, and the status is 0. A bundle that was signed and is not on its media is finished
    first, by its own command. The key is used in this process and never reaches the station. The last line is the
    bundle's folder.
    """
    from appliance.artifact_choice import Wish
    from appliance.cli.shared.follow import run_job
    from appliance.known_keys import check_cosigners, find_public_key
    from appliance.paths import StationPaths
    from bundles.errors import UsageError
    from bundles.format.media import capacity
    from bundles.io.times import check_time
    from bundles.oci.reference import check_site
    from bundles.signing.keys import check_keyid
    from bundles.signing.pkcs11_uri import is_uri

    folder = station_root(root)
    check_site(options["to"])
    capacity(options["volume"])
    references = (*references, *(name for one in lists for name in names_in(one)))
    if options["changed"] and not references:
        references = ("**",)
    if not references:
        raise UsageError("no reference was given", remedy="name a REPO:TAG, a list with -f, or --changed")
    for text in references:
        Wish.parse(text)
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
    # Where there is no such key, that is told first.
    if is_uri(options["sign_with"]) or key_file(folder, options["sign_with"]).is_file():
        _check_destination(root, options["to"], new=options["new_site"])
        check_folders(out)
        check_cosigners(StationPaths(folder), options["cosigners"])
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
    if result.get("nothing") and not as_json:
        for line in (result["nothing"], *numbers(result)):
            click.echo(safe(line), err=True)
        return
    show(result, as_json, lambda: built(result))


def check_folders(out: tuple[Path, ...]) -> None:
    """Whether each medium is a folder that is there, none of them twice: asked before a passphrase is typed.

    Raises UsageError, FailedError.
    """
    from bundles.errors import FailedError, UsageError

    seen: dict[tuple[int, int], Path] = {}
    for path in out:
        try:
            status = path.stat()
        except FileNotFoundError:
            raise FailedError("the medium's folder is not there", thing=str(path.absolute()), remedy=MISSING) from None
        except OSError:
            continue  # the station's answer says what is wrong with it
        first = seen.setdefault((status.st_dev, status.st_ino), path)
        if first is not path:
            both = str(path) if str(first) == str(path) else f"{first} and {path}"
            raise UsageError("a medium was given twice", thing=both, remedy="name each --out once")


def _check_destination(root: Path | None, site: str, *, new: bool) -> None:
    """Ask the station whether it knows the destination, before a passphrase is typed. Raises UsageError."""
    call(root, lambda client: client.get("/v1/destination", to=site, new="yes" if new else "no"))


def on_disk(disk: str) -> str:
    """What is said of a medium that is a folder of a disk."""
    return f"no mount point: a folder of this disk (mounted at {safe(disk)})"


def removable(result: dict[str, Any]) -> list[str]:
    """The lines that say which of the media may be taken out, and which are but folders of a disk."""
    disks = {one["path"]: one["disk"] for one in result.get("on_disk", ())}
    media = [path for folder in result["media"] if (path := str(Path(folder).parent)) not in disks]
    lines = [f"[!!] {safe(path)}: {on_disk(disk)}" for path, disk in disks.items()]
    if not disks:
        return ["safe to remove"]
    return [*lines, *([f"safe to remove: {', '.join(map(safe, media))}"] if media else [])]


def _dry_run(
    root: Path | None, references: tuple[str, ...], out: tuple[Path, ...], options: dict[str, Any], as_json: bool
) -> None:
    """Show the plan."""
    asked = {name: options[name] for name in ("to", "volume", "since", "new_site", "changed")}
    media = [{"path": str(path.absolute())} for path in out]
    plan = call(root, lambda client: client.plan({**asked, "references": list(references), "media": media}))
    show(plan, as_json, lambda: _plan_text(plan, changed=options["changed"]))


def _chosen_lines(plan: dict[str, Any], *, changed: bool) -> list[str]:
    """What the references stand for, a line each: the digest, and where the tag stood in the last bundle."""
    digests = {f"{one['repository']}:{tag}": one["digest"] for one in plan["artifacts"] for tag in one["tags"]}
    rows = []
    for one in plan["chosen"]:
        name, before = one["reference"], one["before"]
        digest = name.partition("@")[2] or digests.get(name, "")
        rows.append((name, digest, f"was {before}" if before else "new" if changed else ""))
    return table(rows, ("REFERENCE", "DIGEST", "")).splitlines()


def _plan_text(plan: dict[str, Any], *, changed: bool) -> str:
    space = plan["space"]
    if plan.get("nothing"):
        return "\n".join([plan["nothing"], *(f"[!!] {safe(text)}" for text in plan["unfinished"])])
    lines = [
        *_chosen_lines(plan, changed=changed),
        f"{some(len(plan['artifacts']), 'artifact')}, {some(plan['blobs'], 'blob')}, {megabytes(plan['bytes'])},"
        f" {some(len(plan['volumes']), 'volume')}",
        f"stands on {plan['base']}: {some(plan['requires'], 'blob')}, {megabytes(plan['required_bytes'])} are"
        f" not carried",
        *(
            f"medium {number}: {safe(medium['path'])}, {megabytes(medium['size'])} of {megabytes(medium['free'])} free"
            + (f"; {on_disk(medium['disk'])}" if medium["disk"] else "")
            for number, medium in enumerate(plan["media"], 1)
        ),
        f"at its peak it takes {megabytes(space['outside'])} here, {megabytes(space['media'])} on the media"
        f" and {megabytes(space['inside'])} inside",
    ]
    lines += [f"[!!] {safe(text)}" for text in plan["unfinished"]]
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
    return "\n".join([*lines, *removable(result), *numbers(result), result["path"]])


def numbers(result: dict[str, Any]) -> list[str]:
    """What a build says of its stream's numbers at its end: what it finished, what it did not carry, what is void, and
    what is still not on its media."""
    lines = []
    if result.get("finished"):
        lines.append(f"finished {result['id']}, which was signed before; nothing was built anew")
    moved = result.get("moved", ())
    lines += [f"[!!] not in it: {safe(name)} has changed since; the same command again carries it" for name in moved]
    if result.get("voided"):
        lines.append(f"void, and said so to the inside: {', '.join(map(str, result['voided']))}")
    return lines + [f"[!!] {safe(one['text'])}" for one in result.get("unfinished", ())]
