"""What a bundle's artifacts lack by the policy for images: shown by the inspection, and held against a release."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from appliance import clock
from appliance.image_signatures.applied import load_applied
from appliance.image_signatures.rules import asks, objection
from appliance.intake.content import Checked
from appliance.intake.image_signers import Key, Looked, key_of, look, signable, with_above
from appliance.limits import image_signatures as limits
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


def lacks(policy: ImagePolicy, wanted: Sequence[Checked], looked: Looked, at: str) -> list[Lack]:
    """What does not satisfy the rules about its repository at a time. What was not looked at satisfies none."""
    found = []
    answers = _Answers(policy, looked, at)
    for one in wanted:
        key = key_of(one)
        mine, by_index = looked.found.get(key), answers.above(key)
        for number, rule in answers.rules(key[0]):
            if mine is not None and rule.children == "index" and by_index >> number & 1:
                continue
            why = "not looked at" if mine is None else objection(rule, mine, at)
            if why is not None:
                found.append(Lack(one, number, rule, why))
    return found


class _Answers:
    """Which rules the indexes satisfy, each index asked once. A set of rules is the bits of their numbers."""

    def __init__(self, policy: ImagePolicy, looked: Looked, at: str) -> None:
        self._policy, self._looked, self._at = policy, looked, at
        self._rules: dict[str, list[tuple[int, ImageRule]]] = {}
        self._own: dict[Key, int] = {}
        self._above: dict[Key, int] = {}

    def rules(self, repository: str) -> list[tuple[int, ImageRule]]:
        """The policy's rules about a repository, with their numbers."""
        if repository not in self._rules:
            self._rules[repository] = self._policy.rules(repository)
        return self._rules[repository]

    def above(self, key: Key) -> int:
        """The rules that an index above an artifact satisfies. As deep as indexes are nested (`limits.INDEX_DEPTH`);
        what names an index is walked once, however much it names itself."""
        if key not in self._above:
            answered = 0
            for one in self._looked.above.get(key, ()):
                answered |= self._satisfied(one) | self.above(one)
            self._above[key] = answered
        return self._above[key]

    def _satisfied(self, key: Key) -> int:
        if key not in self._own:
            found = self._looked.found.get(key)
            counting = found is not None and any(one.verified for one in found.verdicts)
            rules = self.rules(key[0]) if found is not None and counting else ()
            self._own[key] = sum(
                1 << number for number, rule in rules if found and objection(rule, found, self._at) is None
            )
        return self._own[key]


def require_signed(station: Station, every: Sequence[Checked], released: Sequence[Checked]) -> None:
    """Go on where what is to be released is signed as the applied policy enforces it. `every`: all that the bundle
    brings, signatures among it. Looks at what is released and the indexes above it alone. Raises RefusedError naming
    the first artifact, the rule and what would satisfy it; or that the time for it is over."""
    applied = load_applied(station.paths)
    if applied is None:
        return
    keys, places = {key_of(one) for one in released}, {one.artifact.repository for one in released}
    enforced = {place for place in places if any(rule.mode == "enforce" for _, rule in applied.policy.rules(place))}
    if not enforced:
        return
    judged = [one for one in signable(station.blobs, every) if one.artifact.repository in enforced]
    named = [one for one in judged if key_of(one) in keys]
    until = time.monotonic() + limits.RELEASE_SIGNATURES_TIME
    pins = Pins.of(station.trust(), clock.now())
    looked = look(station.blobs, every, with_above(judged, named), pins, until)
    if looked.not_looked:
        raise RefusedError(
            f"verifying the signatures of what is released took too long; {len(looked.not_looked)} are left",
            thing=looked.not_looked[0].name,
            remedy="release less at a time: lockgate intake release ID --only REF",
            code="image-policy-time",
        )
    lacking = [one for one in lacks(applied.policy, named, looked, pins.at) if one.rule.mode == "enforce"]
    if lacking:
        first = lacking[0]
        more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise RefusedError(
            f"rule {first.number} of the policy for images: {first.why}{more}",
            thing=first.artifact.name,
            remedy=f"the rule asks: {asks(first.rule)}; see: lockgate policy explain",
            code="image-policy",
        )
