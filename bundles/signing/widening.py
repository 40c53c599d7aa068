"""What pinning a key would add to one that is pinned already: more than its owner was asked about before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bundles.signing.trust import PURPOSES, TrustFolder


@dataclass(frozen=True, slots=True)
class Widening:
    """`pinned`: what the key counts for now, in words. `added`: what would come to that, a text each; empty where it
    would count for no more than now."""

    pinned: str
    added: tuple[str, ...]


def widening(
    folder: TrustFolder,
    keyid: str,
    *,
    purpose: str,
    owner: str,
    sites: Sequence[str] = (),
    not_before: str | None = None,
    not_after: str | None = None,
) -> Widening | None:
    """What `trust_key` would add to a pinned key; None for a key that is not pinned, and where `trust_key` refuses
    it: a revoked key, another owner, a purpose that is none."""
    known = folder.find(keyid)
    if known is None or known.revoked is not None or known.owner != owner or purpose not in PURPOSES:
        return None
    new_sites = [site for site in dict.fromkeys(sites) if site not in known.sites]
    added = [
        *([] if purpose in known.purposes else [f"purpose {purpose}"]),
        *(f"site {site}" for site in new_sites),
        *([f"from {not_before}"] if not_before and known.not_before and not_before < known.not_before else []),
        *([f"until {not_after}"] if not_after and known.not_after and not_after > known.not_after else []),
    ]
    places = f" from {', '.join(known.sites)}" if known.sites else ""
    return Widening(f"{', '.join(known.purposes)}{places}", tuple(added))
