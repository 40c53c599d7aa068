"""The processes of a station, kept going: started in order, started again where they die, ended all together
(docs/adr/0004)."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.limits import jobs as limits
from appliance.program_log import lacking, log_to_stderr, say
from bundles.errors import FailedError, LockgateError
from bundles.io.threads import take_little_space
from bundles.processes import start
from bundles.processes.child import die_with

_STOP: Final = 5.0
"""Seconds the processes get to end before they are killed."""

_START: Final = 20.0
"""Seconds until a process answers; the control process may wait for a dying job first (appliance.station)."""

_PAUSE: Final = 0.5
"""Seconds before a process that died is started again, so that a broken one does not spin. They double with each start
that fails."""

_LONGEST: Final = 16.0
"""Seconds between two starts at most."""

CONTROL: Final = "control"
"""The name of the role whose starts may not fail without end."""

_CONTROL_STARTS: Final = 6
"""Starts of the control process in a row that may fail, in half a minute, until the station ends: workers that nobody
tells of a block must not go on for ever."""

_PLACE: Final = 0.25
"""Seconds between two looks at the place that the processes stand on."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
_STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_LOOK: Final = 0.1
"""Seconds between two looks whether the station is told to stop while a process starts."""


@dataclass(frozen=True, slots=True)
class Role:
    """What one process of the station is: its name, and what it runs until SIGTERM, which calls its argument once it is
    ready."""

    name: str
    run: Callable[[Callable[[], object]], None]
    log_as_json: bool = False
    log_outbox: Path | None = None


@dataclass(slots=True)
class _Gone:
    """A role without a process: when it is started again (time.monotonic()), and how often that failed in a row."""

    role: Role
    due: float
    failed: int = 0


