"""The one place where untrusted text is made fit for a terminal, and where numbers of things are put into words.

Tags, annotations, file names and everything else that came from a medium or a client may hold control codes,
bidirectional overrides or zero-width characters that make one text look like another (threats: control codes, bidi,
zero-width, console markup). They are shown as visible escapes; nothing is dropped, so two texts that differ look
different.
"""

from __future__ import annotations

import unicodedata

from bundles.people import is_unseen


def safe(text: str, *, width: int | None = None) -> str:
    """`text` with every control, format, private, unassigned or line-separating character as `\\x1b` or `\\u202e`;
    a backslash doubles. Cut to `width` characters with `…` at the end, where a width is given.

    Markup is not this function's business: whoever draws passes plain text objects, never markup.
    """
    shown = "".join(_escape(character) for character in text)
    if width is not None and len(shown) > width:
        return shown[: max(width - 1, 0)] + "…"
    return shown


def some(number: int, one: str, many: str = "") -> str:
    """How many there are, in words: `1 volume`, `3 volumes`. `many` where it is not `one` and an s: `repositories`, or
    a noun with its verb."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if not is_unseen(character) and not unicodedata.combining(character):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
