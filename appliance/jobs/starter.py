"""The process that forks the processes of jobs.

Loading a job's modules takes longer than many jobs work. The control process forks this one before it has a thread, an
event loop or a file of the store open; this one loads the modules of every kind of job once, and forks for each job. It
has one thread, and waits for nothing but its socket and its children.

Messages are packets (unix(7), SOCK_SEQPACKET), each a JSON object:

| from | fields | what |
|---|---|---|
| control process | `root`, `job`, `kind`, `environment`, `bounds`, `parent`, `numbers` | start this job |
| starter | `pid` | it was started: the answer to one request |
| starter | `errno` | it could not be started: the answer to one request |
| starter | `ended`, `status` | the job of that pid ended, with this return code as `subprocess` has it |

`environment` is name -> value, `bounds` the fields of `bundles.processes.start.Bounds`, `parent` the starter's process
id. With a request go the job's stdin, stdout and stderr, and the descriptors that it knows by `numbers` (SCM_RIGHTS).

A job dies with its starter, and the starter with the control process (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from appliance.jobs import runner
from appliance.jobs.kinds import KINDS
from bundles.processes import child
from bundles.processes.start import FOLDER

REQUEST: Final = 1 << 17
"""Bytes of a message at most."""

DESCRIPTORS: Final = 250
"""Descriptors of a message at most (unix(7): 253)."""

JOB_NAME: Final = "lockgate-job"
"""What `ps` and /proc/PID/comm call the process of a job (proc(5))."""

_NAME: Final = "lockgate-jobs"
_MOST_DESCRIPTORS: Final = 1 << 20
"""Descriptors of a process at most where it has no limit (proc(5), nr_open)."""

_STANDARD: Final = 3
"""stdin, stdout and stderr."""


def begin() -> tuple[int, socket.socket]:
    """Start the starter; its process id and the socket that it is asked by. For a process with one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        ours.close()
        with contextlib.suppress(BaseException):
            child.die_with(parent)
            serve(theirs)
        os._exit(1)
    theirs.close()
    return pid, ours


def serve(asked: socket.socket) -> NoReturn:
    """Start jobs until the other end of the socket is closed."""
    child.be_called(_NAME)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _keep_only([0, 1, 2, asked.fileno()])
    os.chdir(FOLDER)
    for kind in KINDS.values():
        kind.load()
    gc.collect()
    gc.freeze()  # what was loaded stays in the pages that the jobs share
    waking, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    while True:
        readable, _, _ = select.select([asked.fileno(), waking], [], [])
        if waking in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(waking, 4096)
            _tell_of_ended(asked)
        if asked.fileno() in readable:
            raw, given, _, _ = socket.recv_fds(asked, REQUEST, DESCRIPTORS)
            if not raw:
                os._exit(0)
            asked.send(json.dumps(_start(asked, raw, given)).encode())
            for descriptor in given:
                os.close(descriptor)


def _start(asked: socket.socket, raw: bytes, given: Sequence[int]) -> dict[str, int]:
    """Fork for a request; the answer to it."""
    try:
        pid = os.fork()
    except OSError as error:  # too many processes, or no memory: the jobs that run go on
        return {"errno": error.errno or errno.EAGAIN}
    if pid == 0:
        signal.set_wakeup_fd(-1)
        asked.close()
        _become(json.loads(raw), given)
    with contextlib.suppress(ProcessLookupError):  # here too: whoever hears of the job may end its group at once
        os.setpgid(pid, pid)
    return {"pid": pid}


def _tell_of_ended(asked: socket.socket) -> None:
    """Tell how each child ended that did. What one left behind in its process group is the control process's to end."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        asked.send(json.dumps({"ended": pid, "status": os.waitstatus_to_exitcode(status)}).encode())


def _keep_only(descriptors: Sequence[int]) -> None:
    """Close every descriptor but these: the listening socket and the station's lock are no business of jobs."""
    kept = sorted(descriptors)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    end = _MOST_DESCRIPTORS if most == resource.RLIM_INFINITY else most
    for number, following in zip(kept, [*kept[1:], end], strict=True):
        os.closerange(number + 1, following)


def _become(request: Mapping[str, Any], given: Sequence[int]) -> NoReturn:
    """Go on as a job, to the end of the process."""
    status = 1
    try:
        child.die_with(request["parent"])
        os.setpgid(0, 0)
        child.be_called(JOB_NAME)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _take_descriptors(given, [*range(_STANDARD), *request["numbers"]])
        os.environ.clear()
        os.environ.update(request["environment"])
        child.limit(request["bounds"])
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        status = runner.main(Path(request["root"]), request["job"], request["kind"])
    except BaseException:  # whatever it is, nothing of the starter may go on in this process
        with contextlib.suppress(BaseException):
            sys.__excepthook__(*sys.exc_info())
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(status)


def _take_descriptors(given: Sequence[int], numbers: Sequence[int]) -> None:
    """Give the descriptors the numbers that they are known by, and close all others."""
    above = max(numbers) + 1
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in given]
    for descriptor, number in zip(moved, numbers, strict=True):
        os.dup2(descriptor, number, inheritable=number < _STANDARD)
    _keep_only(numbers)
