"""Pinned keys and rules in words. Pure."""

from __future__ import annotations

from appliance.api.trust import TrustedKey, TrustRule
from bundles.io.display import safe
from tui.terminal.texts import words


def key_state(key: TrustedKey, now: str) -> tuple[str, str]:
    """Whether a key is believed now, as mark and word, and the role."""
    if key.revoked:
        return "[!!] revoked", "bad"
    if key.not_after is not None and key.not_after < now:
        return "[!!] expired", "bad"
    if key.not_before is not None and key.not_before > now:
        return "[--] not yet", "wait"
    return "[ok] valid", "ok"


def validity(key: TrustedKey) -> str:
    """`2025-01-01 to 2027-12-31`; an end that is open is said so."""
    since, until = (safe(time[:10]) if time else "" for time in (key.not_before, key.not_after))
    if not since and not until:
        return "at any time"
    return f"{since or 'from ever'} to {until or 'ever'}"


def rule_text(rule: TrustRule) -> str:
    """What a rule demands, in a line."""
    demands = [f"{rule.signers} owners" if rule.signers > 1 else "1 owner"]
    if rule.algorithms:
        demands.append(f"by {' or '.join(safe(one) for one in rule.algorithms)}")
    if rule.gaps:
        demands.append("gaps allowed")
    if rule.silence_days:
        demands.append(f"silence alarm {rule.silence_days} d")
    of = f" from {safe(rule.site)}" if rule.site else ""
    return f"{safe(rule.purpose)}{of}: {', '.join(demands)}"


def searched(key: TrustedKey) -> str:
    """What a filter looks at."""
    return f"{key.keyid} {key.owner} {words(key.purposes)} {words(key.sites)}".lower()
