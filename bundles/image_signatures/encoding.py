"""Base64 and JSON objects of signature documents, each in one form: what could be written in two ways is refused."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.oci.descriptor import exact_keys, expect_object, expect_string


def standard(data: Any, what: str) -> bytes:
    """Bytes of padded base64 (RFC 4648, section 4). Raises MalformedError: another alphabet, white space, wrong
    padding, or bits beyond the last byte, which would let one signature be written in several ways."""
    text = expect_string(data, what)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise MalformedError(f"{what} has slack in its base64")
    return raw


def url_safe(data: Any, what: str) -> bytes:
    """Bytes of base64url without padding (RFC 7515, section 2). Raises MalformedError as `standard`."""
    text = expect_string(data, what)
    if "=" in text or "+" in text or "/" in text:
        raise MalformedError(f"{what} is not base64url without padding")
    padded = text + "=" * (-len(text) % 4)
    return standard(padded.replace("-", "+").replace("_", "/"), what)


def either(data: Any, what: str) -> bytes:
    """Bytes of padded base64 in the standard or the URL-safe alphabet (DSSE, protocol.md). Raises MalformedError as
    `standard`, and for a text in both alphabets."""
    text = expect_string(data, what)
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise MalformedError(f"{what} mixes two alphabets of base64")
        text = text.replace("-", "+").replace("_", "/")
    return standard(text, what)


def read_object(
    raw: bytes, known: frozenset[str], what: str, *, ceiling: int = limits.IMAGE_SIGNATURE,
    nodes: int = limits.IMAGE_SIGNATURE_NODES, floats: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """A JSON object, its known keys in no other letters. Raises MalformedError, also for duplicate keys."""
    document = strict_json.loads(raw, ceiling=ceiling, nodes=nodes, what=what, floats=floats)
    return exact_keys(expect_object(document, what), known, what)


def closed(data: Any, required: frozenset[str], optional: frozenset[str], what: str) -> dict[str, Any]:
    """An object with the required keys, and no others than these and the optional ones. Raises MalformedError."""
    fields = expect_object(data, what)
    if not required <= fields.keys() <= required | optional:
        odd = sorted((required - fields.keys()) | (fields.keys() - required - optional))
        raise MalformedError(f"{what} lacks a field or has one of its own", thing=", ".join(map(ascii, odd))[:120])
    return fields


def texts(data: Any, what: str) -> dict[str, str]:
    """A map of texts, or nothing where it is absent or null. Raises MalformedError."""
    fields = {} if data is None else expect_object(data, what)
    return {expect_string(name, what): expect_string(value, what) for name, value in fields.items()}
