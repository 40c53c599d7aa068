"""Whether an image's signatures satisfy a rule of the policy for images. Decided from values alone."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.image_signatures.states import Found
from appliance.settings.image_policy import ImageRule
from bundles.image_signatures import predicates
from bundles.image_signatures.verdict import Claim, Verdict
from bundles.people import count


def objection(rule: ImageRule, found: Found, above: Sequence[Found] = ()) -> str | None:
    """Why an artifact does not satisfy a rule, in words, or None where it does. `above` are the indexes that name it,
    directly or through others: where the rule lets an index answer, one of them may satisfy it in its place."""
    reason = _own_objection(rule, found)
    if reason is None or (rule.children == "index" and any(_own_objection(rule, one) is None for one in above)):
        return None
    return reason


def _own_objection(rule: ImageRule, found: Found) -> str | None:
    counting = [one for one in found.verdicts if one.verified and _counts(rule, one)]
    signed = [one for one in counting if one.claim is Claim.SIGNATURE and _has_annotations(rule, one)]
    people = count(_person(rule, one) for one in signed)
    if people < rule.people:
        return f"signed by {people} of {rule.people} that count"
    attested = {one.predicate_type for one in counting if one.claim is Claim.ATTESTATION}
    lacking = next((kind for kind in rule.attestations if kind not in attested), None)
    return None if lacking is None else f"no attestation that counts of {lacking}"


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


def _read(kind: str) -> str:
    return "it must say PASSED" if predicates.is_read(kind) else "whatever it says: its content is not looked at"


def asks(rule: ImageRule) -> str:
    """What a rule asks for, in words."""
    who = "signer" if rule.identities else "owner"
    words = [f"signed by {rule.people} distinct {who if rule.people == 1 else f'{who}s'}"]
    words += [f"of {', '.join(rule.owners)}"] if rule.owners else []
    words += [f"by key {' or '.join(rule.keys)}"] if rule.keys else []
    words += [f"with a certificate of {' or '.join(rule.identities)}"] if rule.identities else []
    words += [f"with {name}={value}" for name, value in sorted(rule.annotations.items())]
    words += [f"attested {kind} ({_read(kind)})" for kind in rule.attestations]
    words += ["each image by itself"] if rule.children == "own" else []
    return ", ".join(words)
