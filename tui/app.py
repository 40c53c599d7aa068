"""`lockgate console`: whether this terminal can show it, which station it drives, and the exit status.

Nothing of Textual is imported before the terminal is known to be fit for it: a refusal is instant, and what Textual
reads from the environment is set in time.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundles.errors import EXIT_DONE, EXIT_FAILED, LockgateError, UsageError
from tui.terminal import detect

if TYPE_CHECKING:
    from tui.console_port import FirstAdministrator
    from tui.guides.new_bundle import Draft
    from tui.shell.console import LockgateConsole
    from tui.shell.crash import Crash


def refused() -> bool:
    """Whether no console can be shown on this terminal; why is then on standard error."""
    problem = detect.refusal(os.environ, is_tty=sys.stdin.isatty() and sys.stdout.isatty())
    if problem:
        sys.stderr.write(f"lockgate: {problem}\n")
    return bool(problem)


def require_terminal() -> None:
    """The console in lines has somebody to ask. Raises UsageError."""
    if not sys.stdin.isatty():
        raise UsageError("the console in lines asks at a terminal", thing="standard input is none",
                         remedy="use the commands in scripts: lockgate --help")  # fmt: skip


@dataclass(frozen=True)
class Training:
    """What the demo has beside its station: the one across the gap, in `other`, who may log in (`hint`), and `ready`,
    which waits until the station may be logged in to."""

    other: Path
    hint: str
    ready: Callable[[], object]


def run(root: Path, first: FirstAdministrator | None = None, training: Training | None = None) -> int:
    """The console of the station in `root`; `first` makes the first administrator of one that has no accounts yet.
    Returns the exit status.

    Raises UsageError for a configuration file that cannot be read, and what `training.ready` raises.
    """
    detect.prepare()
    from appliance.clock import now
    from tui.actions.keymap import load
    from tui.shell.console import LockgateConsole as Console
    from tui.station.control_socket import ControlStation
    from tui.station.keyring import FolderKeyring
    from tui.terminal.console_toml import look_settings
    from tui.terminal.state_folder import state_folder
    from tui.widgets.kept_lists import NAME, KeptLists

    own = None if training is not None else root
    settings, keymap = look_settings(own), load(own)
    look, mouse = detect.look(os.environ, settings.theme), detect.mouse(os.environ, settings.mouse)
    state = state_folder() if training is None else None
    lists = KeptLists(state / NAME if state is not None else None)
    if training is not None:
        training.ready()

    def make(after: Crash | None) -> LockgateConsole:
        other = (ControlStation(training.other), FolderKeyring(training.other)) if training is not None else None
        return Console(
            ControlStation(root), FolderKeyring(root), now=now, look=look, keymap=keymap, first=first, after=after,
            other=other, hint=training.hint if training is not None else "", lists=lists,
        )  # fmt: skip

    return go_on(make, mouse=mouse)


def run_plain(root: Path, first: FirstAdministrator | None = None) -> int:
    """The console in lines, of the station in `root`; returns the exit status. A defect ends it with the name of a
    saved report, and never with a traceback.

    Raises UsageError where the input is no terminal: nobody would be asked.
    """
    import asyncio

    require_terminal()
    detect.prepare()
    from appliance.clock import now
    from tui.plain.console import PlainConsole
    from tui.shell.crash import save
    from tui.station.control_socket import ControlStation
    from tui.station.keyring import FolderKeyring

    _quieten()
    look = replace(detect.look(os.environ), colour=False)

    async def whole() -> int:
        station, keyring = ControlStation(root), FolderKeyring(root)
        reading, writing = sys.stdin.fileno(), sys.stdout.fileno()
        return await PlainConsole(station, keyring, look, now, reading=reading, writing=writing, first=first).run()

    try:
        return asyncio.run(whole())
    except KeyboardInterrupt:
        return EXIT_DONE
    except LockgateError:
        raise
    except Exception as error:
        crash = save(error, stamp=now())
        sys.stderr.write(f"the console failed: {crash.what}; report: {crash.report or 'not saved'}\n")
        return EXIT_FAILED


def go_on(make: Callable[[Crash | None], LockgateConsole], *, mouse: bool = False) -> int:
    """Run the console, and after a defect of its own another one, which begins with the page that names it, until a
    person leaves. What fails again before anybody pressed a key on that page is not tried again. No exception reaches
    the terminal: not one of a thread or of a task that nobody awaited, either."""
    from tui.shell.crash import save

    _quieten()
    crash: Crash | None = None
    draft: Draft | None = None
    while True:
        console, before = make(crash), crash
        console.draft = draft or console.draft  # whoever else logs in begins with an empty one
        try:
            status = console.run(mouse=mouse)
        except KeyboardInterrupt:
            return EXIT_DONE
        except Exception as error:
            status, console.crash = None, console.crash or save(error, stamp=console.now())
        if console.hung_up or console.crash is None:
            return console.return_code or status or EXIT_DONE
        crash, draft = console.crash, console.draft
        if before is not None and console.on_failure_page:
            sys.stderr.write(f"the console failed twice: {crash.what}; report: {crash.report or 'not saved'}\n")
            return EXIT_FAILED


def _quieten() -> None:
    """What fails where nobody can catch it is kept as a report, and not printed over the screen."""
    from tui.shell.crash import save

    def kept(error: BaseException | None) -> None:
        if error is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
            save(error, about="outside the application")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept(record.exc_info[1] if record.exc_info else None)

    threading.excepthook = lambda told: kept(told.exc_value)
    sys.unraisablehook = lambda told: kept(told.exc_value)
    asyncio_log = logging.getLogger("asyncio")
    asyncio_log.handlers, asyncio_log.propagate = [Kept()], False
