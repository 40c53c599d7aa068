"""The port by which a request asks whether what it names is what the policy for images wants.

Who decides stands above the registry (appliance.image_signatures.pulls); a registry without one asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from appliance.settings.gates import Stage
from appliance.store.writes.rows import Kind
from bundles.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Objection:
    """Why something is not signed as a rule asks, or does not pass a gate (`by`).

    `enforced`: it is not to be pulled; else it only warns. `policy` and `rule` are the numbers of the policy and of the
    rule or gate, 0 where it is not known which policy is in force; `why` says in words what is lacking, and `asks` what
    would satisfy it. `missing`: its own bytes are not in the store. `pending` is everything that is lacking, line by
    line, where gates say it.
    """

    enforced: bool
    digest: str
    policy: int
    rule: int
    why: str
    asks: str
    missing: bool = False
    by: Literal["rule", "gate"] = "rule"
    pending: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """One line."""
        return f"{self.by} {self.rule} of the policy for images: {self.why}" if self.rule else self.why


class PullPolicy(Protocol):
    """Decides what may be pulled; one worker's."""

    def is_idle(self) -> bool:
        """Whether nothing is asked of any image, as far as was looked at a moment ago. Two comparisons."""
        ...

    def stands(self, repository: str, digest: Digest, kind: Kind, change: int | None = None) -> bool:
        """Whether it is known now, without any wait, that `objection` would find none. False says nothing. `change`:
        `Metadata.change_of` the repository, where the caller knows it of this moment."""
        ...

    async def objection(self, repository: str, digest: Digest, kind: Kind) -> Objection | None:
        """Why the repository's manifest or blob is not as it should be; None where it is, or nothing is asked.
        Raises LockgateError where that cannot be found out."""
        ...

    async def stage(self, repository: str) -> Stage | None:
        """The stage that a repository belongs to. Raises RefusedError where it is not known what the policy says."""
        ...


class NothingAsked:
    """No policy at all."""

    def is_idle(self) -> bool:
        """As PullPolicy.is_idle."""
        return True

    def stands(self, repository: str, digest: Digest, kind: Kind, change: int | None = None) -> bool:
        """As PullPolicy.stands."""
        return True

    async def objection(self, repository: str, digest: Digest, kind: Kind) -> Objection | None:
        """As PullPolicy.objection."""
        return None

    async def stage(self, repository: str) -> Stage | None:
        """As PullPolicy.stage."""
        return None
