"""How things look: words and glyphs first, one of eight colours last, and nothing that needs either colour or Unicode.

`Look` is fixed when the console starts (see `tui.terminal.detect`). Box and block characters are those of the old IBM
code page, because that is what the Linux console's font holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.style import Style

from bundles.io.display import safe

MARKS: Final = {
    "ok": "[ok]",
    "bad": "[!!]",
    "busy": "[..]",
    "wait": "[--]",
    "need": "[>>]",
    "note": "[ i]",
}
"""Done, failed or refused, running, not yet, waits for a person, worth knowing."""

_PLAIN: Final = Style()
_BASE: Final = {
    "plain": _PLAIN,
    "title": Style(bold=True),
    "key": Style(bold=True),
    "cursor": Style(reverse=True),
    "head": Style(reverse=True),
    "ok": _PLAIN,
    "bad": Style(bold=True),
    "busy": _PLAIN,
    "need": Style(bold=True),
    "wait": _PLAIN,
    "note": _PLAIN,
    "name": _PLAIN,
    "frame": _PLAIN,
}
_COLOUR: Final = {
    **_BASE,
    "ok": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "busy": Style(color="cyan"),
    "need": Style(color="yellow", bold=True),
    "note": Style(color="cyan"),
    "name": Style(color="cyan"),
    "frame": Style(color="blue"),
    "key": Style(color="yellow", bold=True),
    "text": Style(color="green"),
    "number": Style(color="yellow"),
}
_LIGHT: Final = {
    **_BASE,
    "ok": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "busy": Style(color="blue"),
    "need": Style(color="magenta", bold=True),
    "note": Style(color="blue"),
    "name": Style(color="blue"),
    "frame": Style(color="blue"),
    "key": Style(color="magenta", bold=True),
    "text": Style(color="green"),
    "number": Style(color="magenta"),
}
_CONTRAST: Final = {
    **_BASE,
    **dict.fromkeys(("ok", "busy", "note", "name", "frame", "key", "head"), Style(bold=True)),
    "head": Style(bold=True, reverse=True),
    "cursor": Style(bold=True, reverse=True),
    "bad": Style(bold=True, reverse=True),
    "need": Style(bold=True, underline=True),
}
_STYLES: Final = {"dark": _COLOUR, "light": _LIGHT, "high-contrast": _CONTRAST, "monochrome": _BASE}
THEMES: Final = tuple(_STYLES)
"""The themes that a person may choose; all of them keep to the eight base colours, which the Linux console has, and to
the terminal's own background. `light` leaves out yellow and cyan, which a light background swallows."""

STATES: Final = {
    "queued": "wait",
    "running": "busy",
    "to-sign": "need",
    "waiting": "need",
    "done": "ok",
    "failed": "bad",
    "refused": "bad",
    "incomplete": "need",
    "cancelled": "wait",
    "receiving": "busy",
    "quarantined": "need",
    "approved": "need",
    "released": "ok",
    "rejected": "bad",
    "withdrawn": "bad",
    "signed": "busy",
    "written": "ok",
    "voided": "wait",
    "unfinished": "need",
    "superseded": "wait",
}
"""The role of each state of a job, an intake entry and an outgoing bundle."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether colours and Unicode may be used, and the glyphs and styles that follow."""

    colour: bool = True
    ascii: bool = False
    theme: str = "dark"
    """One of `THEMES`; without `colour` it is monochrome."""
    few_glyphs: bool = False
    """Whether the font holds the old IBM code page and no more, as on the Linux console."""

    def style(self, role: str) -> Style:
        """The style of a role; an unknown role is plain."""
        return (_STYLES[self.theme] if self.colour else _BASE).get(role, _PLAIN)

    @property
    def levels(self) -> str:
        """The glyphs of a sparkline, from nothing to the most."""
        return " .:-=+*#" if self.ascii else " ░▒▓█" if self.few_glyphs else " ▁▂▃▄▅▆▇█"

    @property
    def line(self) -> str:
        return "-" if self.ascii else "─"

    @property
    def upright(self) -> str:
        return "|" if self.ascii else "│"

    @property
    def full(self) -> str:
        return "#" if self.ascii else "█"

    @property
    def empty(self) -> str:
        return "." if self.ascii else "░"

    @property
    def half(self) -> str:
        return ":" if self.ascii else "▒"

    @property
    def ellipsis(self) -> str:
        return "~" if self.ascii else "…"

    @property
    def open(self) -> str:
        return "v" if self.ascii else "▼"

    @property
    def closed(self) -> str:
        return ">" if self.ascii else "►"

    def mark(self, role: str) -> str:
        """The four characters that say a role without colour: `[ok]`, `[!!]`, `[..]`, `[--]`, `[>>]`."""
        return MARKS.get(role, "    ")

    def state(self, state: str) -> tuple[str, str]:
        """A state as mark and word, `[ok] released`, and its role."""
        role = STATES.get(state, "note")
        return f"{self.mark(role)} {safe(state)}", role

    def bar(self, done: int, total: int, width: int) -> str:
        """A bar of `width` characters, brackets included; something done shows at least one cell."""
        inner = max(width - 2, 1)
        filled = 0 if total <= 0 else min(inner, max(int(inner * done / total), 1 if done > 0 else 0))
        return "[" + self.full * filled + self.empty * (inner - filled) + "]"
