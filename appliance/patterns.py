"""Whether a pattern covers a repository's name, in time linear in the name: no step is ever taken back.

A caller chooses names, and whoever grants a role chooses patterns; a regular expression of twenty `*` would try every
way to divide a name among them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

EVERYTHING: Final = "**"
"""As a whole component of a pattern: one component or more. A `*` stands for any part of one component."""


def covers(pattern: str, name: str) -> bool:
    """Whether the whole of `name` is what `pattern` says."""
    return _read(pattern).covers(name)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern as states between its characters, a bit each: bit `i` is set where all before character `i` is met.

    `steps`: by character, the states that it leads on from; `any_step` those that every character leads on from.
    `stays`: the states that every character stays in, and `stays_within` those that all but a slash do. A pattern with
    one wildcard at most is compared as `before`, what it stands for, and `after`; `wild` is then "", `*` or `**`.
    """

    steps: dict[str, int]
    any_step: int
    stays: int
    stays_within: int
    end: int
    simple: bool
    before: str
    wild: str
    after: str

    def covers(self, name: str) -> bool:
        if self.simple:
            return self._covers_simply(name)
        states = 1
        for character in name:
            stays = self.stays if character == "/" else self.stays | self.stays_within
            states = (states & (self.steps.get(character, 0) | self.any_step)) << 1 | states & stays
            if not states:
                return False
        return bool(states & self.end)

    def _covers_simply(self, name: str) -> bool:
        if not self.wild:
            return name == self.before
        start, stop = len(self.before), len(name) - len(self.after)
        if not (name.startswith(self.before) and name.endswith(self.after)):
            return False
        return start < stop if self.wild == EVERYTHING else start <= stop and "/" not in name[start:stop]


@functools.lru_cache(maxsize=4096)
def _read(pattern: str) -> _Pattern:
    steps: dict[str, int] = {}
    any_step = stays = stays_within = 0
    state, wilds = 1, list[str]()

    def step(character: str) -> None:
        nonlocal state
        steps[character] = steps.get(character, 0) | state
        state <<= 1

    for number, component in enumerate(pattern.split("/")):
        if number:
            step("/")
        if component == EVERYTHING:
            wilds.append(EVERYTHING)
            any_step |= state
            state <<= 1
            stays |= state
            continue
        for character in component:
            if character == "*":
                wilds.append("*")
                stays_within |= state
            else:
                step(character)
    wild = wilds[0] if len(wilds) == 1 else ""
    before, _, after = pattern.partition(wild) if wild else (pattern, "", "")
    return _Pattern(steps, any_step, stays, stays_within, state, len(wilds) <= 1, before, wild, after)
