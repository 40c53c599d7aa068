"""The statements of the store as PostgreSQL takes them: a translation of text, once for each statement.

It knows the few words of SQLite that the statements use and PostgreSQL has another word for, and nothing else. What it
does not know stays as it is, and the server refuses it: the tests prepare every statement on a real one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final

_LITERAL: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")")
_RAW_SUM: Final = re.compile(r"\b(\w+_sum)_raw\(")
_BYTES: Final = re.compile(r"\bCAST\(([\w.]+) AS BLOB\)")
_PLACE: Final = re.compile(r"\?(\d*)")
_WORDS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\s+(?:NOT INDEXED|INDEXED BY \w+)"), ""),
    (_BYTES, r"convert_to(\1, 'UTF8')"),
    (re.compile(r"\bCAST\((\?\d*) AS TEXT\)"), r"as_text(\1)"),
    (re.compile(r"(\S+) = (\?\d*) COLLATE NOCASE"), r"lower(\1) = lower(\2)"),
    (re.compile(r"\(([\w]+) COLLATE NOCASE\)"), r"(lower(\1))"),
    (re.compile(r"\bCROSS JOIN (?=\w+(?: \w+)? ON\b)"), "JOIN "),
    (re.compile(r"\bLIKE\b"), "ILIKE"),
    (re.compile(r"\bIS NOT (?=[?(])"), "IS DISTINCT FROM "),
    (re.compile(r"\bIS (?=\?)"), "IS NOT DISTINCT FROM "),
    (re.compile(r"\bLIMIT -1\b"), "LIMIT ALL"),
    (re.compile(r"\bLIMIT (\?\d*)"), r"LIMIT nullif(\1, -1)"),
    (re.compile(r"\bBEGIN IMMEDIATE\b"), "BEGIN ISOLATION LEVEL SERIALIZABLE"),
    (re.compile(r"\bREINDEX (?=\w+\Z)"), "REINDEX INDEX "),
)


@functools.lru_cache(maxsize=2048)
def translate(statement: str) -> str:
    """A statement of the store in PostgreSQL's words, with `$1` for its parameters. What is quoted stays."""
    number = 0

    def place(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f"${found[1] or number}"

    text = _outside(_text_sums(statement), _words)
    return _outside(text, lambda part: _PLACE.sub(place, part))


def _outside(statement: str, change: Callable[[str], str]) -> str:
    """Change what stands outside of quotes."""
    parts = _LITERAL.split(statement)
    parts[::2] = [change(part) for part in parts[::2]]
    return "".join(parts)


def _words(part: str) -> str:
    for pattern, word in _WORDS:
        part = pattern.sub(word, part)
    return part


def _text_sums(statement: str) -> str:
    """`tag_sum_raw` and the like take texts here: no row holds bytes that are no text."""
    while (found := _RAW_SUM.search(statement)) is not None:
        end = _closed(statement, found.end())
        inside = _BYTES.sub(r"\1", statement[found.end() : end])
        statement = f"{statement[: found.start()]}{found[1]}({inside}{statement[end:]}"
    return statement


def _closed(statement: str, begin: int) -> int:
    """Where the parenthesis ends that was opened before `begin`."""
    depth = 1
    for place in range(begin, len(statement)):
        depth += {"(": 1, ")": -1}.get(statement[place], 0)
        if not depth:
            return place
    return len(statement)
