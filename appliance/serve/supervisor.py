"""The supervisor: holds the station's lock and the listening socket, starts the control process and the data-plane
workers, starts again what dies, and ends them all together (docs/adr/0004).

The workers inherit one listening socket: a worker that dies takes no connection with it that it had not accepted, and
a port that another program holds is seen when it is bound, where SO_REUSEPORT would share it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import limits
from appliance.access.tls import server_context
from appliance.addresses import split_listen
from appliance.audit.checkpoints import sign_end
from appliance.control import server
from appliance.half_closed import require_closed_whole
from appliance.lifecycle import forgotten
from appliance.lifecycle.forgotten_blocks import block_again, withdraw_again
from appliance.lifecycle.restored_copy import shut_if_forgotten
from appliance.measures.objectives import Objectives, of_site
from appliance.measures.slots import Slots
from appliance.origin import adopt, require_open, was_made_open
from appliance.paths import StationPaths
from appliance.program_log import lacking, log_to_stderr
from appliance.registry.measuring import RegistryMeasures
from appliance.serve import worker
from appliance.serve.preflight import require_loopback, require_startable
from appliance.settings.station import Config, load_config
from appliance.shared_flag import SharedFlag
from appliance.station import note_listening, station_lock
from appliance.store.database import open_reader
from appliance.store.errors import UnavailableEngineError
from appliance.store.reads.accounts import Accounts
from appliance.store.reserve import Reserve
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.io.display import safe, some
from bundles.io.threads import take_little_space
from bundles.processes import start
from bundles.processes.child import die_with
from bundles.signing.keys import exposure

_STOP: Final = 5.0
"""Seconds the processes get to end before they are killed."""

_START: Final = 20.0
"""Seconds until a process answers; the control process may wait for a dying job first (appliance.station)."""

_PAUSE: Final = 0.5
"""Seconds before a process that died is started again, so that a broken one does not spin. They double with each start
that fails."""

_LONGEST: Final = 16.0
"""Seconds between two starts at most."""

_CONTROL: Final = "control"
_NAMED: Final = 10
"""Bundles that are named in one line."""

_CONTROL_STARTS: Final = 6
"""Starts of the control process in a row that may fail, in half a minute, until the station ends: workers that nobody
tells of a block must not go on for ever."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
_STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_LOOK: Final = 0.1
"""Seconds between two looks whether the station is told to stop while a process starts."""


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    run: Callable[[Callable[[], object]], None]
    log_as_json: bool = False


@dataclass(slots=True)
class _Gone:
    """A role without a process: when it is started again (time.monotonic()), and how often that failed in a row."""

    role: _Role
    due: float
    failed: int = 0


def serve(root: Path, listen: str | None = None) -> int:
    """Run the station in `root` until SIGTERM or SIGINT. Returns the exit status.

    Raises UsageError (no station, an address that may not be), FailedError (running already, the port is in use).
    """
    paths = StationPaths(root.resolve())
    os.chdir(start.FOLDER)  # nothing is loaded from, or written to, the folder that a shell happened to be in
    config = load_config(paths.config)
    require_startable(paths, config, listen or config.listen)
    _warn_of_keys(paths)
    reserve, starting = Reserve(paths.reserve), SharedFlag()
    starting.set()
    reserve.make_room(limits.RESERVE_START, starts=True)
    host, port = split_listen(listen or config.listen)
    found = forgotten.look(paths)
    if found is not None and (config.side == "outside" or not found.usable):
        if config.open:  # a station that was not made open is told that first, whatever became of its database
            adopt(paths, config)
            require_open(paths, config)
        raise forgotten.refused(paths, config, found)
    if config.open:
        _check_open(host, paths, config)
    else:
        _check_closed(config, paths)
    scheme = "http" if config.open else "https"
    objectives, laid_out = of_site(config.slo)
    slots = Slots(laid_out, paths.metrics, config.slo)
    slots.prepare()
    with station_lock(paths), _listening(host, port) as listener:
        if config.side == "inside":
            _shut_if_forgotten(paths, config)
        port = listener.getsockname()[1]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        note_listening(paths, address)
        as_json = config.log.format == "json"
        roles = [
            _Role(_CONTROL, lambda ready: server.run(paths.root, address, ready, slots, starting.is_set), as_json),
            *(
                _Role(
                    f"worker {number}",
                    functools.partial(_work, paths.root, listener, slots, objectives, f"worker-{number}"),
                    as_json,
                )
                for number in range(1, config.workers + 1)
            ),
        ]

        def before() -> None:
            starting.set()
            reserve.make_room(limits.RESERVE_START, starts=True)

        def after() -> None:
            starting.clear()
            reserve.take_back()

        supervisor = _Supervisor(roles, before, after=after)
        try:
            return supervisor.run(f"lockgate: {config.site} ({config.side}) serving {scheme}://{address}")
        finally:
            sign_end(paths)


def _work(
    root: Path, listener: socket.socket, slots: Slots, objectives: Objectives, slot: str, ready: Callable[[], object]
) -> None:
    worker.run(root, listener, ready, RegistryMeasures(slots.open(slot), objectives))


def _warn_of_keys(paths: StationPaths) -> None:
    """A line on stderr for each private key of the station whose file is open to other accounts."""
    for file in sorted([*paths.keys.glob("*.pem"), *paths.tls.glob("*.key")]):
        if warning := exposure(file):
            print(f"lockgate: {safe(warning)}", file=sys.stderr, flush=True)


