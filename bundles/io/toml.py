"""TOML as people write it for a station: UTF-8, of bounded size by its caller, nested no deeper than a person would."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError

_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
"""A text on one line (TOML 1.0, String)."""


def loads(raw: bytes) -> dict[str, Any]:
    """The document in `raw`. Raises MalformedError that says what is wrong, with the line where there is one: not
    UTF-8, not TOML, a key of more parts than `limits.TOML_DOTS`, or nested deeper than `limits.TOML_DEPTH`, also so
    deep that the library's reader gives up.
    """
    try:
        text = raw.decode()
        _check_keys(text)
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8: byte {error.start}, {error.reason}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # TOMLDecodeError, and a number that int() refuses for its length
        raise MalformedError(" ".join(str(error).split())[:160] or "not TOML") from None
    _check_depth(document)
    return document


def _check_keys(text: str) -> None:
    """No key of endless parts, for which the library's reader takes time by the square of their number."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > limits.TOML_DOTS and _TEXT.sub("", line).partition("#")[0].count(".") > limits.TOML_DOTS:
            raise MalformedError(f"a key of too many parts (at line {number})")


def _check_depth(document: dict[str, Any]) -> None:
    """Without recursion: a key of a thousand dots is read without any, and is as deep."""
    level: list[Any] = [document]
    for _ in range(limits.TOML_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> MalformedError:
    return MalformedError(f"nested too deep: at most {limits.TOML_DEPTH} tables and lists in each other")
