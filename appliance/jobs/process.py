"""The process of a job: started in a group of its own, heard, and dead before anybody is told how the job ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from appliance.jobs import starter
from appliance.jobs.runner import died_of_memory
from appliance.limits import jobs as limits
from bundles.errors import FailedError
from bundles.processes import start as children

_LINE: Final = 8 * 1024 * 1024
_NICE: Final = 5
"""How far a job stands back for the console and the clients, who wait; an idle machine gives it everything."""

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_PASSED: Final = (
    *_PROXIES, *(name.upper() for name in _PROXIES),
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""Variables that `collect` works by: the way to a remote registry, and whose certificates count there."""

_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Where the service manager put the station's credentials (systemd.exec(5)); jobs of `_CREDENTIALED` read theirs."""

_CREDENTIALED: Final = frozenset(
    {"collect", "sftp-push", "sftp-pull", "sftp-list", "diode-send", "diode-receive", "replica"}
)

_LOOK: Final = 0.01
_LOOKS: Final = 500
"""Seconds between two looks whether killed processes are gone, and how many there are. One that hangs in the kernel (a
disk that does not answer) is left then."""

_GRACE: Final = 0.8
"""Seconds between asking a job to stop and stopping it, so that a cancel is done within one."""


class Process:
    """A job's process, which is a child of the starter. What is used of it is as in asyncio.subprocess.Process."""

    def __init__(self, pid: int, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self.returncode: int | None = None
        self._gone = asyncio.Event()

    async def wait(self) -> int | None:
        """Wait until it has ended; its return code, -N for signal N."""
        await self._gone.wait()
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM. Raises ProcessLookupError."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)

    def end(self, returncode: int) -> None:
        """It has ended."""
        self.returncode = returncode
        self.stdin.close()
        self._gone.set()


@dataclass(frozen=True, slots=True)
class _Starting:
    """A job that the starter was asked for: its pipes, and who waits for it."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    started: asyncio.Future[Process]


class JobStarter:
    """The way to the process that forks jobs (appliance.jobs.starter)."""

    def __init__(self, pid: int, asked: socket.socket) -> None:
        """`asked` is the socket of the starter, whose process id is `pid`; `when_lost` is called where it ends
        before `close`, and before its jobs are said to have ended."""
        self._pid, self._asked = pid, asked
        self._starting: list[_Starting] = []
        self._processes: dict[int, Process] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_lost = False
        self.when_lost: Callable[[], object] = lambda: None

    @classmethod
    def begin(cls) -> JobStarter:
        """Start the starter. For a process with one thread and without an event loop."""
        return cls(*starter.begin())

    def close(self) -> None:
        """End the starter, and with it what it started. Nothing is heard of it any more."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._asked)
        self._asked.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    async def start(self, root: Path, job_id: str, kind: str, folder: Path, descriptors: tuple[int, ...]) -> Process:
        """Start the process of a job of the station in `root`, which inherits the descriptors under their numbers.
        Raises OSError, FailedError."""
        self._hear()
        bounds = children.Bounds(data=limits.JOB_DATA, nice=_NICE)
        request = {
            "root": str(root), "job": job_id, "kind": kind, "numbers": list(descriptors), "bounds": asdict(bounds),
            "environment": children.environment(*_PASSED, *((_CREDENTIALS,) if kind in _CREDENTIALED else ())),
            "parent": self._pid,
        }  # fmt: skip
        with contextlib.ExitStack() as opened:
            errors = opened.enter_context((folder / "errors").open("ab"))
            to_job, in_job = socket.socketpair()
            opened.callback(in_job.close)
            reading, writing = os.pipe()
            opened.callback(os.close, writing)
            stdout = await _read_from(reading)
            _, stdin = await asyncio.open_connection(sock=to_job)
            starting = _Starting(stdin, stdout, asyncio.get_running_loop().create_future())
            self._starting.append(starting)
            given = [in_job.fileno(), writing, errors.fileno(), *descriptors]
            try:
                socket.send_fds(self._asked, [json.dumps(request).encode()], given)
            except OSError:
                self._starting.remove(starting)
                stdin.close()
                raise
        process = await starting.started
        _end_group_of(process)
        _end_starved(process, folder / "errors")
        return process

    def _hear(self) -> None:
        """Hear the starter, from the first job on: there is an event loop then."""
        if self.is_lost:
            raise _lost()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._asked, self._take)

    def _take(self) -> None:
        """Take what the starter says."""
        try:
            raw = self._asked.recv(starter.REQUEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            raw = b""
        if not raw:
            self._lose()
            return
        message: dict[str, Any] = json.loads(raw)
        if "ended" in message:
            self._processes.pop(message["ended"]).end(message["status"])
        else:
            self._answer(self._starting.pop(0), message)

    def _answer(self, starting: _Starting, message: dict[str, Any]) -> None:
        """Hand a job's process to whoever waits for it."""
        if "errno" in message:
            starting.stdin.close()
            if not starting.started.cancelled():
                starting.started.set_exception(OSError(message["errno"], os.strerror(message["errno"])))
            return
        process = Process(message["pid"], starting.stdin, starting.stdout)
        self._processes[process.pid] = process
        if starting.started.cancelled():  # nobody is there to follow it
            kill(process)
        else:
            starting.started.set_result(process)

    def _lose(self) -> None:
        """The starter is gone, and the kernel kills its jobs."""
        self.is_lost = True
        asyncio.get_running_loop().remove_reader(self._asked)
        self.when_lost()
        for starting in self._starting:
            starting.stdin.close()
            if not starting.started.done():
                starting.started.set_exception(_lost())
        for process in self._processes.values():
            process.end(-signal.SIGKILL)
        self._starting.clear()
        self._processes.clear()


def _lost() -> FailedError:
    return FailedError("the process that starts jobs has ended", remedy="its jobs go on once the station has it again")


async def _read_from(descriptor: int) -> asyncio.StreamReader:
    """What a job writes into a pipe."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE, loop=loop)
    file = os.fdopen(descriptor, "rb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), file)
    return reader


def _end_starved(process: Process, errors: Path) -> None:
    """Kill a process that lacked memory and does not end. A thread without memory for its first frame can run nothing
    of its own, not even what would end the process, and whoever started the thread waits for it without end. Python
    writes that into `errors`."""
    loop = asyncio.get_running_loop()

    def look(*, lacked_before: bool) -> None:
        if process.returncode is not None:
            return
        lacked = False
        with contextlib.suppress(OSError):
            lacked = died_of_memory(errors)
        if lacked and lacked_before:
            kill(process)
            return
        loop.call_later(limits.JOB_STARVED, partial(look, lacked_before=lacked))

    loop.call_later(limits.JOB_STARVED, partial(look, lacked_before=False))


def _end_group_of(process: Process) -> None:
    """Kill what a process leaves behind in its group as soon as it has ended: a child that holds the pipe would keep
    the job from being heard to its end (pidfd_open(2): readable then)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # it was waited for already
        kill(process)
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        kill(process)

    loop.add_reader(descriptor, gone)


def kill(process: Process) -> None:
    """End it and what it started, at once. Of one that is gone, what it left behind in its group: the group's number is
    nobody else's while anything is in it, and numbers come round again after tens of thousands of processes alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def ask_to_stop(process: Process) -> None:
    """Ask it to stop, and stop it where it does not within a second."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await ended(process, _GRACE)


async def ended(process: Process, patience: float) -> None:
    """Return when the process is gone, and its group: killed, where it goes on for longer than `patience` seconds."""
    if patience > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
    kill(process)
    await process.wait()
    for _ in range(_LOOKS):
        if not _lives(process.pid):
            break
        await asyncio.sleep(_LOOK)


def _lives(group: int) -> bool:
    """Whether anything of a process group still runs. A signal that was sent is acted on only when its process next
    gets a processor, and one that ended stays in its group until its parent has heard of it (proc(5), stat)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(its_group) == group and state not in "ZX":
                    return True
    return False
