"""What a rebuild cannot tell from the audit log: acts on one thing that stand in several lanes, in a time in which the
clock was set back, so that nothing proves which of them was the last."""

from __future__ import annotations

from appliance.audit.event_order import EventOrder, Place

Key = tuple[str, ...]
"""What acts are about, such as ("tag", repository, tag)."""


class Doubts:
    """Keeps the acts of which none is proven to be the last. Holds what happened in doubtful times alone."""

    def __init__(self, order: EventOrder) -> None:
        self._order = order
        self._standing: dict[Key, list[tuple[Place, str]]] = {}

    def note(self, key: Key, value: str, place: Place) -> None:
        """An act gave `key` a value; acts are told in the log's order."""
        if not self._order.is_doubtful(place):
            self._standing.pop(key, None)
            return
        standing = self._standing.get(key, [])
        left = [one for one in standing if not self._order.is_after(place, one[0])]
        self._standing[key] = [*left, (place, value)]

    def replace(self, place: Place, about: Key, value: str, new: str) -> None:
        """An act that is proven to be later made `new` of `value`, of everything whose key begins with `about`."""
        for key, standing in self._standing.items():
            if key[: len(about)] == about:
                self._standing[key] = [
                    (one, new if held == value and self._order.is_after(place, one) else held) for one, held in standing
                ]

    def found(self) -> list[tuple[Key, list[str]]]:
        """Each thing of which acts with several values may have been the last, and these values."""
        values = ((key, sorted({value for _, value in standing})) for key, standing in self._standing.items())
        return sorted((key, each) for key, each in values if len(each) > 1)
