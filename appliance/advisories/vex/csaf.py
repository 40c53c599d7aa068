"""CSAF 2.0 documents of the VEX profile (section 4.5): products are named by the package URLs of their tree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final, Literal

import msgspec

from appliance import clock
from appliance.advisories.vex.statements import (
    JUSTIFICATIONS,
    NOT_AFFECTED,
    Document,
    Product,
    Statement,
    document_of,
    moment_of,
    pairs,
)
from appliance.limits import scanning as limits

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.VEX_TEXT)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ADVISORY_ID)]
_STATUS: Final = {
    "known_not_affected": "not_affected", "fixed": "fixed", "first_fixed": "fixed", "known_affected": "affected",
    "first_affected": "affected", "last_affected": "affected", "under_investigation": "under_investigation",
}  # fmt: skip
"""What CSAF's groups of products are in VEX's words; `recommended` is none."""


class _Tracking(msgspec.Struct):
    id: _Text
    current_release_date: str
    status: Literal["final", "interim"]
    version: str


class _Publisher(msgspec.Struct):
    name: _Text


class _Head(msgspec.Struct):
    category: Literal["csaf_vex"]
    csaf_version: Literal["2.0", "2.1"]
    publisher: _Publisher
    tracking: _Tracking


class _Helper(msgspec.Struct):
    purl: _Text | None = None
    purls: list[_Text] | None = None


class _FullName(msgspec.Struct):
    product_id: _Text
    product_identification_helper: _Helper | None = None


class _Branch(msgspec.Struct):
    branches: list[_Branch] | None = None
    product: _FullName | None = None


class _Relationship(msgspec.Struct):
    product_reference: _Text
    relates_to_product_reference: _Text
    full_product_name: _FullName


class _Group(msgspec.Struct):
    group_id: _Text
    product_ids: list[_Text]


class _Tree(msgspec.Struct):
    branches: list[_Branch] | None = None
    full_product_names: list[_FullName] | None = None
    relationships: list[_Relationship] | None = None
    product_groups: list[_Group] | None = None


class _Name(msgspec.Struct):
    text: _Id


class _Remark(msgspec.Struct):
    """A flag (with its label) or a threat (with category and details) about products."""

    label: str | None = None
    category: str | None = None
    details: str | None = None
    product_ids: list[_Text] | None = None
    group_ids: list[_Text] | None = None


class _Vulnerability(msgspec.Struct):
    product_status: dict[str, list[_Text]]
    cve: _Id | None = None
    ids: list[_Name] | None = None
    flags: list[_Remark] | None = None
    threats: list[_Remark] | None = None


class _Csaf(msgspec.Struct):
    document: _Head
    product_tree: _Tree
    vulnerabilities: Annotated[list[_Vulnerability], msgspec.Meta(min_length=1)]


def read_csaf(fields: Any) -> Document:
    """The document of decoded JSON. Raises MalformedError."""
    return document_of(fields, _Csaf, _read)


def _read(csaf: _Csaf) -> Document:
    products, composed = _products(csaf.product_tree)
    groups = {one.group_id: one.product_ids for one in csaf.product_tree.product_groups or ()}
    at = moment_of(csaf.document.tracking.current_release_date)
    head = (clock.at(at.timestamp()), f"{csaf.document.publisher.name}: {csaf.document.tracking.id}")
    statements, said, unmatched = list[Statement](), 0, 0
    for vulnerability in csaf.vulnerabilities:
        names = _names(vulnerability)
        for product, status, label, why in _said(vulnerability, groups):
            if product not in products and product not in composed:
                raise ValueError(f"{names[0]}: no product {product} in the product tree")
            said += 1
            found = list(islice(_pairs(product, products, composed), limits.VEX_ROWS + 1))
            unmatched += not found
            if len(statements) + len(found) * len(names) > limits.VEX_ROWS:
                raise ValueError(f"more than {limits.VEX_ROWS} combinations of vulnerability and product")
            statements += [Statement(name, *pair, status, label, why, *head) for pair in found for name in names]
    return Document(head[1], at, said, tuple(statements), unmatched)


def _products(tree: _Tree) -> tuple[dict[str, Product], dict[str, tuple[str, str]]]:
    """The products of the tree by their ids; and those composed of two others, (component, what it is part of)."""
    products, composed = dict[str, Product](), dict[str, tuple[str, str]]()
    for one in _full_names(tree):
        helper = one.product_identification_helper or _Helper()
        texts = [text for text in (helper.purl, *(helper.purls or ())) if text is not None]
        if products.setdefault(one.product_id, Product((), tuple(texts))).purls != tuple(texts):
            raise ValueError(f"two products have the id {one.product_id}")
    for each in tree.relationships or ():
        name = each.full_product_name.product_id
        if name in products or name in composed:
            raise ValueError(f"two products have the id {name}")
        composed[name] = (each.product_reference, each.relates_to_product_reference)
    return products, composed


def _full_names(tree: _Tree) -> Iterator[_FullName]:
    yield from tree.full_product_names or ()
    left = list(tree.branches or ())
    while left:
        branch = left.pop()
        left += branch.branches or ()
        if branch.product is not None:
            yield branch.product


def _pairs(name: str, products: dict[str, Product], composed: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What can be compared of a product. Of one that is composed of composed ones nothing can."""
    if name not in composed:
        yield from pairs(products[name], ())
        return
    component, whole = composed[name]
    if component in products and whole in products:
        yield from pairs(products[whole], [products[component]])


def _names(vulnerability: _Vulnerability) -> list[str]:
    names = [name for name in (vulnerability.cve, *(one.text for one in vulnerability.ids or ())) if name is not None]
    if not names:
        raise ValueError("a vulnerability without cve and ids")
    return list(dict.fromkeys(names))


def _said(vulnerability: _Vulnerability, groups: dict[str, list[str]]) -> Iterator[tuple[str, str, str, str]]:
    """Product, status, justification and text of each status. Raises ValueError for a product with two statuses, and
    for one that is not affected and of which nothing says why (CSAF 2.0, sections 6.1.6 and 4.5)."""
    labels, texts = dict[str, str](), dict[str, str]()
    for one in vulnerability.flags or ():
        if one.label in JUSTIFICATIONS:
            labels |= dict.fromkeys(_about(one, groups), one.label or "")
    for one in vulnerability.threats or ():
        if one.category == "impact" and (one.details or "").strip():
            texts |= dict.fromkeys(_about(one, groups), (one.details or "")[: limits.ADVISORY_SUMMARY])
    seen = dict[str, str]()
    for group, members in vulnerability.product_status.items():
        status = _STATUS.get(group)
        if status is None:
            continue
        for product in dict.fromkeys(members):
            if seen.setdefault(product, status) != status:
                raise ValueError(f"{_names(vulnerability)[0]}: {product} is {seen[product]} and {status}")
            if status == NOT_AFFECTED and product not in labels and product not in texts:
                raise ValueError(f"{_names(vulnerability)[0]}: nothing says why {product} is not affected")
            is_clear = status == NOT_AFFECTED
            yield product, status, labels.get(product, "") if is_clear else "", texts.get(product, "")


def _about(one: _Remark, groups: dict[str, list[str]]) -> Iterator[str]:
    yield from one.product_ids or ()
    for group in one.group_ids or ():
        yield from groups.get(group, ())
