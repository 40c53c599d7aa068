"""Help: the keys of every screen, the marks, the words. Made from the registry, so that it cannot be out of date."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from bundles.io.display import safe
from tui.actions.further_screens import BY_SCREEN, LISTED
from tui.actions.keymap import Keymap
from tui.actions.registry import ACTIONS, DEMO_ALONE, SCREENS, TITLES
from tui.screens.station_screen import StationScreen
from tui.widgets.text_rows import TextRows

_MARKS = """\
[ok]  done, good                 [!!]  failed, refused, rejected
[..]  running                    [>>]  waits for a person
[--]  not yet, or nothing"""

_WORDS = """\
artifact    anything with a manifest: image, index, chart, SBOM, signature, file
bundle      a signed set of artifacts for one destination, on media
volume      one self-contained archive of at most a medium's size
stream      the numbered bundles from one site to another
quarantine  content that is in the store and not visible to any client
report      what this station itself found in a quarantined bundle
approval    a person's signature over the bundle's digest and the report's
release     makes quarantined content visible, when enough people approved
receipt     what the inside holds, carried back, so that the next bundle is smaller"""


def help_text(keymap: Keymap, *, demo: bool = False) -> str:
    """Everything, screen by screen; what the `demo` alone can do is told there alone."""
    parts = ["Keys everywhere", _keys(keymap, "", demo=demo)]
    for screen in [*SCREENS, *(name for name in TITLES if name not in SCREENS)]:
        keys = _keys(keymap, screen, demo=demo)
        if keys:
            parts += ["", _heading(screen), keys]
    parts += ["", "Further screens", *(f"  9        {further.title:<13} {further.about}" for further in LISTED)]
    parts += ["", "In lists", "  up down  page up  page down  home  end  j k: move   left right: close, open a branch"]
    parts += ["", "Marks", _indent(_MARKS), "", "Words", _indent(_WORDS)]
    parts += [
        "",
        "Other keys",
        '  [keys] in ~/.config/lockgate/console.toml: approve = "ctrl+a". Names of actions:',
        "  " + ", ".join(action.name for action in ACTIONS if demo or action.name not in DEMO_ALONE),
    ]
    return "\n".join(parts)


def _heading(screen: str) -> str:
    return f"{TITLES[screen]}{' of one bundle' if screen == 'intake_entry' else ''}"


def _keys(keymap: Keymap, screen: str, *, demo: bool) -> str:
    found = [
        action
        for action in ACTIONS
        if (screen in action.screens if screen else not action.screens)
        and action.name not in BY_SCREEN
        and (demo or action.name not in DEMO_ALONE)
    ]
    return "\n".join(f"  {keymap.shown(action):<8} {action.label:<13} {action.help}" for action in found)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


class HelpScreen(StationScreen):
    name_of: ClassVar[str] = "help"

    def __init__(self, at: str = "") -> None:
        """`at` is the screen on which it was asked for: it opens at the keys of that one."""
        super().__init__()
        self._at = at

    def body(self) -> ComposeResult:
        yield TextRows(self.look, "Help", ident="help")

    def opened(self) -> None:
        if self._at:
            self.call_after_refresh(lambda: self.query_one(TextRows).go_to(_heading(self._at)))

    def load(self) -> None:
        self.filter_changed(self.filter_text)

    def filter_changed(self, text: str) -> None:
        whole = help_text(self.console_app.keymap, demo=self.console_app.other is not None)
        rows = self.query_one(TextRows)
        rows.note = f'holding "{safe(text)}"' if text else ""
        rows.show("\n".join(line for line in whole.split("\n") if text.lower() in line.lower()))
