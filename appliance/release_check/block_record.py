"""What the audit log says of blocks, and what a cut of the log keeps of that.

A cut keeps lines `{"blocks": {digest: [why, actor, at, exact]}, "whole"}` of the blocks in force, null for one of which
that cannot be told. It has one at least: a cut without any is one of an earlier version, which kept nothing of blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from bundles.io import strict_json

_CHUNK: Final = 100
_NEAR: Final = 60
"""Seconds between an event of an earlier version, which does not say when the block is of, and the block's row."""


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """A block by its event. `exact`: whether the event itself says `at`; its own time is near it otherwise."""

    why: str
    actor: str
    at: str
    exact: bool = True

    def is_row(self, why: str, actor: str, created: str) -> bool:
        """Whether a row of the database is this block."""
        if (why, actor) != (self.why, self.actor):
            return False
        if self.exact:
            return created == self.at
        try:
            return abs(clock.seconds(created) - clock.seconds(self.at)) <= _NEAR
        except ValueError:
            return False


@dataclass(slots=True)
class BlockRecord:
    """`said`: of each digest what the newest act says, None where it was unblocked. `unsure`: those of which a prune
    kept an act that was taken back since, so that nobody can tell. `whole`: whether every act about blocks is known;
    `kept`: whether a cut kept any of it."""

    said: dict[str, BlockEvent | None] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    whole: bool = True
    kept: bool = False

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        if act not in (Act.BLOCK, Act.UNBLOCK):
            return
        detail = event["detail"]
        block = None
        if act == Act.BLOCK:
            at = str(detail.get("at", ""))
            block = BlockEvent(str(detail.get("why", "")), str(event["actor"]), at or str(event["time"]), at != "")
        self.said.setdefault(str(event["thing"]), block)

    def go_on_from(self, base: BlockRecord, taken_back: Iterable[tuple[Act | None, str]]) -> None:
        """Add what a cut kept, beneath what came after it."""
        undone = {thing for act, thing in taken_back if act in (Act.BLOCK, Act.UNBLOCK)}
        for digest, block in base.said.items():
            if digest not in undone:
                self.said.setdefault(digest, block)
        self.unsure |= {digest for digest in undone | base.unsure if digest not in self.said}
        self.whole = base.whole and base.kept

    def take(self, said: Mapping[str, Any]) -> None:
        """Add a line of a cut. Raises as its parts do where it is none."""
        self.whole, self.kept = bool(said["whole"]), True
        for digest, block in said["blocks"].items():
            if block is None:
                self.unsure.add(digest)
            else:
                why, actor, at, exact = block
                self.said[digest] = BlockEvent(str(why), str(actor), str(at), bool(exact))

    def lines(self) -> Iterator[bytes]:
        """What a cut keeps."""
        kept: list[tuple[str, list[Any] | None]] = [
            (digest, [block.why, block.actor, block.at, block.exact])
            for digest, block in sorted(self.said.items())
            if block is not None
        ]
        kept += [(digest, None) for digest in sorted(self.unsure)]
        for at in range(0, max(len(kept), 1), _CHUNK):
            yield strict_json.canonical({"blocks": dict(kept[at : at + _CHUNK]), "whole": self.whole}) + b"\n"
