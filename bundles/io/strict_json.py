"""JSON from outside, read strictly: capped in size, depth and nodes before it is decoded, duplicate keys refused.

The decoded form of hostile JSON is up to forty times as large as its bytes (a list of empty lists), so what would be
decoded is counted first, in one linear pass over the bytes (`check_structure`).
msgspec keeps the last of duplicate keys silently (threats: manifest confusion, CVE-2021-41190), so objects are
parsed here by the standard library with a hook, and msgspec converts the result to types.
Canonical bytes are RFC 8785; signed documents hold no floats, so number formatting never matters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import rfc8785

from bundles import limits
from bundles.errors import MalformedError

_STRUCTURE: Final = b"[]{},:"
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(_STRUCTURE + b'"'))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_NO_ASTRAL: Final = bytes(range(0xF0))
_NO_WIDE: Final = bytes(range(0xC4))
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))
_WIDE_ESCAPE: Final = re.compile(rb"\\u(?!00)")
_WINDOW: Final = 256 * limits.KIB
"""Bytes looked at together: what the pass itself holds stays within a few times this."""


def measure(raw: bytes, *, nodes: int, depth: int) -> tuple[int, int]:
    """How many nodes `raw` holds and how deep it is nested, counted in one linear pass without decoding.

    Counted are the commas, colons and opening brackets outside strings: one for each value and each key, one more for
    each array or object. Stops past either ceiling. `raw` need not be JSON.
    """
    level = deepest = counted = 0
    for outside in _structure(raw):
        brackets = outside.translate(None, _NO_BRACKETS)
        counted += len(outside) - brackets.count(b"]") - brackets.count(b"}")
        if counted > nodes:
            break
        level, reached = _nest(brackets, level, depth)
        deepest = max(deepest, reached)
        if deepest > depth:
            break
    return counted, deepest


def _nest(brackets: bytes, depth: int, ceiling: int) -> tuple[int, int]:
    """The depth behind `brackets`, and the deepest place in them; stops one past `ceiling`."""
    deepest = depth
    for bracket in brackets:
        if bracket in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > ceiling:
                    break
        else:
            depth -= 1
    return depth, deepest


def check_structure(raw: bytes, *, nodes: int, what: str) -> int:
    """Refuse JSON with too much in it before anything of it is decoded; returns its nodes (`measure`).

    Raises MalformedError for more than `nodes` values and keys, and for more than `limits.JSON_DEPTH` levels.
    """
    counted, deepest = measure(raw, nodes=nodes, depth=limits.JSON_DEPTH)
    if counted > nodes:
        raise MalformedError(f"{what} holds too many values", remedy=f"the ceiling is {nodes} values and keys")
    if deepest > limits.JSON_DEPTH:
        raise MalformedError(f"{what} is nested too deep", remedy=f"the ceiling is {limits.JSON_DEPTH} levels")
    return counted


def _text_size(raw: bytes) -> int:
    """Bytes of `raw` as a Python string, and of the strings in it, which are copies: each character takes as many as
    the widest of its string needs (PEP 393), and an escape may be of any width."""
    text = len(raw)
    if not raw.isascii():
        characters = len(raw.translate(None, _CONTINUATIONS))
        text = characters * (4 if raw.translate(None, _NO_ASTRAL) else 2 if raw.translate(None, _NO_WIDE) else 1)
    return text + (4 * len(raw) if _WIDE_ESCAPE.search(raw) else text)


def _structure(raw: bytes) -> Iterator[bytes]:
    """The brackets, commas and colons outside strings, window by window; linear in `raw`, whatever stands there.

    In JSON a backslash stands in strings alone, so an escaped one and an escaped quote can be taken out wherever they
    are. Bytes with one outside a string are no JSON: the decoder stops there, and counted is at least what is before.
    """
    start, inside = 0, False
    while start < len(raw):
        window = raw[start : start + _WINDOW]
        if (len(window) - len(window.rstrip(b"\\"))) % 2:  # the byte that its last backslash escapes
            window = raw[start : start + _WINDOW + 1]
        start += len(window)
        if b"\\" in window:
            window = window.replace(b"\\\\", b"").replace(b'\\"', b"")
        bare = window.translate(None, _NO_STRUCTURE)
        if inside:
            bare = b'"' + bare
        inside = bare.count(b'"') % 2 == 1
        # Two quotes with nothing between them are a string without structure, or the end of one and the next one's
        # beginning: what is outside stays outside without them.
        bare = bare.replace(b'""', b"")
        yield b"".join(bare.split(b'"')[::2]) if b'"' in bare else bare


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


def loads(
    raw: bytes, *, ceiling: int, nodes: int, what: str, floats: bool = False, memory: int = limits.JSON_MEMORY
) -> Any:
    """Parse JSON of at most `ceiling` bytes, `nodes` values and keys, and `limits.JSON_DEPTH` levels. `memory`: bytes
    that it may take while it is decoded, its own and its text's among them.

    Raises MalformedError naming `what`.
    """
    if len(raw) > ceiling:
        raise MalformedError(f"{what} is too large", thing=f"{len(raw)} bytes", remedy=f"the ceiling is {ceiling}")
    cost = limits.JSON_NODE * check_structure(raw, nodes=nodes, what=what) + len(raw) + _text_size(raw)
    if cost > memory:
        raise MalformedError(
            f"{what} would take too much memory", thing=f"{cost} bytes", remedy=f"the ceiling is {memory}"
        )
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


def loads_canonical(raw: bytes, *, ceiling: int, nodes: int, what: str) -> Any:
    """Parse, and require that the bytes are the canonical ones: one document, one form. Raises MalformedError."""
    document = loads(raw, ceiling=ceiling, nodes=nodes, what=what)
    if canonical(document) != raw:
        raise MalformedError(f"{what} is not canonical JSON", remedy="RFC 8785 gives one form; these bytes are another")
    return document
