"""VEX documents, made for the purpose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

IMAGE = "sha256:" + "a" * 64
REQUESTS = "pkg:pypi/requests@2.19"


def product(image: str = IMAGE, *subcomponents: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": f"pkg:oci/app@{image.replace(':', '%3A')}?repository_url=registry.example/team"}
    return found | ({"subcomponents": [{"@id": one} for one in subcomponents]} if subcomponents else {})


def said(
    *products: dict[str, Any], name: str = "CVE-2024-1000", status: str = "not_affected", **more: Any
) -> dict[str, Any]:
    why = {"justification": "vulnerable_code_not_in_execute_path"} if status == "not_affected" else {}
    return {"vulnerability": {"name": name}, "products": list(products), "status": status} | why | more


def openvex(
    *statements: dict[str, Any], at: str = "2024-03-01T00:00:00Z", name: str = "https://vendor.example/vex-1",
    **more: Any,
) -> bytes:  # fmt: skip
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": name, "author": "Vendor", "timestamp": at, "version": 1}
    return json.dumps(head | {"statements": list(statements)} | more).encode()


def csaf(
    status: dict[str, Sequence[str]], *, flags: Sequence[str] = (), purls: dict[str, str] | None = None,
    composed: dict[str, tuple[str, str]] | None = None, at: str = "2024-03-01T00:00:00Z", **more: Any,
) -> bytes:  # fmt: skip
    purls = {"IMG": f"pkg:oci/app@{IMAGE}", "REQ": REQUESTS} if purls is None else purls
    composed = {"IMG:REQ": ("REQ", "IMG")} if composed is None else composed
    names = [
        {"product_id": name, "name": name, "product_identification_helper": {"purl": purl}}
        for name, purl in purls.items()
    ]
    branch: dict[str, Any] = {"category": "vendor", "name": "x", "branches": []}
    branch["branches"] = [{"category": "product_version", "name": "1", "product": one} for one in names]
    related = [
        {"category": "default_component_of", "product_reference": one, "relates_to_product_reference": other,
         "full_product_name": {"product_id": name, "name": name}}
        for name, (one, other) in composed.items()
    ]  # fmt: skip
    vulnerability: dict[str, Any] = {"cve": "CVE-2024-1000", "product_status": status}
    if flags:
        vulnerability["flags"] = [{"label": "vulnerable_code_not_present", "product_ids": list(flags)}]
    tracking = {"id": "V-1", "current_release_date": at, "status": "final", "version": "1"}
    head = {"category": "csaf_vex", "csaf_version": "2.0", "publisher": {"name": "Vendor"}, "tracking": tracking}
    tree = {"branches": [branch], "relationships": related}
    return json.dumps({"document": head, "product_tree": tree, "vulnerabilities": [vulnerability]} | more).encode()
