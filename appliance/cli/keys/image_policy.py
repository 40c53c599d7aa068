"""`lockgate policy`: which images must be signed by whom. Works on the station's folder, whether it runs or not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import folder_option, json_option, load_key, passphrase_option, show, station_root
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.image_signatures.states import Found
    from appliance.settings.image_policy import ImagePolicy, ImageRule

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def policy() -> None:
    """The policy for images: check, apply, test, explain."""


@policy.command()
@_FILE
@folder_option
@json_option
def check(root: Path | None, file: Path, as_json: bool) -> None:
    """Read a policy.toml and say what its rules ask for. Nothing is changed."""
    from appliance.settings.image_policy import read_rules

    rules = _described(list(enumerate(read_rules(file), 1)))
    document = {"file": str(file), "rules": rules}
    show(document, as_json, lambda: "\n".join([*_lines(rules), safe(f"{file} can be applied")]))


@policy.command()
@_FILE
@click.option("--key", "key_name", type=KEY, required=True, metavar="KEY", help="A release key, by name or PEM.")
@passphrase_option
@folder_option
@json_option
def apply(root: Path | None, file: Path, key_name: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Sign a policy.toml with your own key. It is in force once two people have signed the same rules.

    What was proposed before with other rules is given up. A policy of no rules (image = []) ends the one in force.
    """
    from appliance.image_signatures.applied import sign
    from appliance.settings.image_policy import read_rules

    station = station_root(root)
    rules = read_rules(file)
    signed = sign(station, rules, load_key(station, key_name, passphrase_fd))
    document = {
        "number": signed.policy.number, "digest": signed.digest, "signed_by": list(signed.owners),
        "applied": signed.applied, "over": signed.over,
    }  # fmt: skip
    by = safe(", ".join(signed.owners))
    said = "in force" if signed.applied else "a second person signs it, too: lockgate policy apply FILE --key KEY"
    over = f"\nin place of the one before: {safe(signed.over)}" if signed.over else ""
    show(document, as_json, lambda: f"policy {signed.policy.number}, {signed.digest}\nsigned by {by}{over}\n{said}")


@policy.command()
@click.argument("reference", metavar="[REF]", required=False, default="")
@folder_option
@json_option
def explain(root: Path | None, reference: str, as_json: bool) -> None:
    """The rules in force, or those about a repository, and what waits for a second person."""
    from appliance.image_signatures.applied import load_applied, proposed
    from appliance.paths import StationPaths
    from bundles.oci.reference import Reference, check_repository

    paths = StationPaths(station_root(root))
    applied, waiting = load_applied(paths), proposed(paths)
    repository = ""
    if reference:
        named = ":" in reference.rpartition("/")[2] or "@" in reference
        repository = Reference.parse(reference).repository if named else check_repository(reference)
    rules = _rules_of(None if applied is None else applied.policy, repository)
    document: dict[str, Any] = {
        "number": None if applied is None else applied.policy.number,
        "digest": None if applied is None else applied.digest,
        "rules": _described(rules),
        "proposed": None
        if waiting is None
        else {
            "number": waiting[0].number,
            "signed_by": [one.owner for one in waiting[1]],
            "rules": _described(_rules_of(waiting[0], repository)),
        },
    }

    def text() -> str:
        head = "no policy for images is in force" if applied is None else f"policy {applied.policy.number} is in force"
        lines = [head, *(_lines(document["rules"]) or (["no rule is about it"] if applied is not None else []))]
        if document["proposed"] is not None:
            by = ", ".join(document["proposed"]["signed_by"]) or "nobody whose key counts now"
            lines += [f"policy {document['proposed']['number']} waits for a second person; signed by {safe(by)}"]
            lines += _lines(document["proposed"]["rules"])
        return "\n".join(lines)

    show(document, as_json, text)


