"""QR codes as text (ISO/IEC 18004, by segno): half blocks for a terminal, `##` for ASCII and paper.

On a terminal the blocks are the code's light modules, as light text on a dark ground shows them; in ASCII `##` is dark,
as ink is. Readers take both, and the other way round.
"""

from __future__ import annotations

import hashlib
from typing import Final

import segno

_QUIET: Final = 2
"""Modules of light around the code. The standard wants four: what the terminal leaves free beside it adds to that."""

_HALVES: Final = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
"""The upper and the lower module (dark or not) as one character."""


def modules(text: str) -> list[list[bool]] | None:
    """The code's modules with its quiet zone, dark ones true; None where the text is too long for any code."""
    try:
        code = segno.make_qr(text, error="l", boost_error=True)
    except segno.DataOverflowError:
        return None
    inner = [[False] * _QUIET + [bool(one) for one in row] + [False] * _QUIET for row in code.matrix]
    edge = [[False] * len(inner[0]) for _ in range(_QUIET)]
    return [*edge, *inner, *edge]


def lines(text: str, width: int, *, ascii_only: bool) -> list[str] | None:
    """The code in at most `width` columns; None where it has no room there. An empty `width` (0) takes any size."""
    found = modules(text)
    if found is None:
        return None
    if width and len(found[0]) * (2 if ascii_only else 1) > width:
        return None
    if ascii_only:
        return ["".join("##" if dark else "  " for dark in row).rstrip() for row in found]
    pairs = zip(found[::2], [*found[1::2], [False] * len(found[0])], strict=False)
    return ["".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs]


def of_paper(text: str, width: int, *, ascii_only: bool) -> tuple[str, list[str]]:
    """What the code of a paper holds, and its lines: the text itself, or its SHA-256 where the text has no room in one
    code of this width. Raises ValueError where not even that has."""
    drawn = lines(text, width, ascii_only=ascii_only)
    if drawn is not None:
        return text, drawn
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    drawn = lines(digest, width, ascii_only=ascii_only)
    if drawn is None:
        raise ValueError(f"a code of a digest needs more than {width} columns")
    return digest, drawn
