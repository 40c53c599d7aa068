"""`lockgate console --plain`: who is here, what is to be done, and the way to each part of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from appliance.api.common import Page
from appliance.api.people import AccountChange
from bundles.errors import EXIT_DONE, LockgateError
from bundles.io.display import safe
from tui.actions.registry import BY_NAME
from tui.console_port import FirstAdministrator
from tui.guides.guide_facts import gather
from tui.guides.new_bundle import Draft
from tui.guides.steps import ABOUT, TITLES, Step, next_index, steps_of
from tui.plain.bundles import bring_in, bundle_page, waiting
from tui.plain.channels import channels, period
from tui.plain.checking import verify
from tui.plain.codes import show_code
from tui.plain.desk import Desk
from tui.plain.jobs import page as job_page
from tui.plain.line_terminal import Idle, Left, LineTerminal, Stopped
from tui.plain.making import new_bundle
from tui.station.keyring import Keyring
from tui.station.link import Link
from tui.station.port import NotLoggedInError, Station, StationLostError
from tui.station.troubles import troubles
from tui.terminal.look import Look
from tui.terminal.texts import span
from tui.wording.health import summary
from tui.wording.next_action import suggestions

LEAVING: Final = 2.0
"""Seconds the station has to hear of a log-out."""

_GUIDES: Final = {"1": "carry_out", "2": "bring_in", "3": "recover", "0": "first_run"}
_MENU: Final = (
    "1 Carry out, 2 Bring in, 3 Recover, 0 Set up: the guides",
    "4 Intake: bundles that came in, to read, approve, reject and release",
    "5 Verify a bundle without taking anything in",
    "6 Home: the station at a glance, and what to do next",
    "c Channels: what stands in each stage, to promote and roll back; p Period report",
    "j JOB opens a job, qr TEXT shows a code, O logs out, q leaves",
)


class PlainConsole(Desk):
    """The console of one station at one line terminal."""

    def __init__(
        self,
        station: Station,
        keyring: Keyring,
        look: Look,
        now: Callable[[], str],
        *,
        reading: int,
        writing: int,
        first: FirstAdministrator | None = None,
    ) -> None:
        super().__init__(Link(station, now, again="ask again when it does: 6 looks"), keyring, look, now)
        self.first = first
        self.terminal = LineTerminal(reading, writing, ascii_only=look.ascii, idle=self._patience)

    def _patience(self) -> float:
        return float(self.who.idle_seconds) if self.who is not None and not self.who.open else 0.0

    async def run(self) -> int:
        """Until somebody leaves; the exit status. A terminal that hangs up ends the log-in as leaving does."""
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        if task is not None:
            for number in (signal.SIGHUP, signal.SIGTERM):
                loop.add_signal_handler(number, task.cancel)
        self.terminal.begin()
        try:
            self.terminal.say(
                "Lockgate console in lines. Ctrl-C leaves what is asked; the end of input (Ctrl-D) leaves."
            )
            while await self._round():
                pass
        except (Left, asyncio.CancelledError, OSError):  # OSError: the terminal is gone
            with contextlib.suppress(OSError):
                self.terminal.say()
        finally:
            self.terminal.end()
            await self._log_out()
        return EXIT_DONE

    async def _round(self) -> bool:
        """Somebody logs in where nobody is, and does one thing; whether they stay."""
        try:
            if self.who is None and not await self._arrive():
                return True
            return await self._menu()
        except NotLoggedInError:
            self.who = None
            self.say("note", "the log-in is over: log in again, nothing is lost")
        except Idle:
            idle = self.who.idle_seconds if self.who is not None else 0
            await self._end(f"nothing was typed for {span(idle)}: logged out; the same person finds the form as it was")
        except Stopped:
            self.say("note", "q leaves")
        except StationLostError as error:
            self.say("bad", safe(error.diagnostics()))
            if self.who is None:
                await self.terminal.ask("Enter tries again")
        except LockgateError as error:
            self.say("bad", safe(error.diagnostics()))
        return True

    async def _arrive(self) -> bool:
        """Whether somebody is here now: on an open station whoever sits there, else who logs in."""
        if self.first is not None and self.first.needed():
            await self.tried(self._claim(self.first))
            return False
        try:
            self.who = await self.ask(lambda station: station.who())
        except NotLoggedInError:
            kept = self._kept
            name = await self.terminal.ask("Log in. Name" + (f" ({kept} was here)" if kept else ""))
            if not name:
                return False
            password = await self.terminal.secret("Password")
            if not password:
                return False
            self.who = await self.act(lambda station: station.log_in(name, password))
            if self.who.account != kept:
                self.draft = Draft()
        self._kept = ""
        await self._home()
        return True

    _kept = ""
    """Who was logged out without a word of theirs: their form is kept."""

    async def _claim(self, first: FirstAdministrator) -> None:
        self.say("need", "There are no accounts yet. The one-time code is the one that `lockgate init` showed.")
        name = await self.terminal.ask("First administrator. Name")
        if not name:
            return
        full_name = await self.terminal.ask("Full name, may be empty")
        code = await self.terminal.secret("One-time code")
        password = await self.terminal.secret("New password")
        if password != await self.terminal.secret("Once more"):
            self.say("bad", "the two passwords differ: type the code and the password again")
            return
        await asyncio.to_thread(first.claim, name, full_name, code, password)
        self.say("ok", f"{safe(name)} is administrator. Start the station (lockgate serve), then log in.")

    async def _end(self, why: str) -> None:
        self._kept = self.who.account if self.who is not None else ""
        self.who = None
        await self.link.station.log_out()
        self.say("note", why)

    async def _log_out(self) -> None:
        """Leave nothing at the station. Raises nothing that a person could do anything about."""
        with contextlib.suppress(LockgateError, TimeoutError, OSError):
            async with asyncio.timeout(LEAVING):
                await self.link.station.log_out()
                await self.link.station.close()

    async def _menu(self) -> bool:
        typed = await self.terminal.ask("What, ? says which words there are")
        word, _, rest = typed.partition(" ")
        if word == "q":
            return not await self._leaves()
        ways: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "?": self._words,
            "4": lambda: waiting(self),
            "5": lambda: verify(self),
            "6": self._home,
            "c": lambda: channels(self),
            "p": lambda: period(self),
            "i": lambda: bring_in(self),
            "O": self._hand_over,
            **{key: partial(self._guide, name) for key, name in _GUIDES.items()},
        }
        if rest.strip():
            about = rest.strip()
            ways |= {"j": lambda: job_page(self, about), "qr": lambda: show_code(self, about)}
        if word in ways:
            await self.tried(ways[word]())
        elif word:
            self.say("note", f"{safe(word)} is none of the words; ? says which there are")
        return True

    async def _words(self) -> None:
        for line in _MENU:
            self.say("", line)

    async def _hand_over(self) -> None:
        """Log out; nothing is kept for anybody."""
        if self.stands_in_the_way("log_out", "home"):
            return
        self.draft = Draft()
        await self._end("logged out")
        self._kept = ""

    async def _leaves(self) -> bool:
        if not self.draft.unsaved:
            return True
        return await self.yes("The new bundle's form is not empty; it would be lost. Jobs go on. Leave?")

    async def _home(self) -> None:
        """Where this is, what fails, and what to do next."""
        self.status = status = await self.ask(lambda station: station.status())
        account = safe(self.who.account) if self.who is not None else ""
        self.say("", f"Station {safe(status.site)} ({safe(status.side)}). You are {account}.")
        if status.read_only is not None:
            self.say("bad", f"read-only: {safe(status.read_only.why)}")
        for alert in status.alerts:
            self.say("bad", safe(alert))
        for check in status.health.checks:
            if not check.ok:
                self.say("bad", f"Health: {safe(check.name)} FAILS: {safe(check.detail)}")
        role, text = summary(status)
        self.say(role, f"Health: {text}")
        denied = self.who.denied if self.who is not None else {}
        jobs = await self.ask(lambda station: station.jobs(limit=20))
        wrong = await self.ask(troubles)
        changes = await self.ask(lambda station: station.fetch(Page[AccountChange], "/v1/account-changes"))
        entries = () if "quarantine" in denied else (await self.ask(lambda station: station.intake(limit=20))).items
        if "quarantine" in denied:
            self.say("note", f"Intake: forbidden: {safe(denied['quarantine'])}")
        for one in suggestions(status, jobs.items, entries, len(changes.items), wrong):
            self.say(one.role if one.role != "plain" else "", one.text)

    async def _guide(self, guide: str) -> None:
        """A guide's steps as they stand, and one of them at a time."""
        while True:
            facts = await self.ask(lambda station: gather(station, self.draft, guide))
            self.status = facts.status
            steps = steps_of(guide, replace(facts, draft=self.draft))
            self.say("", f"{TITLES[guide]}: {ABOUT[guide]}")
            for number, step in enumerate(steps, 1):
                self.say(step.role, f"{number}  {step.name}: {step.in_lines or step.text}")
            place = next_index(steps)
            typed = await self.terminal.ask(
                f"enter does step {place + 1}, a number does that step, i imports, q goes back"
            )
            if typed == "q":
                return
            if typed == "i":
                await self.tried(bring_in(self))
            elif not typed or (typed.isascii() and typed.isdigit() and 0 < int(typed) <= len(steps)):
                await self.tried(self._step(guide, steps, steps[int(typed) - 1 if typed else place]))
            else:
                self.say("note", f"{safe(typed)} is none of these")

    async def _step(self, guide: str, steps: list[Step], step: Step) -> None:
        kind, _, reference = step.act.partition(":")
        match kind:
            case "":
                self.say("note", "nothing to do here yet: do the steps before it")
            case "job":
                await job_page(self, reference)
            case "intake":
                await bundle_page(self, reference)
            case "repositories" | "new_bundle":
                await new_bundle(self)
            case "bring_in":
                await bring_in(self)
            case "save":
                lines = [f"{TITLES[guide]}: {ABOUT[guide]}", ""]
                lines += [f"{self.look.mark(one.role)} {n}  {one.name}: {one.text}" for n, one in enumerate(steps, 1)]
                await self.save("\n".join(lines) + "\n")
            case "home":
                await self._home()
            case _:
                self.say("note", f"{BY_NAME[kind].label}: {BY_NAME[kind].help}")
