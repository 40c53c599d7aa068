"""A row of numbers as a row of glyphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def sparkline(values: Sequence[int], width: int, levels: str, whole: Callable[[Sequence[int]], int] = sum) -> str:
    """At most `width` glyphs, the newest value last; `whole` makes one number of those that share a glyph. `levels` are
    the glyphs from nothing to the most: a number above nothing never looks like nothing."""
    if not values or width < 1:
        return ""
    each = -(-len(values) // width)
    first = len(values) % each
    groups = [values[:first]] if first else []
    groups += [values[at : at + each] for at in range(first, len(values), each)]
    heights = [max(whole(group), 0) for group in groups]
    most = max(heights)
    if most == 0:
        return levels[0] * len(heights)
    steps = len(levels) - 1
    return "".join(levels[max(-(-height * steps // most), 0)] for height in heights)
