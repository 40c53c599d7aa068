"""Images that a repository shows and that the content rules which its gates ask have not looked into: pushed before the
policy asked them, or looked into by other settings."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.advisories.seals import index_key
from appliance.content_records import standing_of
from appliance.gates.wanted import Wanted, rules_of
from appliance.image_signatures.applied import load_applied
from appliance.scanning.images import is_image
from appliance.settings.content_rules import asked_rules
from appliance.settings.gates import Gate
from appliance.station import Station
from appliance.store.reads.components import images_shown


class Unlooked:
    """Finds them; what was found to be looked into is asked again where other rules are asked."""

    def __init__(self) -> None:
        self._asked: tuple[Sequence[Gate], dict[str, Wanted | None]] | None = None
        self._looked = set[tuple[str, str]]()
        """Images, each with a repository whose gates have what they ask for, or where a look was begun."""

    def find(self, station: Station) -> list[tuple[str, str]]:
        """(repository, image) of each. Blocking. Raises as `load_applied`."""
        applied = load_applied(station.paths)
        gates = [] if applied is None else [gate for gate in applied.policy.gate if gate.rules and gate.mode != "off"]
        if applied is None or not gates:
            return []
        asked = gates, rules_of(applied.policy.content_rule).wanted
        if asked != self._asked:
            self._asked, self._looked = asked, set()
        found = dict[str, str]()
        for repository, image in images_shown(station.reader):
            if (repository, image) in self._looked or image in found:
                continue
            if self._is_looked_into(station, *asked, repository, image):
                self._looked.add((repository, image))
            else:
                found[image] = repository
        return [(repository, image) for image, repository in found.items()]

    def begun(self, found: Sequence[tuple[str, str]]) -> None:
        """A look at these was begun: a rule that cannot look into one is not asked again and again."""
        self._looked.update(found)

    def _is_looked_into(
        self, station: Station, gates: Sequence[Gate], wanted: dict[str, Wanted | None], repository: str, image: str
    ) -> bool:
        names = {
            name
            for gate in gates
            if gate.names(repository)
            for name, _ in asked_rules(gate.rules, list(wanted))
        }  # fmt: skip
        identities = {name: rule.identity for name in names if (rule := wanted.get(name)) is not None}
        if not identities or not is_image(station, image):
            return True
        [kept] = standing_of(station.reader, index_key(station.paths), [image])
        return all(name in kept and kept[name].identity == identity for name, identity in identities.items())
