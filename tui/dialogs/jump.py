"""Jump: go to anything by a part of its name, or to a digest by its first digits."""

from __future__ import annotations

from functools import partial
from typing import Final

from textual.app import ComposeResult
from textual.widgets import Input, Static

from appliance.api.content import FoundItem
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.actions.registry import ROOTS, TITLES
from tui.dialogs.choose import Option, OptionRows
from tui.dialogs.dialog import Dialog
from tui.terminal.workers import begin
from tui.widgets.nothing import Known

PAUSE: Final = 0.15
LIMIT: Final = 12


class Jump(Dialog[tuple[str, str]]):
    """Answers with kind and reference of the thing to open. The station searches; typing never waits for it."""

    answers_by = frozenset()  # it only leads somewhere
    hint = "type a part of a name, or a digest's beginning   up/down   enter: open   esc: back"

    def __init__(self) -> None:
        super().__init__("Jump to")
        self._found: tuple[FoundItem, ...] = ()
        self._searched = ""
        self._accepted: str | None = None
        self.waits = False

    def body(self) -> ComposeResult:
        yield Input(placeholder="repository, tag, digest, bundle, job, key, account, screen", id="query")
        rows = OptionRows(self.console_app.look, ())
        rows.stands(Known.UNKNOWN, "type to search")
        yield rows

    def on_input_changed(self, event: Input.Changed) -> None:
        self.waits = True
        self.set_timer(PAUSE, lambda: self._quiet(event.value))

    def _quiet(self, query: str) -> None:
        if query == self.query_one(Input).value:
            self.waits = False
            begin(self, partial(self._search, query.strip()), "find")

    async def _search(self, query: str) -> None:
        if not query:
            return
        try:
            found = await self.console_app.link.ask(lambda station: station.find(query, limit=LIMIT))
        except LockgateError as error:
            self.query_one("#hint", Static).update(f"[!!] {safe(error.diagnostics())}")
            self.query_one(OptionRows).stands(Known.UNKNOWN, safe(error.what))
            return
        screens = [name for name in ROOTS if TITLES[name].lower().startswith(query.lower())]
        named = [FoundItem(kind="screen", text=TITLES[name], ref=name) for name in screens]
        self.call_later(self._show, query, (*named, *found)[:LIMIT])

    def _show(self, query: str, found: tuple[FoundItem, ...]) -> None:
        self._found, self._searched = found, query
        rows = self.query_one(OptionRows)
        rows.stands(Known.SHOWN if found else Known.NO_MATCH, "" if found else f"nothing is called {safe(query)}")
        rows.options = [Option(one.ref, f"{one.kind:<11}", safe(one.text)) for one in found]
        rows.cursor = 0
        rows.changed()
        rows.refresh(layout=True)
        if found and query == self._accepted == self._typed:
            self.accept()

    @property
    def _typed(self) -> str:
        return self.query_one(Input).value.strip()

    def pressed(self, key: str) -> bool:
        if key == "enter":
            self.accept()
            return True
        return self.query_one(OptionRows).moved_by(key)

    def accept(self) -> None:
        """Open what is under the cursor; where letters came since, what they find first, once it is there."""
        self._accepted = self._typed
        if self._found and self._typed == self._searched:
            chosen = self._found[self.query_one(OptionRows).cursor]
            self.dismiss((chosen.kind, chosen.ref))
