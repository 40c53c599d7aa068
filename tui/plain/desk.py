"""What every part of the plain console uses: the station, who is logged in, and how something is said and asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from appliance.api.people import Who
from appliance.api.status import Status
from bundles.errors import LockgateError
from bundles.io.display import safe
from bundles.io.typed_paths import typed_path
from tui.actions.action import Context
from tui.actions.registry import BY_NAME
from tui.guides.new_bundle import Draft
from tui.plain.line_terminal import LineTerminal, Stopped
from tui.station.keyring import Keyring
from tui.station.link import Link
from tui.station.port import NotLoggedInError, Station
from tui.terminal import clipboard
from tui.terminal.look import Look
from tui.widgets.rows import Span

T = TypeVar("T")

YES: Final = ("y", "yes")


def file_of(typed: str) -> Path:
    """The file that a typed path names."""
    return typed_path(typed)


class Desk:
    """A person at a line terminal, and the station before them."""

    def __init__(self, link: Link, keyring: Keyring, look: Look, now: Callable[[], str]) -> None:
        self.link, self.keyring, self.look, self.now = link, keyring, look, now
        self.who: Who | None = None
        self.status: Status | None = None
        self.draft = Draft()
        self.terminal: LineTerminal

    def say(self, role: str, text: str) -> None:
        """A mark and a sentence that is fit for display."""
        self.terminal.say(f"{self.look.mark(role)} {text}" if role else text)

    def lines(self, lines: Sequence[Sequence[Span]]) -> None:
        """What a panel of the console shows."""
        for line in lines:
            self.terminal.say("".join(text for text, _ in line).rstrip())

    async def ask(self, call: Callable[[Station], Awaitable[T]], patience: float | None = None) -> T:
        """The station's answer to what changes nothing; Ctrl-C leaves it."""
        return await self.terminal.stoppable(self.link.ask(call, patience))

    async def act(self, call: Callable[[Station], Awaitable[T]], patience: float | None = None) -> T:
        """The station's answer to what changes something: Ctrl-C does not leave it, since nobody would know whether it
        was done."""
        return await self.link.ask(call, patience)

    async def tried(self, doing: Awaitable[None]) -> None:
        """Do it; what is refused or fails is said, and Ctrl-C leaves it. A log-in that is over is for whoever asked."""
        try:
            await doing
        except NotLoggedInError:
            raise
        except LockgateError as error:
            self.say("bad", safe(error.diagnostics()))
        except Stopped:
            self.say("note", "left; nothing more was done")

    def stands_in_the_way(self, action: str, screen: str, item: object = None) -> bool:
        """Whether an action cannot be done now; the reason is said in the console's own words."""
        one = BY_NAME[action]
        reason = one.allowed(Context(screen, self.status, self.who, self.link.lost, False, item, self.draft))
        if reason:
            self.say("note", f"{one.label}: {safe(reason)}")
        return bool(reason)

    async def yes(self, question: str) -> bool:
        """Whether a question is answered with yes, by what is typed after it was written."""
        return (await self.terminal.ask(f"{question} y is yes, anything else no", fresh=True)).lower() in YES

    async def choose(self, title: str, options: Sequence[tuple[str, str]], *, several: bool = False) -> tuple[str, ...]:
        """The values of options (value, text) by their numbers; empty where nothing was chosen."""
        self.say("", title)
        for number, (_, text) in enumerate(options, 1):
            self.say("", f"  {number}  {text}")
        wanted = "Numbers, apart by blanks" if several else "Number"
        while True:
            typed = (await self.terminal.ask(f"{wanted}, empty goes back")).split()
            if not typed:
                return ()
            if all(one.isascii() and one.isdigit() and 0 < int(one) <= len(options) for one in typed) and (
                several or len(typed) == 1
            ):
                return tuple(dict.fromkeys(options[int(one) - 1][0] for one in typed))
            self.say("note", f"type {'numbers' if several else 'a number'} from 1 to {len(options)}")

    async def checked(self, question: str, check: Callable[[str], str]) -> str:
        """What was typed, once nothing is wrong with it; empty where nothing was typed."""
        while True:
            typed = await self.terminal.ask(f"{question}, empty goes back")
            wrong = check(typed) if typed else ""
            if not wrong:
                return typed
            self.say("bad", wrong)

    async def save(self, text: str) -> None:
        """Write a paper to a new file."""
        path = await self.terminal.ask("Save to which new file, empty goes back")
        if path:
            file = file_of(path)
            await asyncio.to_thread(clipboard.write, file, text)
            self.say("ok", f"saved to {safe(str(file))}")
