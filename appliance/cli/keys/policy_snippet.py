"""`lockgate policy snippet`: the policy for images as other programs' rules."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.keys.registry_address import host_option, registry_address
from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.io.display import safe


@click.command()
@click.argument("program", type=click.Choice(["containers", "kyverno", "ratify"]))
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Of this policy.toml, in place of the policy in force.",
)
@host_option
@click.option(
    "--signed-as",
    metavar="REGISTRY",
    default="",
    help="How signatures name the registry, for containers. Without it, as lockgate sign does.",
)
@folder_option
@json_option
def snippet(
    root: Path | None, program: str, file: Path | None, host: str | None, signed_as: str, as_json: bool
) -> None:
    """Print the policy for images as rules of another program, so that nodes verify what they pull, too.

    containers: a shell script for podman, CRI-O, buildah and skopeo. kyverno, ratify: objects for kubectl. What the
    program cannot ask for is named on standard error, a line each, and stands in --json as `unsaid`.
    """
    from appliance import clock
    from appliance.access.policy_snippets import PROGRAMS, SIGNED_HERE, check_signed_as, pinned, rules_with
    from appliance.image_signatures.applied import load_applied
    from appliance.paths import StationPaths
    from appliance.settings.image_policy import read_rules
    from bundles.errors import UsageError
    from bundles.signing.trust import TrustFolder

    paths = StationPaths(station_root(root))
    signed_as = check_signed_as(signed_as) if signed_as else SIGNED_HERE
    if file is not None:
        asked = read_rules(file).image
    else:
        applied = load_applied(paths)
        asked = [] if applied is None else applied.policy.image
    reach = registry_address(paths, host)
    rules = rules_with(asked, pinned(TrustFolder.load(paths.trust), clock.now()))
    if not rules:
        raise UsageError(
            "no rule asks for signatures of images", thing=str(file or "the policy in force"),
            remedy="apply one that does: lockgate policy apply FILE --key KEY",
        )  # fmt: skip
    made = PROGRAMS[program](rules, reach, signed_as)
    text = made.snippet.text(program, reach, by="policy snippet")
    for line in made.unsaid:
        click.echo(safe(line), err=True)
    document = {
        "program": program, "host": reach, "files": dict(made.snippet.files), "shared": sorted(made.snippet.shared),
        "unsaid": list(made.unsaid), "text": text,
    }  # fmt: skip
    show(document, as_json, lambda: text)
