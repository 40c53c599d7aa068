"""What every screen has: the edge rows, keys through the registry, filter, messages. A screen that gets no answer keeps
what it shows."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input

from bundles.io.display import safe
from tui.actions.registry import Context
from tui.screens import edge_rows
from tui.screens.asking import Answer, Refusal
from tui.screens.list_acts import ListActs
from tui.terminal.look import Look
from tui.widgets.bars import Clock, Line, Message
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Table

__all__ = ["PAGE", "Answer", "Refusal", "StationScreen"]

PAGE: Final = 200
"""Rows that the station gives at once: a list with more was paged on."""
BESIDE: Final = 110
"""Columns from which what is known of the row under the cursor stands beside the list."""
FILTER_PAUSE: Final = 0.15
"""Seconds of quiet before a filter asks the station: fewer than a person's pause between words."""


class StationScreen(ListActs, inherit_bindings=False):
    """A screen over the station. `name_of` is its name in `tui.actions.registry`."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "RowList"
    beside_from: ClassVar[int] = BESIDE
    """Columns from which `#detail` stands beside the lists, with every column of a table's row; below them it is a few
    lines under them."""

    def __init__(self) -> None:
        super().__init__()
        self.filter_text = ""
        self.waits = False
        """Whether typed text was not taken in yet: a pause in the typing is waited for."""
        self.last_list: RowList | None = None
        self._unsaid: tuple[str, str] | None = None
        self._lists = 0
        """How many lists there are."""
        self._hinted: tuple[object, ...] = ()
        """What was under the cursor when a hint was given; empty where none stands."""

    @property
    def look(self) -> Look:
        return self.console_app.look

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        raise NotImplementedError

    def load(self) -> None:
        """Ask the station for what this screen shows."""

    def item(self) -> object | None:
        """What actions are about: the record under the cursor."""
        return None

    def as_text(self) -> str:
        """What `save` writes."""
        return "\n".join(widget.as_text() for widget in self.query(RowList) if widget.display)

    def copied(self) -> str:
        """What `copy` copies."""
        return ""

    def compose(self) -> ComposeResult:
        look = self.look
        self._headline, self._tabs = Line(look, "head", ident="headline"), Line(look, ident="tabs")
        self._banner, self._ribbon = Line(look, "bad", ident="banner"), Line(look, "need", ident="ribbon")
        self._footer = Line(look, ident="footer")
        with Horizontal(id="head"):
            yield self._headline
            yield Clock(look, "head", ident="clock")
        yield self._tabs
        yield self._banner
        yield self._ribbon
        with Vertical(id="body"):
            yield from self.body()
        yield Input(placeholder="show only rows that hold this text; enter keeps it, esc clears it", id="filter")
        yield Message(look, ident="message")
        yield self._footer

    def on_mount(self) -> None:
        self.query_one("#filter", Input).cursor_blink = False
        for table in self.query(Table):
            wanted = self.console_app.lists.of(self.name_of, table.id or "")
            if wanted != table.arrangement:
                table.put_in_order(wanted)
        self._lists = len(self.query(RowList))
        self._set_beside()
        self.rearrange()
        self.now_ready()
        self.frame_changed()
        if self._unsaid is not None:
            self.say(*self._unsaid)
        self.opened()
        self.load()

    def opened(self) -> None:
        """The widgets are there, and nothing was asked yet."""

    def on_screen_resume(self) -> None:
        if self.ready:
            self.frame_changed()
            self.resumed()
        self.query_one(Clock).tick(self.console_app.now())

    def on_resize(self) -> None:
        if self.ready:
            self._set_beside()
            self.rearrange()
        self.call_after_refresh(self.frame_changed)

    def _set_beside(self) -> None:
        """Where the details of a row stand."""
        for panel in self.query("#detail").results(Panel):
            panel.set_class(self.size.width >= self.beside_from and bool(self.query(RowList)), "beside")
        self._show_row()

    def _show_row(self) -> None:
        """Every column of the row under the cursor, in the pane beside the list."""
        for panel in self.query("#detail").results(Panel):
            table = self.last_list if isinstance(self.last_list, Table) else next(iter(self.query(Table)), None)
            beside = panel.has_class("beside") and table is not None and table.display
            panel.put_above(table.details() if beside and table is not None else ())

    def rearrange(self) -> None:
        """Show and hide widgets as the size and the focus want it."""

    @property
    def whole(self) -> bool:
        """Whether all its lists are there: a screen that closes loses them one by one, and the focus moves on."""
        return self.ready and len(self.query(RowList)) >= self._lists

    def on_unmount(self) -> None:
        self.ready = False

    def resumed(self) -> None:
        """The screen is shown again after another one."""
        self.state_changed()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, RowList):
            self.last_list = event.widget
        if self.whole:
            self._end_hint()
            self.rearrange()
            self.moved(None)
            self._show_row()
            self.frame_changed()

    def moved(self, rows: RowList | None) -> None:
        """The cursor of `rows` stands elsewhere, or (None) the focus does."""

    def context(self) -> Context:
        app = self.console_app
        who, lost = app.presence.who, app.link.lost
        table = self.table_now()
        marked = table.chosen_records if table is not None and table.marked else ()
        return Context(self.name_of, app.status, who, lost, app.other is not None, self.item(), app.draft, marked)

    def frame_changed(self) -> None:
        """Paint the edge rows that are not as they should be."""
        app, look = self.console_app, self.look
        if not self.ready or app.shown is not self:
            return
        edges = (self._headline, self._tabs, self._banner, self._ribbon, self._footer)
        if not all(line.is_attached for line in edges):
            return  # not all there: the application closes, from the inside out
        self._headline.show(
            edge_rows.head(
                look, app.status, self.name_of, app.running_job, app.link.lost, app.presence.name, self.size.width - 10
            )
        )
        self._tabs.show(edge_rows.tabs(look, self.name_of, self.size.width))
        banner = self._banner
        banner.display = app.link.lost
        if app.link.lost:
            heard = f"shown as of {app.link.heard_at[11:20]}" if app.link.heard_at else "nothing is loaded yet"
            text = f" [!!] the station does not answer since {app.link.lost_at[11:20]}; {heard}"
            banner.show([(text, "plain")])
        ribbon = self._ribbon
        spans = edge_rows.ribbon(look, app.keymap, app.guide, app.guide_facts, app.draft)
        ribbon.display = bool(spans) and self.name_of != "guide"
        ribbon.show(spans)
        self._footer.show(edge_rows.footer(look, app.keymap, self.context(), self.size.width))

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        if not self.whole:
            return
        self._end_hint()
        self.moved(message.rows)
        self._show_row()
        self._footer.show(edge_rows.footer(self.look, self.console_app.keymap, self.context(), self.size.width))

    def say(self, role: str, text: str) -> None:
        """The message row: a mark and a sentence. Untrusted text is made fit here. What is told before the row is
        there is said when it is."""
        self._hinted = ()
        for row in self.query("#message").results(Message):
            row.say(role, safe(text))
            return
        self._unsaid = role, text

    def hint(self, text: str) -> None:
        """Why an action cannot be done just now: it goes as soon as something else is under the cursor."""
        self.say("note", text)
        self._hinted = (self.item(),)

    def _end_hint(self) -> None:
        if self._hinted and self._hinted != (self.item(),):
            self._hinted = ()
            for row in self.query("#message").results(Message):
                row.say("note", "")

    def on_click(self, event: events.Click) -> None:
        """A second click on a row of the list does what enter does there; one on the row of screens goes to one."""
        if isinstance(event.widget, RowList) and event.chain == 2 and event.widget is self.focused:
            action = self.console_app.keymap.action(self.name_of, "enter")
            if action is not None:
                self.console_app.perform(action)
        elif event.widget is not None and event.widget.id == "tabs":
            name = edge_rows.tab_at(self.look, self.name_of, self.size.width, event.x)
            if name:
                self.console_app.show_root(name)

    def on_key(self, event: events.Key) -> None:
        if self.too_early(event):
            return
        if isinstance(self.focused, Input):
            self._key_while_typing(event)
            return
        action = self.console_app.keymap.action(self.name_of, event.key)
        if action is not None:
            event.stop()
            event.prevent_default()
            self.console_app.perform(action)

    def _key_while_typing(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.close_filter(keep=False)
        elif event.key in ("enter", "down", "up"):
            event.stop()
            self.close_filter(keep=True)
        elif event.key in ("ctrl+c", "ctrl+l"):
            event.stop()
            action = self.console_app.keymap.action(self.name_of, event.key)
            if action is not None:
                self.console_app.perform(action)
        elif event.is_printable and event.character and isinstance(self.focused, Input):
            # Typed ahead, right behind the key that opened the field: it went to the list that had the focus then.
            event.stop()
            self.focused.insert_text_at_cursor(event.character)

    def do_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)

    def close_filter(self, *, keep: bool) -> None:
        """Leave the filter's input; without `keep` its text goes too."""
        field = self.query_one("#filter", Input)
        if not keep:
            field.value = ""
        field.display = bool(field.value)
        self.set_focus(self.filter_target())

    def filter_target(self) -> Widget:
        """The list that the filter narrows."""
        shown = [rows for rows in self.query(RowList) if rows.display]
        return next((rows for rows in shown if rows is self.last_list), shown[0])

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter" and event.value != self.filter_text:
            self.filter_text = event.value
            self.waits = True
            self.set_timer(FILTER_PAUSE, lambda: self._filter_quiet(event.value))

    def _filter_quiet(self, text: str) -> None:
        if text == self.filter_text:
            self.waits = False
            self.filter_changed(text)

    def filter_changed(self, text: str) -> None:
        """Show only rows that hold `text`."""

    def do_refresh(self) -> None:
        self._barred.clear()
        self.load()

    def do_next_pane(self) -> None:
        self.focus_next("RowList")

    def go_back(self) -> bool:
        """Close what is open; whether there was something."""
        if self.filter_text:
            self.close_filter(keep=False)
            return True
        return False

    def reveal(self, reference: str) -> None:
        """Put the cursor on what the finder found."""

    def state_changed(self) -> None:
        """Something on the station changed, or the form of the new bundle: whatever this screen shows is asked for
        anew. A list that its reader paged on keeps what it shows, since it would be cut behind them; `r` asks anew."""
        if all(len(table.loaded) <= PAGE for table in self.query(Table)):
            self.load()
