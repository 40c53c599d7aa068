"""Where a registry says that the next page of a list is: the `Link` header (RFC 8288), read in one pass."""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r'[^",;]*')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)


def next_page(header: str) -> str:
    """The target of the first link of relation `next`, as it is written; "" where there is none.

    What cannot be read is passed over, and so is all behind an angle bracket or quote that is never closed.
    """
    position = 0
    while (start := header.find("<", position)) >= 0 and (stop := header.find(">", start)) >= 0:
        relations, position = _relations(header, stop + 1)
        if "next" in relations:
            return header[start + 1 : stop].strip()
    return ""


def _relations(header: str, position: int) -> tuple[list[str], int]:
    """The relation types of the link whose parameters begin at `position`, by its first `rel` (RFC 8288, section 3.3),
    and where the next link begins."""
    relations: list[str] | None = None
    word: list[str] = []
    while True:
        plain = _PLAIN.match(header, position)
        word.append(plain[0] if plain else "")
        position = plain.end() if plain else position
        ending = header[position : position + 1]
        if ending == '"':
            quoted = _QUOTED.match(header, position)
            if quoted is None:
                return relations or [], len(header)
            word.append(quoted[1])
            position = quoted.end()
            continue
        name, equals, value = "".join(word).partition("=")
        if relations is None and equals and name.strip().lower() == "rel":
            relations = value.lower().split()
        word.clear()
        position += 1
        if ending != ";":
            return relations or [], position
