"""What screens and dialogs ask of the application that shows them. The application itself is `tui.shell.console`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen

if TYPE_CHECKING:
    from appliance.api.jobs import Job
    from appliance.api.people import Who
    from appliance.api.status import Status
    from tui.actions.action import Action
    from tui.actions.keymap import Keymap
    from tui.guides.new_bundle import Draft
    from tui.guides.steps import GuideFacts
    from tui.station.keyring import Keyring
    from tui.station.link import Link
    from tui.station.port import Station
    from tui.terminal.look import Look
    from tui.widgets.kept_lists import KeptLists
    from tui.widgets.table import Arrangement


Moment = tuple[int, int]
"""Counts of what was opened and closed, and of locks and log-ins: two moments that differ lie apart for a person."""


class FirstAdministrator(Protocol):
    """The way to the first administrator of a station that has no accounts yet. Blocking."""

    def needed(self) -> bool:
        """Whether there is a one-time code that nobody used."""
        ...

    def claim(self, name: str, full_name: str, code: str, password: str) -> None:
        """Make the first administrator. Raises LockgateError."""
        ...


class PresencePort(Protocol):
    """Who sits at the console."""

    first: FirstAdministrator | None
    who: Who | None
    changing: bool
    """Whether one log-in is just giving way to the next of the same person."""

    @property
    def name(self) -> str:
        """The account that is logged in, empty where none is."""
        ...

    @property
    def denied(self) -> Mapping[str, str]:
        """What this account may not do, each with the station's reason."""
        ...

    def hold(self, screen: MessagePump, message: Message) -> bool:
        """Keep an answer that came while the console is locked; whether it is."""
        ...

    def over(self) -> None:
        """The station knows nobody here: show the log-in."""
        ...

    def let_in(self, who: Who) -> None:
        """Somebody logged in."""
        ...

    def show_gate(self, gate: Screen[None]) -> None:
        """Show another log-in in the place of the one that is shown."""
        ...


class ConsolePort(App[int], inherit_bindings=False):
    """The application as its screens and dialogs see it: the values that they share, and what they may ask for."""

    link: Link
    keyring: Keyring
    now: Callable[[], str]
    look: Look
    keymap: Keymap
    other: tuple[Station, Keyring] | None
    """The station across the gap and its keys, which only the demo has."""
    hint: str
    """Who may log in, and with what; empty but in the demo."""
    status: Status | None
    moment: Moment
    """A question keeps the moment at which it was asked."""
    last_key: tuple[str, float]
    """The key that was typed last, and when (`textual._time.get_time`)."""
    running_job: Job | None
    draft: Draft
    lists: KeptLists
    """How each list is arranged."""
    key_file: str
    """The path of the key that was named last at this console, offered again."""
    guide: str
    guide_facts: GuideFacts | None

    @property
    def presence(self) -> PresencePort:
        """Who sits at the console."""
        raise NotImplementedError

    @property
    def shown(self) -> Screen[None] | None:
        """The station screen on top, under any dialog."""
        raise NotImplementedError

    def answering(self, screen: Screen[Any], moment: Moment) -> AbstractContextManager[None]:
        """While an answer to `screen`, which asked at `moment`, is taken in: what it opens is dropped with a line where
        the screen is not on top any more, or anything was opened or closed since."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Leave the page about a defect, and begin anew."""
        raise NotImplementedError

    def perform(self, action: Action) -> None:
        """Carry out an action, or say why not."""
        raise NotImplementedError

    def show_root(self, name: str) -> None:
        """Go to one of the numbered screens."""
        raise NotImplementedError

    def open_thing(self, kind: str, reference: str) -> None:
        """Open a repository, tag, digest, intake entry, bundle, job, key, account or screen."""
        raise NotImplementedError

    def open_begun(self, job: Job) -> None:
        """Open a job that was begun here: it asks for its signature as soon as it waits for one."""
        raise NotImplementedError

    def open_further(self, name: str, reference: str) -> None:
        """Open a further screen that is about one thing."""
        raise NotImplementedError

    def open_guide(self, name: str) -> None:
        """Begin or go on with a guide: `carry_out`, `bring_in` or `recover`."""
        raise NotImplementedError

    def keep_list(self, screen: str, table: str, wanted: Arrangement) -> None:
        """Arrange a list so from now on, and in later consoles."""
        raise NotImplementedError

    def set_draft(self, draft: Draft) -> None:
        """Another new bundle; screens that show it hear of it."""
        raise NotImplementedError

    def tell(self, role: str, text: str) -> None:
        """A sentence in the message row of the screen that is shown."""
        raise NotImplementedError

    def look_now(self) -> None:
        """Look at the station before the next turn: something was just begun."""
        raise NotImplementedError

    def station_lost(self) -> None:
        """Say that the station does not answer, and keep what is shown."""
        raise NotImplementedError

    def forget_person(self) -> None:
        """Take down every screen with what somebody left on it."""
        raise NotImplementedError

    def come_back(self) -> None:
        """Somebody logged in: look at the station again."""
        raise NotImplementedError

    def do_redraw(self) -> None:
        """Paint everything, whatever another program wrote onto the terminal."""
        raise NotImplementedError
