"""Which objective a repository belongs to: the first whose patterns cover its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.measures.catalogue import ALL, OTHER
from appliance.patterns import EVERYTHING, covers

_KNOWN: Final = 4096
"""Names whose objective is remembered: clients choose names."""


class Objectives:
    """The objectives of a site in their order, each with its patterns."""

    def __init__(self, patterns: Sequence[tuple[str, Sequence[str]]] = ((ALL, (EVERYTHING,)),)) -> None:
        self._patterns = patterns
        rest = () if any(EVERYTHING in each for _, each in patterns) else (OTHER,)
        self.names: Final = (*(name for name, _ in patterns), *rest)
        """The label values; the last is `other` where not every repository has an objective."""
        self._known: dict[str, int] = {}

    def of(self, repository: str) -> int:
        """The place in `names` of a repository's objective."""
        found = self._known.get(repository)
        if found is None:
            found = next((place for place, (_, each) in enumerate(self._patterns)
                          if any(covers(pattern, repository) for pattern in each)), len(self.names) - 1)  # fmt: skip
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[repository] = found
        return found
