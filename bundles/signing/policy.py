"""What a trust folder demands beyond one good signature, a rule a purpose and source: `policy.json`.

| field | meaning |
|---|---|
| `purpose` | what the signatures are for |
| `site` | the source whose stream it is; empty: every source without a rule of its own |
| `signers` | how many distinct owners must have signed |
| `algorithms` | only signatures by these count; empty: by any |
| `gaps` | whether a bundle may come in before the one it follows |
| `silence_days` | days without a bundle after which the station raises an alarm; 0: never |

Two keys of one owner are one person, however the name is spelt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from bundles import limits
from bundles.errors import MalformedError, UsageError
from bundles.oci.reference import check_site
from bundles.people import count, is_unseen
from bundles.signing import hybrid, signatures
from bundles.signing.ssh import keys

FILE: Final = "policy.json"
TYPE: Final = "application/vnd.lockgate.trust-policy.v1+json"
KNOWN_ALGORITHMS: Final = (*signatures.ALGORITHMS, signatures.RSA, hybrid.ALGORITHM, *keys.ALGORITHMS)

_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
"""Alphabets with letters that look like another's (Unicode Technical Standard 39)."""


class SignerRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is demanded for a purpose from a source (module)."""

    purpose: str
    site: str
    signers: int
    algorithms: list[str]
    gaps: bool
    silence_days: int


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`policy.json`: rules ascending by purpose and site."""

    type: str
    rules: list[SignerRule]


class _Key(Protocol):
    @property
    def algorithm(self) -> str: ...


class Signer(Protocol):
    """What of a pinned key a policy looks at."""

    @property
    def owner(self) -> str: ...

    @property
    def key(self) -> _Key: ...


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The rules of a trust folder."""

    rules: tuple[SignerRule, ...] = ()

    def rule(self, purpose: str, site: str) -> SignerRule:
        """The rule for a purpose from a source: its own, else the purpose's, else one signer by any algorithm."""
        found = {rule.site: rule for rule in self.rules if rule.purpose == purpose}
        return found.get(site) or found.get("") or _default(purpose)

    def objection(self, signers: Iterable[Signer], purpose: str, site: str) -> str | None:
        """Why these signatures do not suffice, or None where they do."""
        rule = self.rule(purpose, site)
        counting = [s for s in signers if not rule.algorithms or s.key.algorithm in rule.algorithms]
        people = count(signer.owner for signer in counting)
        if people >= rule.signers:
            return None
        of = f" by {' or '.join(rule.algorithms)}" if rule.algorithms else ""
        return f"signed by {people} of {rule.signers} distinct owners{of} that {purpose} from {site or 'here'} takes"


def check_owner(owner: str) -> None:
    """Raises UsageError for a name that could pass for another one: empty, with characters that nobody sees, or with
    letters of two alphabets in a word."""
    if not owner.strip():
        raise UsageError("a key needs an owner", remedy="say whose it is with --owner")
    if any(is_unseen(letter) for letter in owner):
        raise UsageError("an owner's name has characters that nobody sees", thing=ascii(owner)[:80], remedy="type it")
    for word in owner.split():
        alphabets = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
        if len(alphabets & _ALIKE) > 1:
            raise UsageError(
                "an owner's name has letters of two alphabets in a word",
                thing=ascii(word)[:80],
                remedy="type it in one",
            )


def _default(purpose: str) -> SignerRule:
    return SignerRule(purpose=purpose, site="", signers=1, algorithms=[], gaps=False, silence_days=0)


def check_rules(rules: Iterable[SignerRule], purposes: Iterable[str]) -> tuple[SignerRule, ...]:
    """The rules, each possible and their order the one form. Raises MalformedError naming the field."""
    found = tuple(rules)
    places = [(rule.purpose, rule.site) for rule in found]
    if places != sorted(set(places)):
        raise MalformedError("its rules are out of order or have doubles")
    for rule in found:
        if rule.purpose not in purposes:
            raise MalformedError(
                "a rule for an unknown purpose", thing=rule.purpose[:60], remedy=f"use one of {', '.join(purposes)}"
            )
        if rule.site:
            check_site(rule.site)
        if not 1 <= rule.signers <= limits.SIGNATURES:
            raise MalformedError("a rule takes 1 signer at least", thing=str(rule.signers))
        if not set(rule.algorithms) <= set(KNOWN_ALGORITHMS) or rule.algorithms != sorted(set(rule.algorithms)):
            raise MalformedError(
                "a rule's algorithms are unknown or out of order", thing=", ".join(rule.algorithms)[:120]
            )
        if not 0 <= rule.silence_days <= limits.SILENCE_DAYS:
            raise MalformedError("a rule's silence_days are out of range", thing=str(rule.silence_days))
    return found
