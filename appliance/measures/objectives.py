"""Which objective a repository belongs to: the first whose patterns cover its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.measures.catalogue import OTHER, layout
from appliance.measures.series import Layout
from appliance.patterns import EVERYTHING, covers
from appliance.settings.slo import ALL, SloSettings

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


def of_site(settings: SloSettings) -> tuple[Objectives, Layout]:
    """A site's objectives, and the layout that counts for them."""
    named = settings.named()
    objectives = Objectives([(name, one.repositories) for name, one in named.items()])
    return objectives, layout(objectives.names, [one.pull_seconds for one in named.values()])