def _shut_if_forgotten(paths: StationPaths, config: Config) -> None:
    """Shut imports where the ledger has forgotten a bundle, and say what else the database has forgotten. What an older
    one holds releases nothing that the audit log says was taken back."""
    found = forgotten.look(paths)
    bundle = shut_if_forgotten(paths)
    if bundle:
        print(f"lockgate: the ledger has forgotten {bundle}: imports are shut", file=sys.stderr, flush=True)
    elif found is not None:
        said = safe(forgotten.refused(paths, config, found).diagnostics())
        print(f"lockgate: {said}", file=sys.stderr, flush=True)
    if found is None and not bundle:
        return
    if blocks := block_again(paths, config.site):
        print(
            f"lockgate: the database had forgotten {some(len(blocks), 'block')}: they hold again",
            file=sys.stderr,
            flush=True,
        )
    withdrawn = withdraw_again(paths, config.site)
    if withdrawn.bundles:
        count, names = some(len(withdrawn.bundles), "withdrawal"), ", ".join(withdrawn.bundles[:_NAMED])
        print(f"lockgate: the database had forgotten {count}: {safe(names)}", file=sys.stderr, flush=True)
    for failed in withdrawn.failed[:_NAMED]:
        said = f"{failed} was withdrawn, and could not be withdrawn again; see: lockgate intake check"
        print(f"lockgate: {safe(said)}", file=sys.stderr, flush=True)
    if found is not None:
        forgotten.accept(paths)


def _check_open(host: str, paths: StationPaths, config: Config) -> None:
    """On loopback alone, and never a station that was made for two persons. Raises UsageError, RefusedError."""
    if paths.database.is_file() and _somebody(paths):
        raise RefusedError(
            "a station with accounts is never opened: one person would release alone",
            thing=str(paths.config),
            remedy=f"close it with: lockgate close -C {paths.root}"
            if was_made_open(paths, config)
            else "set open = false again; for trying things out make another (lockgate init, with --open)",
        )
    adopt(paths, config)
    require_open(paths, config)
    require_loopback(config, host)


def _check_closed(config: Config, paths: StationPaths) -> None:
    """TLS can start, and somebody can log in. Raises UsageError, FailedError."""
    require_closed_whole(paths, config)
    server_context(config, paths)
    if not paths.database.is_file() or not _somebody(paths):
        raise UsageError(
            "the station has no accounts yet",
            thing=config.site,
            remedy=f"make the first administrator with: lockgate user claim NAME -C {paths.root}",
        )
    adopt(paths, config)


def _somebody(paths: StationPaths) -> bool:
    with contextlib.closing(open_reader(paths.database)) as reader:
        try:
            return Accounts(reader).exist()
        except UnavailableEngineError:  # the database is of a version before accounts
            return False


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as error:
            raise FailedError(
                f"cannot listen ({error.strerror})",
                thing=f"{host}:{port}",
                remedy="choose another address with --listen, or stop what holds it",
            ) from None
        listener.setblocking(False)
        yield listener
    finally:
        listener.close()


class _Supervisor:
    """Starts the roles in order, each when the one before is ready, and keeps them going.

    A role that does not start again is tried again, and the others go on meanwhile: what one process lacks, such as
    disk or memory, is no reason to end those that serve. `before` is called before each start again, `after` once all
    of them run.
    """

    def __init__(
        self,
        roles: list[_Role],
        before: Callable[[], object] = lambda: None,
        *,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        self._roles, self._before, self._after = roles, before, after
        self._children: dict[int, _Role] = {}
        self._gone: dict[str, _Gone] = {}

    def run(self, announcement: str) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
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
                    _say(f"{said}; it is started again")
                    self._gone[role.name] = _Gone(role, time.monotonic() + _PAUSE)
                if not self._start_again():
                    return 0
        finally:
            self._stop()

    def _wait(self) -> int:
        """The next signal, 0 where it is time to start something again."""
        if not self._gone:
            return signal.sigwait(_SIGNALS)
        due = min(gone.due for gone in self._gone.values()) - time.monotonic()
        found = signal.sigtimedwait(_SIGNALS, max(due, 0.0))
        return 0 if found is None else found.si_signo

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
                if name == _CONTROL and gone.failed >= _CONTROL_STARTS:
                    raise
                pause = min(_PAUSE * 2**gone.failed, _LONGEST)
                _say(f"{error}; it is tried again in {pause:g} s")
                gone.due = time.monotonic() + pause
            else:
                if not self._gone:
                    self._after()
        return True

    def _start(self, role: _Role) -> bool:
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

    def _reap(self) -> list[tuple[_Role, int]]:
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


def _say(text: str) -> None:
    """One line on the error output, which may be a file on a full disk: that ends nobody."""
    with contextlib.suppress(OSError):
        print(f"lockgate: {text}", file=sys.stderr, flush=True)


def _tell(writing: int) -> None:
    """Tell the supervisor that its child is ready; one that was told to stop meanwhile does not listen any more."""
    with contextlib.suppress(BrokenPipeError):
        os.write(writing, b"1")


def _become(role: _Role, writing: int, parent: int) -> None:
    """The child's whole life; never returns, whatever becomes of its last words."""
    status = 1
    try:
        die_with(parent)  # by SIGKILL: nobody is left who would wait for an orderly end
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the supervisor ends the others
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        take_little_space(limits.JOB_STACK)
        log_to_stderr(role.name.replace(" ", "-"), as_json=role.log_as_json)
        role.run(lambda: _tell(writing))
        status = 0
    except LockgateError as error:
        _say(f"{role.name}: {error.diagnostics()}")
    except Exception as error:
        lacks = lacking(error)
        with contextlib.suppress(OSError):
            if lacks is None:
                traceback.print_exc()
            else:
                _say(f"{role.name}: {lacks.diagnostics()}")
    finally:
        try:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
