"""OpenVEX 0.2.0 (https://openvex.dev/ns), read strictly: a field that is not known might narrow what is said."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from appliance import clock
from appliance.advisories.vex.statements import (
    JUSTIFICATIONS,
    NOT_AFFECTED,
    Document,
    Product,
    Statement,
    digest_or_none,
    document_of,
    moment_of,
    pairs,
)
from appliance.limits import scanning as limits

_CONTEXT: Final = "https://openvex.dev/ns"
_HASHES: Final = {"sha-256": "sha256", "sha-512": "sha512"}
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.VEX_TEXT)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ADVISORY_ID)]


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Vulnerability(_Strict):
    name: _Id
    id_: str | None = msgspec.field(default=None, name="@id")
    description: str | None = None
    aliases: list[_Id] | None = None


class _Component(_Strict):
    id_: _Text | None = msgspec.field(default=None, name="@id")
    identifiers: dict[str, _Text] | None = None
    hashes: dict[str, str] | None = None
    supplier: str | None = None


class _Product(_Component):
    subcomponents: list[_Component] | None = None


class _Statement(_Strict):
    vulnerability: _Vulnerability
    status: Literal["not_affected", "affected", "fixed", "under_investigation"]
    products: Annotated[list[_Product], msgspec.Meta(min_length=1)]
    id_: str | None = msgspec.field(default=None, name="@id")
    version: int | None = None
    timestamp: str | None = None
    last_updated: str | None = None
    supplier: str | None = None
    status_notes: str | None = None
    justification: str | None = None
    impact_statement: str | None = None
    action_statement: str | None = None
    action_statement_timestamp: str | None = None


class _Document(_Strict):
    context: str = msgspec.field(name="@context")
    id_: _Text = msgspec.field(name="@id")
    author: _Text
    timestamp: str
    version: int
    statements: Annotated[list[_Statement], msgspec.Meta(min_length=1)]
    type_: str | None = msgspec.field(default=None, name="@type")
    role: str | None = None
    last_updated: str | None = None
    tooling: str | None = None
    supplier: str | None = None


def read_openvex(fields: Any) -> Document:
    """The document of decoded JSON. Raises MalformedError."""
    return document_of(fields, _Document, _read)


def _read(document: _Document) -> Document:
    if document.context != _CONTEXT and not document.context.startswith(f"{_CONTEXT}/"):
        raise ValueError(f"@context is {document.context}")
    statements, unmatched = list[Statement](), 0
    for number, one in enumerate(document.statements, 1):
        made, left = _statements(document, one, number)
        statements += made
        unmatched += left
        if len(statements) > limits.VEX_ROWS:
            break
    at = moment_of(document.last_updated or document.timestamp)
    return Document(document.id_, at, len(document.statements), tuple(statements), unmatched)


def _statements(document: _Document, one: _Statement, number: int) -> tuple[list[Statement], int]:
    """A statement for each name of the vulnerability and each pair that can be compared; and how many cannot."""
    if one.status == NOT_AFFECTED:
        if one.justification is None and not (one.impact_statement or "").strip():
            raise ValueError(f"statement {number}: not_affected without a justification or an impact_statement")
        if one.justification is not None and one.justification not in JUSTIFICATIONS:
            raise ValueError(f"statement {number}: justification is {one.justification}")
    at = clock.at(moment_of(one.last_updated or one.timestamp or document.timestamp).timestamp())
    why = (one.impact_statement or one.action_statement or one.status_notes or "")[: limits.ADVISORY_SUMMARY]
    names = dict.fromkeys((one.vulnerability.name, *(one.vulnerability.aliases or ())))
    made, unmatched = list[Statement](), 0
    for product in one.products:
        found = list(pairs(_named(product), [_named(each) for each in product.subcomponents or ()]))
        unmatched += not found
        if (len(made) + len(found)) * len(names) > limits.VEX_ROWS:
            raise ValueError(f"statement {number}: more than {limits.VEX_ROWS} combinations")
        made += [
            Statement(name, *pair, one.status, one.justification or "", why, at, document.id_)
            for pair in found
            for name in names
        ]
    return made, unmatched


def _named(component: _Component) -> Product:
    digests = [
        digest
        for name, value in (component.hashes or {}).items()
        if name in _HASHES and (digest := digest_or_none(f"{_HASHES[name]}:{value}"))
    ]
    texts = [component.id_ or "", (component.identifiers or {}).get("purl", "")]
    return Product(tuple(digests), tuple(dict.fromkeys(text for text in texts if text.startswith("pkg:"))))
