"""Versions of RPM packages (rpm-version(7)): epoch, version, release; `~` sorts before the end, `^` right behind it."""

from __future__ import annotations

import re
from typing import Final

_SEGMENT: Final = re.compile(r"[0-9]+|[a-zA-Z]+|[~^]")
_END: Final = (0, 0, "")
_MARKS: Final = {"~": (-1, 0, ""), "^": (1, 0, "")}
_Segment = tuple[int, int, str]

Key = tuple[int, tuple[_Segment, ...], bool, tuple[_Segment, ...]]


def key(text: str) -> Key:
    """A key that sorts as the version does; every text has one. What stands before a colon is an epoch where it is a
    number. Whatever else is neither letter nor digit separates."""
    before, colon, rest = text.partition(":")
    has_epoch = bool(colon) and before.isascii() and before.isdigit()
    version, dash, release = (rest if has_epoch else text).partition("-")
    return int(before) if has_epoch else 0, _segments(version), bool(dash), _segments(release)


def _segments(text: str) -> tuple[_Segment, ...]:
    return (*map(_segment, _SEGMENT.findall(text)), _END)


def _segment(text: str) -> _Segment:
    if text in _MARKS:
        return _MARKS[text]
    return (3, int(text), "") if text.isdigit() else (2, 0, text)