class Supervisor:
    """Starts the roles in order, each when the one before is ready, and keeps them going.

    A role that does not start again is tried again, and the others go on meanwhile: what one process lacks, such as
    disk or memory, is no reason to end those that serve. `before` is called before each start again, `after` once all
    of them run. Where `place` returns another value than before, what the processes stand on is another one: all of
    them are started anew, the control process last, so that nothing is written while an older one still reads.
    """

    def __init__(
        self,
        roles: list[Role],
        before: Callable[[], object] = lambda: None,
        *,
        after: Callable[[], object] = lambda: None,
        place: Callable[[], object] = lambda: None,
    ) -> None:
        self._roles, self._before, self._after, self._place = roles, before, after, place
        self._children: dict[int, Role] = {}
        self._gone: dict[str, _Gone] = {}

    def run(self, announcement: str) -> int:
        """Until SIGTERM or SIGINT; the exit status. `announcement` is printed once all of them run. Raises FailedError
        where a role does not start the first time, or the control process not any more."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        place = self._place()
        try:
            for role in self._roles:
                if not self._start(role):
                    return 0
            self._after()
            print(announcement, flush=True)
            while True:
                number = self._wait()
                if number == signal.SIGHUP:
                    self._pass_on(signal.SIGHUP)
                elif number in _STOPPING:
                    return 0
                for role, status in self._reap():
                    said = f"{role.name} {start.how_it_ended(os.waitstatus_to_exitcode(status))}"
                    say(f"{said}; it is started again")
                    self._gone[role.name] = _Gone(role, time.monotonic() + _PAUSE)
                if place != (now := self._place()):
                    place = now
                    self._begin_anew()
                if not self._start_again():
                    return 0
        finally:
            self._stop()

    def _wait(self) -> int:
        """The next signal, 0 where it is time to start something again, or to look at the place."""
        due = min((gone.due for gone in self._gone.values()), default=float("inf")) - time.monotonic()
        found = signal.sigtimedwait(_SIGNALS, min(max(due, 0.0), _PLACE))
        return 0 if found is None else found.si_signo

    def _begin_anew(self) -> None:
        """End each process and start it again, one after the other: the others serve meanwhile."""
        say("the metadata is in another database now: the station's processes are started anew on it")
        for role in sorted(self._roles, key=lambda one: one.name == CONTROL):
            for child in [number for number, one in self._children.items() if one is role]:
                self._end_in_order(child)
            self._gone[role.name] = _Gone(role, time.monotonic())
            if role.name != CONTROL and not self._start_again():
                return

    def _end_in_order(self, child: int) -> None:
        """Tell a child to end, and kill it where it does not in time."""
        deadline = time.monotonic() + _STOP
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGTERM)
            while os.waitpid(child, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    self._end(child)
                    return
                time.sleep(0.02)
        self._children.pop(child, None)

    def _start_again(self) -> bool:
        """Start what is gone and due; False where the station is told to stop meanwhile. Raises FailedError where the
        control process does not get there."""
        for name, gone in list(self._gone.items()):
            if gone.due > time.monotonic():
                continue
            self._before()
            try:
                if not self._start(gone.role):
                    return False
                del self._gone[name]
            except FailedError as error:
                gone.failed += 1
                if name == CONTROL and gone.failed >= _CONTROL_STARTS:
                    raise
                pause = min(_PAUSE * 2**gone.failed, _LONGEST)
                say(f"{error}; it is tried again in {pause:g} s")
                gone.due = time.monotonic() + pause
            else:
                if not self._gone:
                    self._after()
        return True

    def _start(self, role: Role) -> bool:
        """Fork the role and wait until it is ready; False where the station is told to stop before that.

        Raises FailedError where it does not get there.
        """
        reading, writing = os.pipe()
        parent = os.getpid()
        sys.stdout.flush()
        number = os.fork()
        if number == 0:
            os.close(reading)
            _become(role, writing, parent)
        os.close(writing)
        self._children[number] = role
        with os.fdopen(reading, "rb") as ready:
            deadline = time.monotonic() + _START
            while not select.select([ready], [], [], _LOOK)[0]:
                if not _STOPPING.isdisjoint(signal.sigpending()):
                    return False
                if time.monotonic() >= deadline:
                    self._end(number)
                    raise FailedError(f"the {role.name} process did not start in {_START:.0f} s", remedy="start again")
            if not ready.read(1):
                self._end(number)
                raise FailedError(f"the {role.name} process did not start", remedy="see the line above")
        return True

    def _end(self, child: int) -> None:
        """Kill a child that did not get ready, and forget it."""
        self._children.pop(child, None)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def _reap(self) -> list[tuple[Role, int]]:
        """The roles of children that have ended, each with its wait status."""
        ended = []
        while self._children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                break
            role = self._children.pop(child, None)
            if role is not None:
                ended.append((role, status))
        return ended

    def _pass_on(self, number: int) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def _stop(self) -> None:
        """End the children, workers and control together; kill what does not end in time."""
        self._pass_on(signal.SIGTERM)
        deadline = time.monotonic() + _STOP
        while self._children and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _tell(writing: int) -> None:
    """Tell the supervisor that its child is ready; one that was told to stop meanwhile does not listen any more."""
    with contextlib.suppress(BrokenPipeError):
        os.write(writing, b"1")


def _become(role: Role, writing: int, parent: int) -> None:
    """The child's whole life; never returns, whatever becomes of its last words."""
    status = 1
    try:
        die_with(parent)  # by SIGKILL: nobody is left who would wait for an orderly end
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the supervisor ends the others
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        take_little_space(limits.JOB_STACK)
        log_to_stderr(role.name.replace(" ", "-"), as_json=role.log_as_json, outbox=role.log_outbox)
        role.run(lambda: _tell(writing))
        status = 0
    except LockgateError as error:
        say(f"{role.name}: {error.diagnostics()}")
    except Exception as error:
        lacks = lacking(error)
        with contextlib.suppress(OSError):
            if lacks is None:
                traceback.print_exc()
            else:
                say(f"{role.name}: {lacks.diagnostics()}")
    finally:
        try:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
