"""CBOR as far as COSE takes it, read strictly (RFC 8949): one encoding of each value, so that there is one reading.

Integers, byte and text strings, arrays, maps and tags. Refused are lengths without an end, integers and lengths that
are not as short as they could be, keys that stand twice, floats and simple values, bytes behind the end, and more or
deeper items than `limits.IMAGE_SIGNATURE_NODES` and `limits.JSON_DEPTH` (RFC 8949, sections 4.2.1 and 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError

_INLINE: Final = 24
_LENGTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag (section 3.4)."""

    tag: int
    value: Any


def loads(raw: bytes, what: str) -> Any:
    """The one value that `raw` is. Raises MalformedError naming `what`."""
    reader = _Reader(raw, what)
    value = reader.item(0)
    if reader.place != len(raw):
        raise MalformedError(f"{what} has bytes behind its end")
    return value


class _Reader:
    def __init__(self, raw: bytes, what: str) -> None:
        self._raw, self._what = raw, what
        self._left = limits.IMAGE_SIGNATURE_NODES
        self.place = 0

    def item(self, depth: int) -> Any:
        """The value at the place, which moves behind it. The cases are the major types of section 3.1."""
        self._left -= 1
        if self._left < 0 or depth > limits.JSON_DEPTH:
            raise MalformedError(f"{self._what} holds too much, or is nested too deep")
        kind, argument = self._head()
        value: Any
        match kind:
            case 0:
                value = argument
            case 1:
                value = -1 - argument
            case 2:
                value = self._take(argument)
            case 3:
                value = self._text(argument)
            case 4:
                value = [self.item(depth + 1) for _ in range(self._count(argument))]
            case 5:
                value = self._map(self._count(argument), depth)
            case 6:
                value = Tagged(argument, self.item(depth + 1))
            case _:
                raise MalformedError(f"{self._what} holds a float or a simple value")
        return value

    def _head(self) -> tuple[int, int]:
        first = self._take(1)[0]
        kind, short = first >> 5, first & 0x1F
        if short < _INLINE:
            return kind, short
        if short not in _LENGTHS:
            raise MalformedError(f"{self._what} has a length without an end")
        argument = int.from_bytes(self._take(_LENGTHS[short]), "big")
        if argument < (_INLINE if short == _INLINE else 1 << (4 * _LENGTHS[short])):
            raise MalformedError(f"{self._what} writes a number longer than it need be")
        return kind, argument

    def _take(self, count: int) -> bytes:
        if count > len(self._raw) - self.place:
            raise MalformedError(f"{self._what} ends too early")
        self.place += count
        return self._raw[self.place - count : self.place]

    def _count(self, count: int) -> int:
        if count > self._left:
            raise MalformedError(f"{self._what} holds too much, or is nested too deep")
        return count

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError(f"{self._what} holds text that is none") from None

    def _map(self, count: int, depth: int) -> dict[int | str, Any]:
        found: dict[int | str, Any] = {}
        for _ in range(count):
            key = self.item(depth + 1)
            if not isinstance(key, (int, str)):
                raise MalformedError(f"{self._what} has a key that is neither a number nor a text")
            if key in found:
                raise MalformedError(f"{self._what} has a key twice")
            found[key] = self.item(depth + 1)
        return found
