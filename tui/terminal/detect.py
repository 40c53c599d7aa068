"""What the terminal can do, read once from the environment before anything is painted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from tui.terminal.look import Look

_MONOCHROME: Final = ("vt1", "vt2", "vt3", "vt4", "vt5")
"""Terminals of the DEC family from vt100 to vt520 have bold and reverse, and no colour."""

_PLAIN_KEYS: Final = ("linux", "vt")
"""Terminals that would print parts of the kitty keyboard protocol instead of ignoring them."""


def refusal(environment: Mapping[str, str], *, is_tty: bool) -> str:
    """Why the console cannot be shown here; empty when it can."""
    if not is_tty:
        return "the console needs a terminal; use the commands instead: lockgate status, lockgate --help"
    if environment.get("TERM", "") in ("", "dumb", "unknown"):
        return (
            "the console needs a terminal that can move its cursor (TERM is dumb); "
            "as prompts and lines: lockgate console --plain; or by commands: lockgate status, lockgate --help"
        )
    return ""


def look(environment: Mapping[str, str], theme: str | None = None) -> Look:
    """`theme`: what the person's settings say. Colours unless NO_COLOR, a monochrome terminal or LOCKGATE_MONOCHROME
    says otherwise; Unicode unless the terminal is of the DEC family, the locale names another encoding, or
    LOCKGATE_ASCII is set."""
    term = environment.get("TERM", "")
    monochrome = "NO_COLOR" in environment or term.startswith(_MONOCHROME) or term.endswith(("-m", "-mono"))
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "UTF-8")
    plain = term.startswith(_MONOCHROME) or "utf" not in locale.lower()
    return Look(
        colour=not (monochrome or environment.get("LOCKGATE_MONOCHROME") or theme == "monochrome"),
        ascii=plain or bool(environment.get("LOCKGATE_ASCII")),
        theme=theme or "dark",
        few_glyphs=term == "linux",
    )


def mouse(environment: Mapping[str, str], wanted: bool | None = None) -> bool:
    """Whether the mouse is heard: as the person's settings say, else wherever a terminal reports it. The Linux console
    does not, and neither do terminals of the DEC family."""
    return wanted if wanted is not None else not environment.get("TERM", "").startswith(_PLAIN_KEYS)


def prepare() -> None:
    """Settings that Textual reads from the environment when it is imported: call before that."""
    if os.environ.get("TERM", "").startswith(_PLAIN_KEYS):
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
