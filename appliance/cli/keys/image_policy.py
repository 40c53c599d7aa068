"""`lockgate policy`: what is asked of images. Works on the station's folder, whether it runs or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.completion import KEY
from appliance.cli.keys.policy_snippet import snippet
from appliance.cli.keys.policy_test import diff, test
from appliance.cli.keys.policy_words import described, exceptions_of, further, lines, rules_of
from appliance.cli.shared.context import folder_option, json_option, load_key, passphrase_option, show, station_root
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.settings.gates import PolicyException
    from appliance.settings.image_policy import ImagePolicy, PolicyRules

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def policy() -> None:
    """The policy for images: check, apply, test, explain, diff."""


policy.add_command(test)
policy.add_command(diff)
policy.add_command(snippet)


@policy.command()
@_FILE
@folder_option
@json_option
def check(root: Path | None, file: Path, as_json: bool) -> None:
    """Read a policy.toml and say what its rules ask for. Nothing is changed."""
    from appliance import clock
    from appliance.gates.wanted import check_rules
    from appliance.settings.image_policy import read_rules

    found = read_rules(file)
    check_rules(found.content_rule, found.gate)
    rules, more = described(rules_of(found, "")), further(found, "", clock.now())
    document = {"file": str(file), "rules": rules, **more}
    show(document, as_json, lambda: "\n".join([*lines(rules, more), safe(f"{file} can be applied")]))


@policy.command()
@_FILE
@click.option("--key", "key_name", type=KEY, required=True, metavar="KEY", help="A release key, by name or PEM.")
@passphrase_option
@folder_option
@json_option
def apply(root: Path | None, file: Path, key_name: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Sign a policy.toml with your own key. It is in force once two people have signed the same rules.

    What was proposed before with other rules is given up. A policy of no rules (image = []) ends the one in force. An
    exception that counts and that the file does not have ends, and is named.
    """
    from appliance import clock
    from appliance.gates.wanted import check_rules
    from appliance.image_signatures.applied import sign
    from appliance.paths import StationPaths
    from appliance.settings.image_policy import read_rules

    station = station_root(root)
    rules = read_rules(file)
    check_rules(rules.content_rule, rules.gate)
    ending = exceptions_of(_ending(StationPaths(station), rules, clock.now()), clock.now())
    signed = sign(station, rules, load_key(station, key_name, passphrase_fd))
    document = {
        "number": signed.policy.number, "digest": signed.digest, "signed_by": list(signed.owners),
        "applied": signed.applied, "over": signed.over, "ends": ending,
    }  # fmt: skip
    by = safe(", ".join(signed.owners))
    said = "in force" if signed.applied else "a second person signs it, too: lockgate policy apply FILE --key KEY"
    over = f"\nin place of the one before: {safe(signed.over)}" if signed.over else ""
    over += "".join(f"\nends exception {safe(one['id'])}, which counts until {safe(one['until'])}" for one in ending)
    show(document, as_json, lambda: f"policy {signed.policy.number}, {signed.digest}\nsigned by {by}{over}\n{said}")


def _ending(paths: Any, rules: PolicyRules, now: str) -> list[PolicyException]:
    """The exceptions in force that other rules do not have."""
    from appliance.image_signatures.applied import load_applied
    from bundles.errors import LockgateError

    try:
        applied = load_applied(paths)
    except LockgateError:  # what is wrong with it is said by the one who signs over it
        return []
    return [
        one
        for one in (applied.policy.exception if applied else ())
        if not one.is_over(now) and one not in rules.exception
    ]


@policy.command()
@click.argument("reference", metavar="[REF]", required=False, default="")
@folder_option
@json_option
def explain(root: Path | None, reference: str, as_json: bool) -> None:
    """The rules, gates, stages, exceptions and rules of promotion in force, or those about a repository, and what waits
    for a second person."""
    from appliance import clock
    from appliance.image_signatures.applied import load_applied, proposed
    from appliance.paths import StationPaths
    from bundles.oci.reference import Reference, check_repository

    paths = StationPaths(station_root(root))
    applied, waiting = load_applied(paths), proposed(paths)
    repository = ""
    if reference:
        named = ":" in reference.rpartition("/")[2] or "@" in reference
        repository = Reference.parse(reference).repository if named else check_repository(reference)
    now = clock.now()

    def fields(policy: ImagePolicy | None) -> dict[str, Any]:
        return {"rules": described(rules_of(policy, repository)), **further(policy, repository, now)}

    document: dict[str, Any] = {
        "number": None if applied is None else applied.policy.number,
        "digest": None if applied is None else applied.digest,
        **fields(None if applied is None else applied.policy),
        "proposed": None
        if waiting is None
        else {
            "number": waiting[0].number,
            "signed_by": [one.owner for one in waiting[1]],
            **fields(waiting[0]),
        },
    }

    def text() -> str:
        head = "no policy for images is in force" if applied is None else f"policy {applied.policy.number} is in force"
        found = [
            head,
            *(lines(document["rules"], document) or (["no rule is about it"] if applied is not None else [])),
        ]
        if document["proposed"] is not None:
            by = ", ".join(document["proposed"]["signed_by"]) or "nobody whose key counts now"
            found += [f"policy {document['proposed']['number']} waits for a second person; signed by {safe(by)}"]
            found += lines(document["proposed"]["rules"], document["proposed"])
        return "\n".join(found)

    show(document, as_json, text)
