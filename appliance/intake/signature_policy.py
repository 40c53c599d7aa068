"""What a bundle's artifacts lack by the policy for images: shown by the inspection, and held against a release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance import clock
from appliance.image_signatures.applied import load_applied
from appliance.image_signatures.rules import asks, objection
from appliance.image_signatures.states import Found
from appliance.intake.content import Checked
from appliance.intake.image_signers import Key, Looked, look, signable
from appliance.settings.image_policy import ImagePolicy, ImageRule
from appliance.station import Station
from bundles.errors import RefusedError
from bundles.image_signatures.pins import Pins


@dataclass(frozen=True, slots=True)
class Lack:
    """An artifact that does not satisfy a rule."""

    artifact: Checked
    number: int
    rule: ImageRule
    why: str


def lacks(policy: ImagePolicy, wanted: Sequence[Checked], looked: Looked) -> list[Lack]:
    """What does not satisfy the rules about its repository. What was not looked at satisfies none."""
    found = []
    for one in wanted:
        key = one.artifact.repository, one.artifact.digest
        for number, rule in policy.rules(key[0]):
            mine = looked.found.get(key)
            why = "not looked at" if mine is None else objection(rule, mine, _above(looked, key))
            if why is not None:
                found.append(Lack(one, number, rule, why))
    return found


def _above(looked: Looked, key: Key) -> list[Found]:
    found, todo, seen = list[Found](), list(looked.above.get(key, ())), set[Key]()
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            found += [looked.found[one]] if one in looked.found else []
            todo += looked.above.get(one, ())
    return found


def require_signed(station: Station, every: Sequence[Checked], released: Sequence[Checked]) -> None:
    """Go on where what is to be released is signed as the applied policy enforces it. `every`: all that the bundle
    brings, signatures among it. Raises RefusedError naming the first artifact, the rule and what would satisfy it."""
    applied = load_applied(station.paths)
    if applied is None:
        return
    named = [one for one in signable(station.blobs, released) if _enforced(applied.policy, one)]
    if not named:
        return
    places = {one.artifact.repository for one in named}
    wanted = [one for one in signable(station.blobs, every) if one.artifact.repository in places]
    looked = look(station.blobs, every, wanted, Pins.of(station.trust(), clock.now()))
    lacking = [one for one in lacks(applied.policy, named, looked) if one.rule.mode == "enforce"]
    if lacking:
        first = lacking[0]
        more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise RefusedError(
            f"rule {first.number} of the policy for images: {first.why}{more}",
            thing=first.artifact.name,
            remedy=f"the rule asks: {asks(first.rule)}; see: lockgate policy explain",
            code="image-policy",
        )


def _enforced(policy: ImagePolicy, one: Checked) -> bool:
    return any(rule.mode == "enforce" for _, rule in policy.rules(one.artifact.repository))
