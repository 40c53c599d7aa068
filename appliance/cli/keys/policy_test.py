"""`lockgate policy test` and `diff`: what a policy says of what is in the store. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from appliance.cli.keys.policy_words import exception_line, further, tested_document, tested_lines
from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.image_signatures.tested import Tester
    from appliance.paths import StationPaths
    from appliance.settings.gates import Place
    from appliance.settings.image_policy import ImagePolicy
    from appliance.store.reads.content import ManifestFacts

_PLACES = ("release", "promotion", "pull")


@click.command()
@click.argument("reference", metavar="REF")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The rules of this policy.toml, in the place of those in force.")  # fmt: skip
@click.option("--to", "stage", default="", metavar="STAGE", help="As content of this stage, before it is promoted.")
@click.option("--at", "place", type=click.Choice(_PLACES), help="Only gates that are asked there.")
@folder_option
@json_option
def test(root: Path | None, reference: str, file: Path | None, stage: str, place: str | None, as_json: bool) -> None:
    """Whether an image in the store, and each image beneath an index, satisfies the rules and passes the gates, line by
    line. Nothing is changed.

    Exit status 3 where an enforced rule or gate is not satisfied.
    """
    from appliance import clock
    from appliance.image_signatures.applied import load_applied
    from appliance.paths import StationPaths
    from bundles.errors import RefusedError
    from bundles.oci.reference import Reference

    paths, named = StationPaths(station_root(root)), Reference.parse(reference)
    applied = load_applied(paths) if file is None else None
    policy = _of_file(paths, file) if file is not None else None if applied is None else applied.policy
    judged = _target(policy, named.repository, stage)
    with tester_on(paths) as tester:
        facts = _facts(tester, named)
        tested = tester.test(policy, judged, facts, tester.look(named.repository, facts))
    fields = tested_document(tested)
    fields["gates"] = [one for one in fields["gates"] if place is None or place in one["at"]]
    exceptions = further(policy, judged, clock.now())["exceptions"]
    document: dict[str, Any] = {
        "reference": reference, "digest": str(facts.digest), "repository": judged, **fields, "exceptions": exceptions,
    }  # fmt: skip

    def text() -> str:
        told = [safe(exception_line(one)) for one in exceptions]
        return "\n".join([*tested_lines(document), *told]) or "no rule is about it"

    show(document, as_json, text)
    failing = list(tested.obstacles(cast("Place | None", place)))  # one of the choices
    if failing:
        raise RefusedError(
            failing[0].what, thing=reference,
            remedy="see: lockgate signature list REF" if failing[0].what.startswith("rule") else failing[0].asks,
        )  # fmt: skip


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@folder_option
@json_option
def diff(root: Path | None, file: Path, as_json: bool) -> None:
    """What a policy.toml would block, and what it would free, of every tag in the store, against the policy in force.

    Nothing is changed. Exit status 3 where it would block something.
    """
    from appliance.image_signatures.applied import load_applied
    from appliance.paths import StationPaths
    from bundles.errors import RefusedError

    paths = StationPaths(station_root(root))
    applied = load_applied(paths)
    before, after = None if applied is None else applied.policy, _of_file(paths, file)
    blocked, freed, count = list[dict[str, Any]](), list[dict[str, Any]](), 0
    with tester_on(paths) as tester:
        for repository, tag, facts in _every_tag(tester):
            looked = tester.look(repository, facts)
            said = [
                {one.what: one for one in tester.test(policy, repository, facts, looked).obstacles()}
                for policy in (before, after)
            ]
            count += 1
            if bool(said[0]) == bool(said[1]):
                continue
            (blocked if said[1] else freed).append(
                {"reference": f"{repository}:{tag}", "digest": str(facts.digest),
                 "why": [{"what": one.what, "image": one.digest, "asks": one.asks}
                         for one in (said[1] or said[0]).values()]}
            )  # fmt: skip
    document = {"file": str(file), "looked_at": count, "blocks": blocked, "frees": freed}

    def text() -> str:
        told = [f"[!!] blocks {one['reference']} {one['why'][0]['what']}" for one in blocked]
        told += [f"[ok] frees  {one['reference']} {one['why'][0]['what']}" for one in freed]
        end = f"{some(count, 'tag')} looked at: {len(blocked)} blocked, {len(freed)} freed"
        return "\n".join(map(safe, [*told, end]))

    show(document, as_json, text)
    if blocked:
        raise RefusedError(
            f"it would block {some(len(blocked), 'tag')}", thing=str(file),
            remedy=f"see why: lockgate policy test {blocked[0]['reference']} --file {file}",
        )  # fmt: skip


def _of_file(paths: StationPaths, file: Path) -> ImagePolicy:
    from appliance.settings.image_policy import ImagePolicy, read_rules
    from bundles.signing.trust import site_of

    return ImagePolicy.of(read_rules(file), site_of(paths.trust), 1)


def _target(policy: ImagePolicy | None, repository: str, stage: str) -> str:
    """The repository that content is judged as. Raises UsageError for a stage that is none."""
    from appliance.settings.gates import find_stage, in_stage

    if not stage:
        return repository
    stages = [] if policy is None else policy.stage
    return in_stage(find_stage(stage, stages), repository, stages)


@contextmanager
def tester_on(paths: StationPaths) -> Iterator[Tester]:
    """A tester on the station's folder. Raises UsageError where it holds nothing yet."""
    from contextlib import closing

    from appliance import clock
    from appliance.image_signatures.tested import Tester
    from appliance.store.opening import open_store
    from appliance.store.reads.registry import Metadata
    from appliance.store.whereabouts import is_made
    from bundles.errors import UsageError
    from bundles.image_signatures.pins import Pins
    from bundles.signing.trust import TrustFolder

    if not is_made(paths.database):
        raise UsageError("the station holds nothing yet", thing=str(paths.root), remedy="start it: lockgate serve")
    with closing(Metadata(paths.database)) as metadata:
        pins = Pins.of(TrustFolder.load(paths.trust), clock.now())
        yield Tester(open_store(paths), metadata, metadata.connection, pins)


def _facts(tester: Tester, named: Any) -> ManifestFacts:
    """Raises NotFoundError."""
    from appliance.image_signatures.subjects import facts_of

    return facts_of(tester.metadata, named)


def _every_tag(tester: Tester) -> Iterator[tuple[str, str, ManifestFacts]]:
    """Every tag of every repository, but for those by which things are attached."""
    from appliance.limits import lifecycle as limits
    from bundles.oci.attached_tags import is_attached

    after = ""
    while names := tester.metadata.repository_names(limits.GC_PAGE, after):
        for name in names:
            tag = ""
            while tags := tester.metadata.tag_names(name, limits.GC_PAGE, tag):
                for tag in tags:
                    facts = None if is_attached(tag) else tester.metadata.tagged_manifest(name, tag)
                    if facts is not None:
                        yield name, tag, facts
        after = names[-1]
