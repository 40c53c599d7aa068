"""The process of a job: started in a group of its own, heard, and dead before anybody is told how the job ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from pathlib import Path
from typing import Final

from appliance import limits
from appliance.jobs.runner import died_of_memory
from bundles.processes import start as children

Process = asyncio.subprocess.Process

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
"""Where the service manager put the station's credentials (systemd.exec(5)); a job that collects reads one of them."""

_LOOK: Final = 0.01
_LOOKS: Final = 500
"""Seconds between two looks whether killed processes are gone, and how many there are. One that hangs in the kernel (a
disk that does not answer) is left then."""

_GRACE: Final = 0.8
"""Seconds between asking a job to stop and stopping it, so that a cancel is done within one."""


async def start(root: Path, job_id: str, kind: str, folder: Path, descriptors: tuple[int, ...]) -> Process:
    """Start the process of a job of the station in `root`, which inherits the descriptors. Raises OSError."""
    with (folder / "errors").open("ab") as errors:
        process = await children.start_async(
            children.python_module(
                "appliance.jobs.runner", str(root), job_id, kind,
                bounds=children.Bounds(data=limits.JOB_DATA, nice=_NICE),
            ),
            env=children.environment(*_PASSED, *((_CREDENTIALS,) if kind == "collect" else ())), stderr=errors,
            line=_LINE, pass_fds=descriptors,
        )  # fmt: skip
    _end_group_of(process)
    _end_starved(process, folder / "errors")
    return process


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
