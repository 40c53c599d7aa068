"""Asking the station from a screen, and what becomes of the answer.

A worker asks and posts an `Answer`; only message handlers touch widgets. Until an answer comes, each list and block of
facts says what is known of it (`tui.widgets.nothing`). What an answer opens (a dialog, a page) belongs to the screen
and the moment that asked: where anything else was opened since, it is dropped with a line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from textual.message import Message as Posted

from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.display import safe
from tui.console_port import Moment
from tui.station.port import NotLoggedInError, Station, StationLostError
from tui.terminal.early_keys import EarlyKeys
from tui.terminal.workers import begin
from tui.widgets.nothing import Known

if TYPE_CHECKING:
    from appliance.api.people import Who
    from tui.console_port import ConsolePort

T = TypeVar("T")


class Place(Protocol):
    """A list or a block of facts that an answer is shown in."""

    def stands(self, known: Known, why: str = "") -> None:
        """Say what is known of it."""
        ...


@dataclass
class Answer(Posted):
    """What the station said, and the method that shows it. `moment` is when it was asked (`ConsolePort.moment`): what
    it opens is opened only where nothing else was opened since. `places` are what it is shown in."""

    then: Callable[[Any], None]
    value: Any
    moment: Moment
    places: Sequence[Place] = ()


@dataclass
class Refusal(Posted):
    """The station said no, or nothing. `moment` and `places` as of an `Answer`."""

    error: LockgateError
    otherwise: Callable[[LockgateError], None] | None
    moment: Moment
    acted: bool = True
    """Whether something was to be done, and not only shown."""
    places: Sequence[Place] = ()
    group: str = ""


class AskingScreen(EarlyKeys[None], inherit_bindings=False):
    """The base of screens that ask the station."""

    def __init__(self) -> None:
        super().__init__()
        self._barred: dict[str, Who | None] = {}
        """Groups of questions that the station refused, with who it refused: an idle screen does not ask again."""

    @property
    def console_app(self) -> ConsolePort:
        return cast("ConsolePort", self.app)

    def say(self, role: str, text: str) -> None:
        """A sentence in the message row."""
        raise NotImplementedError

    def frame_changed(self) -> None:
        """Paint the edge rows that are not as they should be."""
        raise NotImplementedError

    def ask(
        self,
        call: Callable[[Station], Awaitable[T]],
        then: Callable[[T], None],
        *,
        group: str = "load",
        otherwise: Callable[[LockgateError], None] | None = None,
        patience: float | None = None,
        places: Sequence[Place] = (),
        needs: str = "",
    ) -> None:
        """Ask the station in a worker; a new question of a group takes the place of the one before.

        `places` are the lists and facts that the answer is shown in: until it comes they say what is known of them.
        What takes a permission that this account lacks (`needs`), or was refused to it before, is not asked: an idle
        screen writes no refusal into the audit log.
        """
        app = self.console_app
        denied = app.presence.denied.get(needs, "") if needs else ""
        if denied:
            self._stand(places, Known.FORBIDDEN, safe(denied))
            return
        if group in self._barred and self._barred[group] == app.presence.who:
            return
        self._stand(places, Known.LOADING)
        acted, link = group == "act", app.link
        self.work(lambda: link.ask(call, patience), then, group=group, otherwise=otherwise, acted=acted, places=places)

    def work(
        self,
        doing: Callable[[], Awaitable[T]],
        then: Callable[[T], None],
        *,
        group: str,
        otherwise: Callable[[LockgateError], None] | None = None,
        acted: bool = True,
        places: Sequence[Place] = (),
    ) -> None:
        """Do something in a worker, and show what came of it on this screen."""
        moment = self.console_app.moment

        async def work() -> None:
            try:
                value = await doing()
            except LockgateError as error:
                self.post_message(Refusal(error, otherwise, moment, acted, places, group))
            else:
                self.post_message(Answer(then, value, moment, places))

        begin(self, work, group)

    def _stand(self, places: Sequence[Place], known: Known, why: str = "") -> None:
        for place in places:
            place.stands(known, why)

    @property
    def closes(self) -> bool:
        """Whether the screen or the whole console is on its way out: its widgets go first."""
        return not self.console_app.is_running or not self.display

    def on_answer(self, message: Answer) -> None:
        app = self.console_app
        if self.closes or app.presence.hold(self, message):
            return
        self._stand(message.places, Known.SHOWN)
        with app.answering(self, message.moment):
            message.then(message.value)
        self.frame_changed()

    def on_refusal(self, message: Refusal) -> None:
        presence = self.console_app.presence
        if isinstance(message.error, NotLoggedInError):
            presence.over()
            if not message.acted:
                return
            done = FailedError("it was not done: the log-in was over", remedy="do it again")
            message = Refusal(done, None, message.moment)
        if self.closes or presence.hold(self, message):
            return
        with self.console_app.answering(self, message.moment):
            self._refused(message)
        self.frame_changed()

    def _refused(self, message: Refusal) -> None:
        error = message.error
        if isinstance(error, StationLostError):
            self._stand(message.places, Known.UNKNOWN, "the station does not answer")
            self.console_app.station_lost()
            return
        forbidden = isinstance(error, RefusedError) and bool(message.places)
        if forbidden:
            self._barred[message.group] = self.console_app.presence.who
            self._stand(message.places, Known.FORBIDDEN, safe(error.diagnostics()))
        else:
            self._stand(message.places, Known.UNKNOWN, safe(error.what))
        if message.otherwise is not None:
            message.otherwise(error)
        elif not forbidden:
            self.say("bad", error.diagnostics())