@policy.command()
@click.argument("reference", metavar="REF")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The rules of this policy.toml, in the place of those in force.")  # fmt: skip
@folder_option
@json_option
def test(root: Path | None, reference: str, file: Path | None, as_json: bool) -> None:
    """Whether an image in the store, and each image beneath an index, satisfies the rules. Nothing is changed.

    Exit status 3 where an enforced rule is not satisfied.
    """
    from appliance.image_signatures.applied import load_applied
    from appliance.image_signatures.rules import objection
    from appliance.paths import StationPaths
    from appliance.settings.image_policy import ImagePolicy, read_rules
    from bundles.errors import RefusedError
    from bundles.oci.reference import Reference
    from bundles.signing.trust import site_of

    paths, named = StationPaths(station_root(root)), Reference.parse(reference)
    applied = load_applied(paths) if file is None else None
    chosen = None if applied is None else applied.policy
    if file is not None:
        chosen = ImagePolicy(site=site_of(paths.trust), number=1, image=read_rules(file))
    found = _look(paths, named)
    results: list[dict[str, Any]] = []
    for number, rule in _rules_of(chosen, named.repository):
        for one in found:
            above = [each for each in found if each is not one and each.digest in (found[0].digest, one.through)]
            why = objection(rule, one, above if one is not found[0] else [])
            results.append({"image": str(one.digest), "platform": one.platform, "rule": number, "mode": rule.mode,
                            "satisfied": why is None, "why": why or ""})  # fmt: skip
    document = {"reference": reference, "results": results}

    def text() -> str:
        lines = [
            f"{'[ok]' if one['satisfied'] else '[!!]'} rule {one['rule']} ({one['mode']}) {one['platform'] or '-'}"
            f" {one['image']} {one['why']}".rstrip()
            for one in results
        ]
        return "\n".join(map(safe, lines)) or "no rule is about it"

    show(document, as_json, text)
    if failing := [one for one in results if one["mode"] == "enforce" and not one["satisfied"]]:
        raise RefusedError(
            f"rule {failing[0]['rule']} of the policy for images: {failing[0]['why']}",
            thing=reference,
            remedy="see: lockgate signature list REF",
        )


def _look(paths: Any, named: Any) -> list[Found]:
    """The artifact and what lies beneath it. Raises NotFoundError."""
    from appliance import clock
    from appliance.image_signatures.search import Search
    from appliance.store.blobs import BlobStore
    from appliance.store.reads.registry import Metadata
    from bundles.errors import NotFoundError, UsageError
    from bundles.image_signatures.pins import Pins
    from bundles.signing.trust import TrustFolder

    if not paths.database.exists():
        raise UsageError("the station holds nothing yet", thing=str(paths.root), remedy="start it: lockgate serve")
    with closing(Metadata(paths.database)) as metadata:
        if named.digest is not None:
            facts = metadata.linked_manifest(named.repository, named.digest)
        else:
            facts = metadata.tagged_manifest(named.repository, named.tag or "")
        if facts is None:
            raise NotFoundError("no such artifact", thing=str(named), remedy="see: lockgate repo list")
        pins = Pins.of(TrustFolder.load(paths.trust), clock.now())
        return Search(BlobStore(paths), metadata, named.repository, pins).all_of(facts)


def _rules_of(policy: ImagePolicy | None, repository: str) -> list[tuple[int, ImageRule]]:
    if policy is None:
        return []
    return policy.rules(repository) if repository else list(enumerate(policy.image, 1))


def _described(rules: list[tuple[int, ImageRule]]) -> list[dict[str, Any]]:
    import msgspec

    from appliance.image_signatures.rules import asks

    return [{"rule": number, "asks": asks(rule), **msgspec.to_builtins(rule)} for number, rule in rules]


def _lines(rules: list[dict[str, Any]]) -> list[str]:
    return [
        safe(f"rule {one['rule']} ({one['mode']}) {', '.join(one['repositories'])}: {one['asks']}") for one in rules
    ]
