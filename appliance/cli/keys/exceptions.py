"""`lockgate exception`: what two people let through a gate until a time. Exceptions are part of the policy document:
requesting one signs the next policy with it, approving signs the same document. Works on the station's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.completion import KEY
from appliance.cli.keys.policy_words import exception_line, exceptions_of
from appliance.cli.shared.context import folder_option, json_option, load_key, passphrase_option, show, station_root
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.image_signatures.applied import Signed
    from appliance.settings.image_policy import PolicyRules

_KEY = click.option("--key", "key_name", type=KEY, required=True, metavar="KEY", help="A release key, by name or PEM.")


@click.group()
def exception() -> None:
    """Exceptions from gates: request, approve, list."""


@exception.command()
@click.argument("name", metavar="ID")
@click.option("--on", "repositories", multiple=True, required=True, metavar="PATTERN", help="Repositories; repeatable.")
@click.option("--advisory", default="", metavar="ADVISORY", help="Findings of this id, as CVE-2024-3094.")
@click.option("--rule", default="", metavar="RULE",
              help="A rule of every gate: advisories, scan, inspected, severity, exploited,"
                   " malware, sbom or content:ID.")  # fmt: skip
@click.option("--digest", default="", metavar="DIGEST", help="Only this image, or what this index names.")
@click.option("--owner", required=True, metavar="WHO", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why it may be let through.")
@click.option("--until", required=True, metavar="TIME", help="When it ends: 2027-01-31, or 2027-01-31T12:00:00Z.")
@_KEY
@passphrase_option
@folder_option
@json_option
def request(
    root: Path | None, name: str, repositories: tuple[str, ...], advisory: str, rule: str, digest: str, owner: str,
    reason: str, until: str, key_name: str, passphrase_fd: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Ask for an exception, signed with your own key. It counts once a second person has approved it.

    It becomes part of the policy in force: the next policy is this one with the exception. One that counts no more is
    left out of it.
    """
    import msgspec

    from appliance import clock
    from appliance.image_signatures.applied import load_applied, sign
    from appliance.paths import StationPaths
    from appliance.settings.gates import RULES, PolicyException, check_exception, is_rule
    from bundles.errors import UsageError

    station = station_root(root)
    if rule and not is_rule(rule):
        raise UsageError("no such rule", thing=rule, remedy=f"use one of {', '.join(RULES)}, or content:ID")
    applied = load_applied(StationPaths(station))
    asked = None if applied is None else applied.policy.asked
    if asked is None or not asked.gate:
        raise UsageError(
            "no gate is in force, so nothing can be excepted from one", thing=name,
            remedy="apply a policy with gates first: lockgate policy apply FILE --key KEY",
        )  # fmt: skip
    wanted = PolicyException(
        id=name, owner=owner, reason=reason, until=f"{until}T00:00:00Z" if len(until) == len("2027-01-31") else until,
        repositories=list(repositories), digest=digest, advisory=advisory, rule=rule,
    )  # fmt: skip
    check_exception(wanted)
    now = clock.now()
    if wanted.is_over(now):
        raise UsageError("the exception would be over already", thing=wanted.until, remedy="give a later time")
    kept = [one for one in asked.exception if not one.is_over(now)]
    if any(one.id == name for one in kept):
        raise UsageError(
            "an exception of this id counts already",
            thing=name,
            remedy="choose another id; see: lockgate exception list",
        )
    rules = msgspec.structs.replace(asked, exception=[*kept, wanted])
    rules.check()
    _show(sign(station, rules, load_key(station, key_name, passphrase_fd)), name, as_json)


@exception.command()
@click.argument("name", metavar="ID")
@_KEY
@passphrase_option
@folder_option
@json_option
def approve(root: Path | None, name: str, key_name: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Sign an exception that another person has asked for. It counts from then on.

    What is signed is the policy that waits: where it asks for anything else than the policy in force and this
    exception, it is refused.
    """
    from appliance import clock
    from appliance.image_signatures.applied import load_applied, proposed, sign
    from appliance.paths import StationPaths
    from bundles.errors import NotFoundError, RefusedError

    station = station_root(root)
    waiting, applied = proposed(StationPaths(station)), load_applied(StationPaths(station))
    found = None if waiting is None else next((one for one in waiting[0].exception if one.id == name), None)
    if waiting is None or applied is None or found is None or found in applied.policy.exception:
        raise NotFoundError("no such exception waits", thing=name, remedy="see: lockgate exception list")
    before, after, now = applied.policy.asked, waiting[0].asked, clock.now()
    if _apart(after) != _apart(before) or any(
        one not in before.exception and one.id != name for one in after.exception
    ):
        raise RefusedError(
            "the policy that waits changes more than this exception", thing=name,
            remedy="look at it, then sign its file: lockgate policy apply FILE --key KEY",
        )  # fmt: skip
    ending = [one.id for one in before.exception if not one.is_over(now) and one not in after.exception]
    if ending:
        raise RefusedError(
            "the policy that waits ends another exception", thing=ending[0],
            remedy="have it requested again: lockgate exception request ID --on PATTERN --owner WHO --reason TEXT"
            " --until TIME --key KEY",
        )  # fmt: skip
    _show(sign(station, after, load_key(station, key_name, passphrase_fd)), name, as_json)


def _apart(rules: PolicyRules) -> tuple[Any, ...]:
    """What rules ask for, without exceptions."""
    return rules.image, rules.gate, rules.stage, rules.promotion


def _show(signed: Signed, name: str, as_json: bool) -> None:
    document = {
        "id": name, "number": signed.policy.number, "digest": signed.digest, "signed_by": list(signed.owners),
        "applied": signed.applied,
    }  # fmt: skip
    by = ", ".join(signed.owners)
    said = (
        "it counts" if signed.applied else f"a second person approves it: lockgate exception approve {name} --key KEY"
    )
    show(document, as_json, lambda: safe(f"exception {name}, policy {signed.policy.number}, signed by {by}; {said}"))


@exception.command("list")
@folder_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The exceptions in force, those that are over, and those that wait for a second person."""
    from appliance import clock
    from appliance.image_signatures.applied import load_applied, proposed
    from appliance.paths import StationPaths

    paths = StationPaths(station_root(root))
    applied, waiting, now = load_applied(paths), proposed(paths), clock.now()
    held = list(applied.policy.exception) if applied is not None else []
    asked = [one for one in (waiting[0].exception if waiting is not None else []) if one not in held]
    signers = [] if waiting is None else [one.owner for one in waiting[1]]
    document = {
        "exceptions": exceptions_of(held, now),
        "waiting": [{**one, "signed_by": signers} for one in exceptions_of(asked, now)],
    }

    def text() -> str:
        told = [exception_line(one) for one in document["exceptions"]]
        told += [f"waits: {exception_line(one)}; signed by {', '.join(signers)}" for one in document["waiting"]]
        return "\n".join(map(safe, told)) or "there is no exception"

    show(document, as_json, text)
