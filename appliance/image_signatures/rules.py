"""Whether an image's signatures satisfy a rule of the policy for images. Decided from values alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from appliance.image_signatures.states import Found
from appliance.settings.image_policy import ImageRule
from bundles.image_signatures import predicates
from bundles.image_signatures.provenance import PROVENANCE
from bundles.image_signatures.verdict import Claim, Verdict
from bundles.io.display import some
from bundles.io.times import later
from bundles.people import count

_AHEAD: Final = timedelta(minutes=5)
"""How far a signer's clock may go ahead of this one."""
_SAID_MOST: Final = 160
"""Characters of a provenance's text in a reason."""


def objection(rule: ImageRule, found: Found, at: str, above: Sequence[Found] = ()) -> str | None:
    """Why an artifact does not satisfy a rule at a time, in words, or None where it does. `above` are the indexes that
    name it, directly or through others: where the rule lets an index answer, one of them may satisfy it in its place.
    """
    reason = _own_objection(rule, found, at)
    if reason is None or (rule.children == "index" and any(_own_objection(rule, one, at) is None for one in above)):
        return None
    return reason


def _own_objection(rule: ImageRule, found: Found, at: str) -> str | None:
    counting = [one for one in found.verdicts if one.verified and _counts(rule, one)]
    signed = [one for one in counting if one.claim is Claim.SIGNATURE and _has_annotations(rule, one)]
    young = [one for one in signed if _is_young(one, rule.signed_days, at)]
    people = count(_person(rule, one) for one in young)
    if people < rule.people:
        late = len(signed) - len(young)
        old = f", {late} not within {some(rule.signed_days, 'day')}" if late else ""
        return f"signed by {people} of {rule.people} that count{old}"
    attestations = [one for one in counting if one.claim is Claim.ATTESTATION]
    attested = [one for one in attestations if _is_young(one, rule.attested_days, at)]
    within = f" within {some(rule.attested_days, 'day')}" if rule.attested_days else ""
    kinds = {one.predicate_type for one in attested}
    lacking = next((kind for kind in rule.attestations if kind not in kinds), None)
    if lacking is not None:
        return f"no attestation that counts of {lacking}{within}"
    return _unnamed_origin(rule, attested, within)


def _unnamed_origin(rule: ImageRule, attested: Sequence[Verdict], within: str) -> str | None:
    """Why no provenance says that a builder of the rule made the image of its sources. One must say both."""
    if not rule.builders and not rule.sources:
        return None
    said = [one for one in attested if one.predicate_type in PROVENANCE]
    if any(_is_of(rule, one) for one in said):
        return None
    if not said:
        return f"no provenance that counts{within}"
    texts = (said[0].builder or "an unnamed builder", ", ".join(said[0].sources) or "an unnamed source")
    builder, sources = (ascii(text)[1:-1][:_SAID_MOST] for text in texts)
    return f"built by {builder} from {sources}, which the rule does not name"


def _is_of(rule: ImageRule, one: Verdict) -> bool:
    """Whether a provenance's builder and all its sources are the rule's."""
    is_built = not rule.builders or one.builder in rule.builders
    return is_built and (not rule.sources or (bool(one.sources) and set(one.sources) <= set(rule.sources)))


def _is_young(one: Verdict, days: int, at: str) -> bool:
    """Whether it was signed within so many days before a time, by what was signed; 0 days ask for nothing."""
    if not days:
        return True
    if not one.signed_at or one.signed_at > later(at, _AHEAD):
        return False
    return at <= later(one.signed_at, timedelta(days=days))


def _person(rule: ImageRule, one: Verdict) -> str:
    """Who signed, as people are counted. A root has one owner and many signers below it: where the rule names them,
    each is a person of that owner."""
    return f"{one.owner} / {one.identity}" if rule.identities else one.owner


def _counts(rule: ImageRule, one: Verdict) -> bool:
    """Whether the rule lets it count. Names are compared exactly here: names that look alike are one person where
    people are counted, and never another's word."""
    return (
        (not rule.owners or one.owner in rule.owners)
        and (not rule.keys or one.keyid in rule.keys)
        and (not rule.identities or one.identity in rule.identities)
    )


def _has_annotations(rule: ImageRule, one: Verdict) -> bool:
    return all(one.annotations.get(name) == value for name, value in rule.annotations.items())


def _read(rule: ImageRule, kind: str) -> str:
    if predicates.is_read(kind):
        return "it must say PASSED"
    if kind in PROVENANCE and (rule.builders or rule.sources):
        return "its builder and sources are read"
    return "whatever it says: its content is not looked at"


def asks(rule: ImageRule) -> str:
    """What a rule asks for, in words."""
    who = "signer" if rule.identities else "owner"
    words = [f"signed by {rule.people} distinct {who if rule.people == 1 else f'{who}s'}"]
    words += [f"of {', '.join(rule.owners)}"] if rule.owners else []
    words += [f"by key {' or '.join(rule.keys)}"] if rule.keys else []
    words += [f"with a certificate of {' or '.join(rule.identities)}"] if rule.identities else []
    words += [f"with {name}={value}" for name, value in sorted(rule.annotations.items())]
    words += [f"not more than {some(rule.signed_days, 'day')} ago"] if rule.signed_days else []
    words += [f"attested {kind} ({_read(rule, kind)})" for kind in rule.attestations]
    words += [f"with a provenance of builder {' or '.join(rule.builders)}"] if rule.builders else []
    words += [f"with a provenance of source {' or '.join(rule.sources)}"] if rule.sources else []
    words += [f"attested not more than {some(rule.attested_days, 'day')} ago"] if rule.attested_days else []
    words += ["each image by itself"] if rule.children == "own" else []
    return ", ".join(words)
