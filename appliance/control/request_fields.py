"""What a request holds, read by name. Whatever cannot be read is a UsageError that names the field: the one way in
which a request can be malformed, so that any other error is the station's own (appliance.control.api.errors)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiohttp import web

from appliance.limits import control as limits
from bundles.errors import MalformedError, UsageError
from bundles.io.strict_json import check_structure

NUMBER: Final = 2**53
"""The largest whole number of a field: what JSON carries exactly (RFC 8259, section 6) and SQLite holds."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_ESCAPED: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
"""Half a surrogate pair, or a NUL, as JSON writes it; a NUL that is not escaped is no JSON."""
_DIGITS: Final = re.compile(r"[0-9]{1,16}\Z")


class Body(dict[str, Any]):
    """A request's JSON object. A field that is missing raises UsageError, by index too."""

    def __missing__(self, name: str) -> Any:
        raise malformed(name, "it is missing")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; `default` where it is missing or null. Raises UsageError."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise malformed(name, "it is no text")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number from 0 to `NUMBER`; `default` where it is missing or null. Raises UsageError."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= NUMBER:
            raise malformed(name, f"it is no whole number from 0 to {NUMBER}")
        return value

    def optional_number(self, name: str) -> int | None:
        """As `number`, None where it is missing or null."""
        return None if self.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        """True or false; false where it is missing or null. Raises UsageError."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise malformed(name, "it is true or false")
        return value is True

    def raw(self, name: str) -> bytes:
        """Bytes in Base64 (RFC 4648, section 4). Raises UsageError."""
        try:
            return base64.b64decode(self.text(name).encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise malformed(name, "it is no Base64") from None

    def mapping(self, name: str) -> dict[str, Any]:
        """An object. Raises UsageError."""
        value = self[name]
        if not isinstance(value, dict):
            raise malformed(name, "it is no object")
        return value

    def _value(self, name: str, default: object) -> Any:
        value = self.get(name)
        if value is None:
            return self[name] if default is None else default
        return value


async def body_of(request: web.Request) -> Body:
    """The request's body, a JSON object. Raises UsageError."""
    try:
        value = json.loads((await request.read()).decode())
    except (ValueError, RecursionError) as error:
        raise malformed("the body", f"it is no JSON ({str(error).splitlines()[0][:80]})") from None
    except web.RequestPayloadError:
        raise malformed("the body", "it ended early, or its encoding is broken") from None
    if not isinstance(value, dict):
        raise malformed("the body", "it is no object")
    return Body(value)


async def check_text(request: web.Request) -> None:
    """No text of a request holds half a surrogate pair, which no file, database or log can hold, or a NUL, at which
    the system ends a path. A body is decoded only where that does not take too much memory. Raises UsageError."""
    _check_one("the path", request.path)
    for name, value in (*request.query.items(), *request.match_info.items()):
        _check_one(name[:40] if "\0" not in name else "the query", name + value)
    if request.body_exists:
        try:
            raw = await request.read()
        except web.RequestPayloadError:
            raise malformed("the body", "it ended early, or its encoding is broken") from None
        try:
            check_structure(raw, nodes=limits.CONTROL_NODES, what="it")
        except MalformedError as error:
            raise malformed("the body", error.what) from None
        if _ESCAPED.search(raw):
            try:
                value = json.loads(raw)
            except (ValueError, RecursionError):
                raise malformed("the body", "no JSON") from None
            for text in _texts(value):
                _check_one("the body", text)


def _check_one(name: str, text: str) -> None:
    if "\0" in text:
        raise malformed(name, "a NUL character")
    if _SURROGATE.search(text):
        raise malformed(name, "half a surrogate pair")


def _texts(value: Any) -> Iterator[str]:
    """Every text of a decoded JSON value, names of fields too. Its depth is bounded by `check_structure`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def query_text(request: web.Request, name: str) -> str:
    """A parameter of the query that must be there. Raises UsageError."""
    value = request.query.get(name)
    if value is None:
        raise malformed(name, "it is missing")
    return value


def query_number(request: web.Request, name: str, default: int) -> int:
    """A whole number of the query; `default` where it is missing or empty. Raises UsageError."""
    return number_in(request.query, name, default)


def number_in(fields: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number from 0 to `NUMBER`; `default` where it is missing or empty. Raises UsageError."""
    text = str(fields.get(name) or "")
    if not text:
        return default
    if _DIGITS.match(text) is None or int(text) > NUMBER:
        raise malformed(name, f"it is no whole number from 0 to {NUMBER}")
    return int(text)


def malformed(name: str, why: str) -> UsageError:
    """The error for a field, with what is wrong with it."""
    return UsageError("a malformed request", thing=f"{name}: {why}"[:200], remedy="see docs/reference/control-api.md")
