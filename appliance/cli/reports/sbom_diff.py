"""What two artifacts differ in: components added, removed and updated."""

from __future__ import annotations

from typing import Any

from appliance.advisories import purl as purls
from appliance.advisories.names import lookup_name
from appliance.api.scanning import ListedPackage, Packages


def difference(before: Packages, now: Packages) -> dict[str, Any]:
    """`added` and `removed` components {name, type, versions}, `updated` {name, type, before, now}, by name; `same` is
    how many others there are. A component is a package's type and name, whatever the image of an index that has it."""
    old, new = _versions(before), _versions(now)
    changed = [key for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]
    return {
        "before": _side(before),
        "now": _side(now),
        "added": [_named(key) | {"versions": sorted(new[key])} for key in sorted(new.keys() - old.keys())],
        "removed": [_named(key) | {"versions": sorted(old[key])} for key in sorted(old.keys() - new.keys())],
        "updated": [_named(key) | {"before": sorted(old[key]), "now": sorted(new[key])} for key in changed],
        "same": len(old.keys() & new.keys()) - len(changed),
    }


def _side(found: Packages) -> dict[str, Any]:
    return {"reference": found.reference, "digest": found.digest, "complete": found.complete}


def _versions(found: Packages) -> dict[tuple[str, str], set[str]]:
    """The versions of each component. What others say of an image that was not scanned here is no ground to compare."""
    versions = dict[tuple[str, str], set[str]]()
    for image in found.images:
        for one in image.packages if image.state == "scanned" else ():
            versions.setdefault(_key(one), set()).add(one.version)
    return versions


def _key(one: ListedPackage) -> tuple[str, str]:
    found = purls.parse(one.purl) if one.purl else None
    return (one.name, "") if found is None else (lookup_name(found.ecosystem, found.full_name), found.type)


def _named(key: tuple[str, str]) -> dict[str, Any]:
    return {"name": key[0], "type": key[1]}
