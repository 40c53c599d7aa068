"""An artifact held against a whole policy: its signatures against the rules, what it is made of against the gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from appliance.gates.facts import Line
from appliance.gates.wanted import rules_of
from appliance.image_signatures.gated import Gated, gated
from appliance.image_signatures.rules import asks, objection
from appliance.image_signatures.search import Search
from appliance.image_signatures.states import Found
from appliance.settings.gates import Mode, Place
from appliance.settings.image_policy import ImagePolicy
from appliance.store.ports import Blobs, Reader
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from bundles.image_signatures.pins import Pins


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One rule about one manifest: `why` it is not satisfied, None where it is."""

    rule: int
    mode: Mode
    digest: str
    platform: str
    why: str | None
    asks: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way: `what` in one line, the manifest, and what would clear it."""

    what: str
    digest: str
    asks: str


@dataclass(frozen=True, slots=True)
class Tested:
    """What a policy says of an artifact as content of a repository."""

    facts: ManifestFacts
    signatures: Sequence[SignatureLine]
    gates: Sequence[Line]
    looked: Gated

    def obstacles(self, place: Place | None = None) -> Iterator[Obstacle]:
        """Everything that is enforced (at a place) and not met."""
        for line in self.signatures:
            if line.why is not None and line.mode == "enforce":
                what = f"rule {line.rule} of the policy for images: {line.why}"
                yield Obstacle(what, line.digest, f"the rule asks: {line.asks}")
        for gate in self.gates:
            if gate.refuses and (place is None or place in gate.at):
                what = f"gate {gate.gate} of the policy for images: {gate.rule}: {gate.why}"
                yield Obstacle(what, gate.digest, gate.asks)


@dataclass(frozen=True, slots=True)
class Tester:
    """Holds artifacts of a store against policies, on the caller's connections. Blocking."""

    blobs: Blobs
    metadata: Metadata
    reader: Reader
    pins: Pins
    """The keys and roots that count now, and when that is."""

    def look(self, repository: str, facts: ManifestFacts) -> tuple[list[Found], Gated]:
        """What a repository shows of an artifact: its signatures, and what is known of it. Raises as `gated` and
        `Search.all_of`."""
        found = Search(self.blobs, self.metadata, repository, self.pins).all_of(facts)
        return found, gated(self.blobs, self.metadata, self.reader, repository, facts)

    def test(
        self, policy: ImagePolicy | None, place: str, facts: ManifestFacts, looked: tuple[list[Found], Gated],
    ) -> Tested:  # fmt: skip
        """Hold what was looked at against the rules and gates about the repository `place`."""
        found, content = looked
        if policy is None:
            return Tested(facts, (), (), content)
        signatures = [
            SignatureLine(
                number, rule.mode, str(one.digest), one.platform, objection(rule, one, self.pins.at, above), asks(rule)
            )
            for number, rule in policy.rules(place)
            for one, above in _with_above(found)
            if one.digest not in content.evidence
        ]
        gates = content.lines(
            policy.gates(place), place, policy.exception, self.pins.at, rules_of(policy.content_rule).wanted
        )
        return Tested(facts, signatures, gates, content)


def _with_above(found: Sequence[Found]) -> Iterator[tuple[Found, list[Found]]]:
    """Each manifest with the indexes that may answer for it: the outermost, and the signed one that names it."""
    for one in found:
        above = [each for each in found if each is not one and each.digest in (found[0].digest, one.through)]
        yield one, above if one is not found[0] else []
