"""SBOMs of the station's own index: CycloneDX 1.6 and SPDX 2.3."""

from __future__ import annotations

import uuid
from typing import Any, Final

from appliance.api.scanning import ImagePackages, ListedPackage, Packages
from appliance.cli.reports.common import VERSION, oci_purl

_NAMESPACE: Final = uuid.UUID("3f0b7f53-8f38-5b0b-8a1d-2a0d0c6a7e44")
"""Of the names from which the documents' ids are made."""
_GAP: Final = "lockgate:gap"


def _gap(image: ImagePackages) -> str:
    """What is not known of an image; "" where it was looked at as a whole."""
    if image.state == "scanned":
        return image.why or ("" if image.packages else "no package was found")
    return f"{image.state}: {image.why}" if image.why else image.state


def cyclonedx(found: Packages, at: str) -> dict[str, Any]:
    """The document, made at a time. An image that this station did not look at as a whole makes it incomplete."""
    components = [_container(found, image) for image in found.images]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{found.reference} {found.digest} {at}')}",
        "version": 1,
        "metadata": {
            "timestamp": at,
            "tools": {"components": [{"type": "application", "name": "lockgate", "version": VERSION}]},
            "component": {"type": "container", "bom-ref": "artifact", "name": found.reference, "version": found.digest},
        },
        "components": components,
        "compositions": [
            {"aggregate": "incomplete" if _gap(image) else "complete", "assemblies": [image.digest]}
            for image in found.images
        ],
    }


def _container(found: Packages, image: ImagePackages) -> dict[str, Any]:
    properties = [("lockgate:platform", image.platform), (_GAP, _gap(image))]
    listed = [_component(image, number, one) for number, one in enumerate(image.packages)]
    return {
        "type": "container", "bom-ref": image.digest, "name": found.reference, "version": image.digest,
        "purl": oci_purl(found.reference, image.digest),
        "properties": [{"name": name, "value": value} for name, value in properties if value],
        **({"components": listed} if listed else {}),
    }  # fmt: skip


def _component(image: ImagePackages, number: int, one: ListedPackage) -> dict[str, Any]:
    return {
        "type": "library", "bom-ref": f"{image.digest} {number}", "name": one.name, "version": one.version,
        **({"purl": one.purl} if one.purl else {}),
        **({"evidence": {"occurrences": [{"location": one.path}]}} if one.path else {}),
    }  # fmt: skip


def spdx(found: Packages, at: str) -> dict[str, Any]:
    """The document, made at a time. What is not known of an image stands in its comment, and in the document's."""
    packages, relations = list[dict[str, Any]](), list[dict[str, str]]()
    for place, image in enumerate(found.images):
        name = f"SPDXRef-image-{place}"
        gap = _gap(image)
        packages.append(
            _package(name, found.reference, image.digest, oci_purl(found.reference, image.digest))
            | {"primaryPackagePurpose": "CONTAINER", "comment": gap or f"platform {image.platform or 'not named'}"}
        )
        relations.append(_related("SPDXRef-DOCUMENT", "DESCRIBES", name))
        for number, one in enumerate(image.packages):
            inner = f"SPDXRef-package-{place}-{number}"
            described = _package(inner, one.name, one.version, one.purl)
            packages.append(described | ({"sourceInfo": f"found at {one.path}"} if one.path else {}))
            relations.append(_related(name, "CONTAINS", inner))
    gaps = [f"{image.digest}: {_gap(image)}" for image in found.images if _gap(image)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": found.reference,
        "documentNamespace": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'spdx {found.reference} {found.digest} {at}')}",
        "creationInfo": {"created": at, "creators": [f"Tool: lockgate-{VERSION}"]},
        **({"comment": f"Incomplete: {'; '.join(gaps)}"} if gaps else {}),
        "packages": packages,
        "relationships": relations,
    }


def _package(identity: str, name: str, version: str, purl: str) -> dict[str, Any]:
    outside = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
    return {
        "SPDXID": identity, "name": name or "unnamed", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        **({"versionInfo": version} if version else {}),
        **({"externalRefs": [outside]} if purl else {}),
    }  # fmt: skip


def _related(one: str, how: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
