"""The log-in, in the place of everything else: it hides what is on the screen, and nothing beneath it can be reached.

Names and passwords are typed, used once and kept nowhere.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message as Posted
from textual.widgets import Input, Static

from appliance.api.people import Who
from bundles.errors import EXIT_DONE, LockgateError
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.terminal.early_keys import EarlyKeys
from tui.terminal.workers import begin
from tui.widgets.bars import Clock, Line, Message

if TYPE_CHECKING:
    from tui.console_port import ConsolePort

Field = tuple[str, str, bool]
"""A field's id, its label, and whether what is typed is hidden."""


class LetIn(Posted):
    """The station knows who it is."""

    def __init__(self, who: Who) -> None:
        super().__init__()
        self.who = who


class Wrong(Posted):
    """It was refused, or could not be done."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class LogInForm(EarlyKeys[None], inherit_bindings=False):
    """A form over the whole screen. `locked_by` is who alone may leave the console, empty where nobody's work lies
    behind it."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = None
    fields: tuple[Field, ...]

    def __init__(self, title: str, explain: str, *, locked_by: str = "", values: dict[str, str] | None = None) -> None:
        super().__init__()
        self.heading, self.explain, self.locked_by = title, explain, locked_by
        self.values = values or {}
        self.busy = False

    @property
    def console_app(self) -> ConsolePort:
        return cast("ConsolePort", self.app)

    def compose(self) -> ComposeResult:
        look, status = self.console_app.look, self.console_app.status
        station = f"{safe(status.site)} {safe(status.side)}" if status is not None else "Lockgate"
        with Horizontal(id="head"):
            yield Line(look, "head", ident="headline")
            yield Clock(look, "head", ident="clock")
        with Vertical(id="gate"), Vertical(id="form"):
            yield Static(f"{self.heading}: {station}", classes="question", markup=False)
            yield Static(self.explain, markup=False, id="explain")
            for name, label, masked in self.fields:
                with Horizontal(classes="field"):
                    yield Static(f"{label}:", classes="label", markup=False)
                    yield Input(safe(self.values.get(name, "")), password=masked, id=name)
        yield Message(look, ident="message")
        yield Line(look, ident="footer")

    def on_mount(self) -> None:
        look, status = self.console_app.look, self.console_app.status
        station = f"{safe(status.site)} {safe(status.side)} {look.upright} " if status is not None else ""
        self.query_one("#headline", Line).show([(f" {station}{self.heading} {look.upright}", "plain")])
        self.query_one(Clock).tick(self.console_app.now())
        leave = "" if self.locked_by else "   ctrl+c Leave"
        self.query_one("#footer", Line).show([(f" enter Go on   tab Next field{leave}", "plain")])
        for field in self.query(Input):
            field.cursor_blink = False
        empty = next((field for field in self.query(Input) if not field.value), self.query(Input).first())
        empty.focus()
        self.now_ready()

    def say(self, role: str, text: str) -> None:
        """A sentence in the message row."""
        self.query_one("#message", Message).say(role, safe(text))

    def on_key(self, event: events.Key) -> None:
        if self.too_early(event):
            return
        match event.key:
            case "enter":
                event.stop()
                self._go_on()
            case "tab" | "shift+tab" | "down" | "up":
                event.stop()
                (self.focus_next if event.key in ("tab", "down") else self.focus_previous)("Input")
            case "ctrl+l":
                event.stop()
                self.console_app.do_redraw()
            case "ctrl+c":
                event.stop()
                self._leave()

    def _leave(self) -> None:
        if self.locked_by:
            self.say("note", f"locked by {self.locked_by}: a log-in opens the console, and nothing else")
        else:
            self.app.exit(EXIT_DONE)

    def _go_on(self) -> None:
        """To the next field; from the last one to one that is still empty, or all of them to the station."""
        fields = list(self.query(Input))
        if self.busy:
            return
        if self.focused is not fields[-1]:
            self.focus_next("Input")
            return
        for field in fields:
            if not field.value and field.id not in self.optional:
                self.set_focus(field)
                return
        typed = {str(field.id): Secret(field.value) if field.password else field.value for field in fields}
        for field in fields:
            if field.password:
                field.value = ""
        self.submit(typed)

    optional: tuple[str, ...] = ()

    def submit(self, typed: dict[str, str]) -> None:
        """Every field that is needed has a text."""
        raise NotImplementedError

    def on_wrong(self, message: Wrong) -> None:
        self.busy = False
        self.say("bad", message.text)
        next(field for field in self.query(Input) if not field.value and field.id not in self.optional).focus()


class LogIn(LogInForm):
    """Name and password. The same person finds what was on the screen; another one begins anew."""

    fields = (("account", "Name", False), ("password", "Password", True))

    def submit(self, typed: dict[str, str]) -> None:
        self.busy = True
        self.say("busy", "asking the station")

        async def work() -> None:
            link = self.console_app.link
            try:
                who = await link.ask(lambda station: station.log_in(typed["account"].strip(), typed["password"]))
            except LockgateError as error:
                self.post_message(Wrong(error.diagnostics()))
            else:
                self.post_message(LetIn(who))

        begin(self, work, "log-in")

    def on_let_in(self, message: LetIn) -> None:
        self.console_app.presence.let_in(message.who)


class Claim(LogInForm):
    """The first administrator of a station that has no accounts yet."""

    fields = (
        ("account", "Name", False),
        ("full_name", "Full name", False),
        ("code", "One-time code", True),
        ("password", "New password", True),
        ("again", "Once more", True),
    )
    optional = ("full_name",)

    def submit(self, typed: dict[str, str]) -> None:
        if typed["password"] != typed["again"]:
            self.on_wrong(Wrong("the two passwords differ: type the code and the password again"))
            return
        self.busy = True
        self.say("busy", "making the account")
        app, name = self.console_app, typed["account"].strip()

        async def work() -> None:
            import asyncio

            first = app.presence.first
            try:
                if first is not None:
                    await asyncio.to_thread(first.claim, name, typed["full_name"], typed["code"], typed["password"])
            except LockgateError as error:
                self.post_message(Wrong(error.diagnostics()))
            else:
                self.post_message(Claimed(name))

        begin(self, work, "log-in")

    def on_claimed(self, message: Claimed) -> None:
        explain = f"{message.name} is administrator. Start the station (lockgate serve), then log in."
        fresh = LogIn("Log in", explain, values={"account": message.name})
        self.console_app.presence.show_gate(fresh)


class Claimed(Posted):
    """The first administrator was made."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def make_gate(app: ConsolePort, why: str, kept_for: str) -> LogInForm:
    """The log-in that belongs here: after a lock with the name of who locked it."""
    first = app.presence.first
    if first is not None and not kept_for and first.needed():
        explain = "There are no accounts yet. The one-time code is the one that `lockgate init` showed."
        return Claim("First administrator", explain)
    if kept_for:
        reason = f"{why[0].upper()}{why[1:]}. " if why else ""
        explain = f"{reason}What was on the screen is kept for {safe(kept_for)}; whoever else logs in begins anew."
        return LogIn("Locked", explain, locked_by=kept_for, values={"account": kept_for})
    explain = f"{why[0].upper()}{why[1:]}." if why else "Who are you?"
    if app.hint:  # there are two stations, and neither has said its name yet
        explain = f"{explain} This is {safe(PurePath(app.link.station.folder).name)}."
    return LogIn("Log in", "\n".join(filter(None, (explain, app.hint))))
