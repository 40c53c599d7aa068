"""What the signatures of an image come to: one state for each manifest of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bundles.image_signatures.verdict import Claim, Refusal, Verdict
from bundles.oci.digest import Digest

State = Literal["signed", "through-index", "refused", "unsigned", "not-read"]
"""`signed`: by a key that is pinned here; `through-index`: an index that names it is; `refused`: there are signatures,
and none counts; `unsigned`: there is none; `not-read`: a document that belongs to them is not here, or was not read."""

_NOT_READ: Final = frozenset({Refusal.MISSING, Refusal.ALTERED})


@dataclass(frozen=True, slots=True)
class Found:
    """An image or index, and its verdicts. `through` is the digest of the signed index that names it; `beneath_unread`:
    an index that names it has a signature that is not whole here, which might cover it."""

    digest: Digest
    kind: str
    platform: str
    verdicts: tuple[Verdict, ...]
    through: Digest | None = None
    beneath_unread: bool = False

    @property
    def counting(self) -> list[Verdict]:
        """Its own signatures that count; attestations are none."""
        return [one for one in self.verdicts if one.verified and one.claim is Claim.SIGNATURE]

    @property
    def state(self) -> State:
        if self.counting:
            return "signed"
        if self.through is not None:
            return "through-index"
        signatures = [one for one in self.verdicts if one.claim is Claim.SIGNATURE]
        if any(one.refusal in _NOT_READ for one in signatures) or (self.beneath_unread and not signatures):
            return "not-read"
        return "refused" if signatures else "unsigned"

    @property
    def signed_by(self) -> list[str]:
        """Owners of the keys whose signatures count, each once."""
        return sorted({one.owner for one in self.counting})


def worst(found: Iterable[Found]) -> State:
    """The state of the whole: `signed` where each is signed or lies beneath a signed index, else the first that is
    not, in the order refused, unsigned, not read."""
    order: tuple[State, ...] = ("refused", "unsigned", "not-read")
    states = {one.state for one in found}
    return next((state for state in order if state in states), "signed")
