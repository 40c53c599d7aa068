"""`lockgate` as a process of its own that has its modules loaded already.

A command spends most of its time on loading modules. A helper process of each test process loads them once, and forks
for each command: arguments, environment, working folder and descriptors are the command's own, and it ends as any
process does. The tests of main_job, cli and installing start the program itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

_REPOSITORY = Path(__file__).resolve().parent.parent
_REQUEST = 1 << 17
"""Bytes of a request at most; the environment is most of it."""
_DESCRIPTORS = 16


@dataclass
class Forked:
    """A running command: what tests need of subprocess.Popen."""

    pid: int
    stdout: TextIO | None
    _status: int
    returncode: int | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def poll(self) -> int | None:
        """The exit status, -N for signal N, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it ended. Raises subprocess.TimeoutExpired."""
        with self._turn:
            if self.returncode is None:
                readable, _, _ = select.select([self._status], [], [], timeout)
                if not readable:
                    raise subprocess.TimeoutExpired("lockgate", timeout or 0.0)
                raw = os.read(self._status, 4)
                assert len(raw) == 4, "the process that forks is gone"
                self.returncode = struct.unpack("i", raw)[0]
                os.close(self._status)
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Helper:
    """The process that has the modules loaded, and the socket by which it is asked."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        self.owner = os.getpid()
        command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=_REPOSITORY, stdin=subprocess.DEVNULL)
        theirs.close()

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> int:
        """The process id of a new command."""
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
            return int(struct.unpack("i", self._socket.recv(4))[0])


_helper: _Helper | None = None
_starting = threading.Lock()


def _ask(request: Mapping[str, Any], descriptors: Sequence[int]) -> int:
    global _helper  # noqa: PLW0603 - one process for each test process
    with _starting:
        if _helper is None or _helper.owner != os.getpid():
            _helper = _Helper()
    return _helper.ask(request, descriptors)


def start(
    words: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | str | None = None,
    out: int | None = None, err: int | None = None, pass_fds: Sequence[int] = (), session: bool = False, nice: int = 0,
) -> Forked:  # fmt: skip
    """`lockgate WORDS`, running. Without `out` its stdout is a pipe that `stdout` reads; without `err` its stderr is
    this process's. `session` makes it the leader of a session of its own (setsid(2))."""
    reading = -1
    if out is None:
        reading, out = os.pipe()
    watching, status = os.pipe()
    request = {
        "words": [str(word) for word in words], "env": dict(os.environ if env is None else env),
        "cwd": str(cwd or Path.cwd()), "passed": list(pass_fds), "session": session, "nice": nice,
    }  # fmt: skip
    try:
        pid = _ask(request, [status, out, 2 if err is None else err, *pass_fds])
    finally:
        os.close(status)
        if reading >= 0:
            os.close(out)
    return Forked(pid, os.fdopen(reading) if reading >= 0 else None, watching)


def run(
    words: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | str | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`lockgate WORDS`, ended: its status, stdout and stderr."""
    reading, err = os.pipe()
    said: list[str] = []
    with os.fdopen(reading) as errors:
        process = start(words, env=env, cwd=cwd, err=err, pass_fds=pass_fds)
        os.close(err)
        reader = threading.Thread(target=lambda: said.append(errors.read()))
        reader.start()
        assert process.stdout is not None
        with process.stdout as stdout:
            told = stdout.read()
        reader.join()
    return subprocess.CompletedProcess([str(word) for word in words], process.wait(), told, said[0])


def _load() -> None:
    """Load what commands and the station load, and nothing that `serve` loads later than this (prometheus_client)."""
    import click

    from appliance.limits import access
    from tests.passwords import COST

    access.ARGON2_PERSON = COST  # type: ignore[misc] - before anything takes the value
    import appliance.serve.supervisor  # noqa: F401 - with the control process's and the workers' modules
    from appliance.cli.main import lockgate
    from appliance.jobs.kinds import KINDS
    from appliance.store.sqlite_file import in_memory

    def walk(group: click.Group) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                walk(command)

    walk(lockgate)
    for kind in KINDS.values():
        kind.load()
    in_memory().close()  # the steps to a new database are gone once for all stations
    assert "prometheus_client" not in sys.modules
    assert threading.active_count() == 1  # a fork would lose the others
    gc.collect()
    gc.freeze()  # no collection of a command copies the pages that it shares with this process


def _become(request: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Go on as the command, in the forked process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    os.nice(request["nice"])
    status, *given = descriptors
    os.close(status)
    above = max([2, *request["passed"]]) + 1
    moved = [_above(descriptor, above) for descriptor in given]
    for descriptor, number in zip(moved, [1, 2, *request["passed"]], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["lockgate", *request["words"]]
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    from appliance.cli.main import main

    status: object = 1
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    _end(status)


def _end(status: object) -> NoReturn:
    """End as an interpreter does, but for taking apart the modules: that would copy every page that is shared with the
    helper, and cost twice what most commands do."""
    if isinstance(status, str):
        print(status, file=sys.stderr)
    number = status if isinstance(status, int) else int(status is not None)
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            number = 120  # as Python ends where its last words cannot be written
    os._exit(number & 0xFF)


def _above(descriptor: int, least: int) -> int:
    """The descriptor moved to a number that no passed one has."""
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    os.close(descriptor)
    return moved


def _reap(running: dict[int, int]) -> None:
    """Tell the status of each command that ended."""
    while running:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        with contextlib.suppress(OSError):
            os.write(running[pid], struct.pack("i", os.waitstatus_to_exitcode(raw)))
        os.close(running.pop(pid))


def _serve(asked: socket.socket) -> None:
    _load()
    waking, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([asked, waking], [], [])
        if waking in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(waking, 4096)
            _reap(running)
        if asked not in readable:
            continue
        raw, descriptors, _, _ = socket.recv_fds(asked, _REQUEST, _DESCRIPTORS)
        if not raw:
            return
        request = json.loads(raw)
        pid = os.fork()
        if pid == 0:
            asked.close()
            for other in (waking, woken, *running.values()):
                os.close(other)
            _become(request, descriptors)
        running[pid] = descriptors[0]
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        asked.send(struct.pack("i", pid))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
