"""JSON from outside, read strictly: capped in size and depth before parsing, duplicate keys refused.

msgspec keeps the last of duplicate keys silently (threats: manifest confusion, CVE-2021-41190), so objects are
parsed here by the standard library with a hook, and msgspec converts the result to types.
Canonical bytes are RFC 8785; signed documents hold no floats, so number formatting never matters.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import rfc8785

from bundles import limits
from bundles.errors import MalformedError

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{}"'))


def depth_of(raw: bytes, ceiling: int) -> int:
    """The deepest nesting of arrays and objects, counted without parsing; stops one past `ceiling`."""
    depth = deepest = 0
    for bracket in _brackets(raw):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > ceiling:
                return deepest
        else:
            depth -= 1
    return deepest


def _brackets(raw: bytes) -> bytes:
    """The brackets outside strings. Where nothing is escaped and no string holds a bracket, two sweeps find them: each
    run of quotes that nothing stands between is then of whole strings."""
    if b"\\" not in raw:
        bare = raw.translate(None, _NO_STRUCTURE).replace(b'""', b"")
        if b'"' not in bare:
            return bare
    return _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise MalformedError("duplicate JSON key", thing=repr(twice)[:120], remedy="each key may stand once")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise MalformedError("not JSON", thing=name, remedy="NaN and Infinity are no JSON numbers")


def _no_float(text: str) -> NoReturn:
    raise MalformedError("a number that is not an integer", thing=text[:40], remedy="signed documents hold no floats")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > limits.INTEGER:
        raise MalformedError("an integer beyond 2^53-1", thing=text[:40], remedy="RFC 8785 keeps no larger ones")
    return int(text)


def loads(raw: bytes, *, ceiling: int, what: str, floats: bool = False) -> Any:
    """Parse JSON of at most `ceiling` bytes and `limits.JSON_DEPTH` levels. Raises MalformedError naming `what`."""
    if len(raw) > ceiling:
        raise MalformedError(f"{what} is too large", thing=f"{len(raw)} bytes", remedy=f"the ceiling is {ceiling}")
    if depth_of(raw, limits.JSON_DEPTH) > limits.JSON_DEPTH:
        raise MalformedError(f"{what} is nested too deep", remedy=f"the ceiling is {limits.JSON_DEPTH} levels")
    try:
        text = raw.decode("utf-8")
        return json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=float if floats else _no_float,
        )
    except MalformedError as error:
        raise MalformedError(f"{what}: {error.what}", thing=error.thing, remedy=error.remedy) from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not JSON", thing=str(error)[:120]) from None


def canonical(document: Any) -> bytes:
    """RFC 8785 bytes of plain Python data. Raises MalformedError for what JSON cannot hold."""
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # the latter for a lone surrogate in a key
        raise MalformedError("not canonical JSON material", thing=str(error)[:120]) from None


def loads_canonical(raw: bytes, *, ceiling: int, what: str) -> Any:
    """Parse, and require that the bytes are the canonical ones: one document, one form. Raises MalformedError."""
    document = loads(raw, ceiling=ceiling, what=what)
    if canonical(document) != raw:
        raise MalformedError(f"{what} is not canonical JSON", remedy="RFC 8785 gives one form; these bytes are another")
    return document
