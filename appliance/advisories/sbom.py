"""The packages that an SBOM lists (CycloneDX 1.4 to 1.6, components; SPDX 2.3, packages), read within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.advisories.licenses import texts_of
from appliance.advisories.packages import Package, check_sizes, package_of
from appliance.limits import sbom as sbom_limits
from appliance.limits import scanning as limits
from bundles.errors import MalformedError
from bundles.io import strict_json

_NO_PACKAGES: Final = frozenset({"file", "operating-system", "container", "device", "platform", "data"})
"""Types of CycloneDX components that no advisory is about."""
_PATH: Final = "syft:location:0:path"
_SOURCE: Final = "syft:metadata:source"
_SOURCE_VERSION: Final = "syft:metadata:sourceVersion"
_UNREAD: Final = "lockgate:unread-layer"


@dataclass(frozen=True, slots=True)
class Listed:
    """What an SBOM lists: packages with the path where each was found (or ""), the layers that its maker could not
    look into, and what it says of each package's licenses (appliance.advisories.licenses)."""

    packages: tuple[tuple[Package, str], ...]
    unread_layers: tuple[str, ...] = ()
    licenses: Mapping[Package, tuple[str, ...]] = field(default_factory=dict)


def read_sbom(raw: bytes) -> Listed:
    """The packages in a document. Raises MalformedError for what is no SBOM, or beyond a ceiling."""
    document = strict_json.loads(
        raw, ceiling=sbom_limits.SBOM_DOCUMENT, nodes=sbom_limits.SBOM_NODES, what="an SBOM", floats=True,
        memory=sbom_limits.SBOM_DECODED,
    )  # fmt: skip
    return listed_in(document)


def listed_in(document: Any) -> Listed:
    """The packages in a decoded document. Raises MalformedError as `read_sbom`."""
    if isinstance(document, dict) and isinstance(document.get("bomFormat"), str):
        found, unread = _cyclonedx(document), _unread(document)
    elif isinstance(document, dict) and isinstance(document.get("spdxVersion"), str):
        found, unread = _spdx(document), ()
    else:
        raise MalformedError("an SBOM is neither CycloneDX nor SPDX", remedy="make it with syft")
    packages, licenses = dict[Package, str](), dict[Package, tuple[str, ...]]()
    for package, path, said in found:
        if not check_sizes(package):
            raise MalformedError("an SBOM names a package at too great length", thing=package.label[:80])
        packages.setdefault(package, path)
        licenses[package] = texts_of((*licenses.get(package, ()), *said))
        if len(packages) > limits.SBOM_PACKAGES:
            raise MalformedError("an SBOM lists too many packages", thing=f"more than {limits.SBOM_PACKAGES}")
    return Listed(tuple(packages.items()), unread, licenses)


_Found = tuple[Package, str, list[str]]
"""A package, its path, and its licenses."""


def _cyclonedx(document: dict[str, Any]) -> Iterator[_Found]:
    components = list(_components(document))
    system = next(
        ((_text(one, "name"), _text(one, "version")) for one in components if one.get("type") == "operating-system"),
        ("", ""),
    )
    for one in components:
        if one.get("type") in _NO_PACKAGES and not _text(one, "purl"):
            continue
        properties = _properties(one)
        source = properties.get(_SOURCE, "")
        if source and (version := properties.get(_SOURCE_VERSION)):
            source = f"{source}@{version}"
        package = package_of(_text(one, "purl"), _text(one, "name"), _text(one, "version"), system, source)
        yield package, properties.get(_PATH, "")[: limits.PACKAGE_TEXT], list(_licenses(one))


def _licenses(component: dict[str, Any]) -> Iterator[str]:
    """What a component says of its licenses: an expression, or licenses by id or name."""
    for one in _list(component, "licenses"):
        if not isinstance(one, dict):
            raise MalformedError("an SBOM lists what is no license")
        given = one.get("license")
        named = given if isinstance(given, dict) else {}
        text = _text(one, "expression") or _text(named, "id") or _text(named, "name")
        yield text


def _components(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Components and those within them, without a stack of calls: how deep they nest is capped by the reader."""
    left = list(reversed(_list(document, "components")))
    while left:
        one = left.pop()
        if not isinstance(one, dict):
            raise MalformedError("an SBOM lists what is no component")
        yield one
        left += reversed(_list(one, "components"))


def _spdx(document: dict[str, Any]) -> Iterator[_Found]:
    for one in _list(document, "packages"):
        if not isinstance(one, dict):
            raise MalformedError("an SBOM lists what is no package")
        named = [
            _text(reference, "referenceLocator")
            for reference in _list(one, "externalRefs")
            if isinstance(reference, dict) and reference.get("referenceType") == "purl"
        ]
        if _text(one, "primaryPackagePurpose") in ("CONTAINER", "FILE", "OPERATING-SYSTEM") and not named:
            continue
        package = package_of(named[0] if named else "", _text(one, "name"), _text(one, "versionInfo"))
        yield package, "", [text] if (text := _text(one, "licenseDeclared")) else []


def _unread(document: dict[str, Any]) -> tuple[str, ...]:
    metadata = document.get("metadata")
    listed = _list(metadata, "properties") if isinstance(metadata, dict) else []
    return tuple(
        _text(one, "value")[: limits.PACKAGE_TEXT]
        for one in listed
        if isinstance(one, dict) and one.get("name") == _UNREAD
    )


def _properties(component: dict[str, Any]) -> dict[str, str]:
    return {_text(one, "name"): _text(one, "value") for one in _list(component, "properties") if isinstance(one, dict)}


def _list(holder: dict[str, Any], name: str) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedError(f"an SBOM's {name} are no list")
    return value


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
