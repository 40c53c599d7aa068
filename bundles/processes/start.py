"""The one module that starts child processes (tests/hostile/test_children.py finds any other place).

A child runs a program by its absolute path, looked for in system folders alone; it starts in `/` or in a folder of the
caller's making, with a minimal environment, and inherits no descriptor that is not named. A Python child runs isolated
(`-I`: no PYTHON* variable, no user site, nothing from the current folder) and takes this program's code from the
folder that this process has it from. `find_callers_program` looks on the caller's own PATH: for credential helpers, in
the caller's own process. A child behind `Bounds` dies with the process that started it, but for one that `outlives`
it to put things in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from bundles.errors import FailedError
from bundles.processes import child

PIPE: Final = subprocess.PIPE
NOTHING: Final = subprocess.DEVNULL
Child = subprocess.Popen[bytes]

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, whatever the caller's PATH says: a relative or writable folder in it is an attack."""

PASSED: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""Variables of this process that every child gets, where they name no file of somebody's. Others are named by whoever
starts the child."""

_CHILD: Final = str(Path(child.__file__).resolve())

FOLDER: Final = "/"
"""Where a child starts unless told otherwise: a folder that only root writes to."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use. Sizes are bytes; None sets no limit.

    `address_space`, `data` and `file` are RLIMIT_AS, RLIMIT_DATA and RLIMIT_FSIZE (getrlimit(2)), `cpu` is RLIMIT_CPU
    in seconds. `data` is a soft limit, so that a child's own child can have another; None lifts the one of the process
    that starts it. `nice` is
    added to the niceness; without `network` the child gets a network namespace of its own where the kernel permits it.
    One that `outlives` its parent hears of that end by itself, from a pipe that closes.
    """

    address_space: int | None = None
    data: int | None = None
    file: int | None = None
    cpu: int | None = None
    nice: int = 0
    network: bool = True
    outlives: bool = False


def environment(*passed: str, **values: str) -> dict[str, str]:
    """A child's whole environment: PATH, `PASSED`, the variables of this process named in `passed`, and `values`."""
    kept = {name: os.environ[name] for name in PASSED if not _leads_away(os.environ.get(name, "/"))}
    kept |= {name: os.environ[name] for name in passed if name in os.environ}
    return {"PATH": PATH, **kept, **values}


def _leads_away(value: str) -> bool:
    """Whether a locale or time zone is a path of its own, and none below the system's folder of them: a time zone may
    be any file or pipe (tzset(3))."""
    return value.lstrip(":").startswith("/") or ".." in value.split("/")


def find_program(name: str) -> Path | None:
    """The absolute path of a program in the system's folders, or None."""
    found = shutil.which(name, path=PATH)
    return None if found is None else Path(found)


def find_callers_program(name: str) -> Path | None:
    """The absolute path of a program on the caller's own PATH, or None: what a person installed for themselves, started
    with their rights alone. Folders of PATH that are not named from the root count for nothing."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder.startswith("/")]
    found = shutil.which(name, path=os.pathsep.join(folders)) if folders else None
    return None if found is None else Path(found)


def python_module(module: str, *arguments: str, bounds: Bounds = Bounds()) -> list[str]:
    """The command that runs a module of this program in a Python of its own, within `bounds`."""
    return [*_bounded(bounds), "-m", module, *arguments]


def bounded(program: str, *arguments: str, bounds: Bounds) -> list[str]:
    """The command that runs `program`, an absolute path or `fd:N` for an inherited descriptor, within `bounds`."""
    return [*_bounded(bounds), program, *arguments]


def _bounded(bounds: Bounds) -> list[str]:
    spec = json.dumps({"parent": os.getpid(), **asdict(bounds)}, separators=(",", ":"))
    return [sys.executable, "-I", _CHILD, spec]


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: str | Path = FOLDER,
    timeout: float | None = None,
    pass_fds: Sequence[int] = (),
    session: bool = False,
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a command to its end, without input, its output kept; None where it took longer than `timeout` seconds.

    In a `session` of its own it has no terminal, and cannot ask there (setsid(2)).
    """
    try:
        return subprocess.run(
            _absolute(command), env=env, cwd=cwd, timeout=timeout, pass_fds=pass_fds, stdin=subprocess.DEVNULL,
            capture_output=True, check=False, start_new_session=session,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None


def ask(
    command: Sequence[str | Path], *, env: Mapping[str, str], message: bytes, timeout: float, ceiling: int
) -> tuple[int, bytes] | None:
    """Run a command with a short message on its input: its status and what it printed. None where it took longer than
    `timeout` seconds or printed more than `ceiling` bytes; it is killed then. It keeps the terminal, and its errors are
    dropped. What it leaves behind, with its output open, is not waited for."""
    deadline = time.monotonic() + timeout
    with subprocess.Popen(
        _absolute(command), env=env, cwd=FOLDER, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            said = _heard(process, message, deadline, ceiling)
            if said is not None:
                return process.wait(max(0.0, deadline - time.monotonic())), said
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
    return None


def _heard(process: Child, message: bytes, deadline: float, ceiling: int) -> bytes | None:
    """What a process prints until it ends; None past the deadline or the ceiling."""
    if process.stdin is None or process.stdout is None:
        raise FailedError("a program has no pipes")
    with contextlib.suppress(BrokenPipeError):  # it answers without having asked
        process.stdin.write(message)
        process.stdin.close()
    output, said = process.stdout.fileno(), bytearray()
    ended = os.pidfd_open(process.pid)  # readable once it has ended (pidfd_open(2))
    try:
        while len(said) <= ceiling:
            ready, _, _ = select.select([output, ended], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            if output not in ready and not select.select([output], [], [], 0)[0]:  # it may have printed in between
                return bytes(said)
            chunk = os.read(output, ceiling + 1)
            if not chunk:
                return bytes(said)
            said += chunk
        return None
    finally:
        os.close(ended)


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: str | Path = FOLDER,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a command, without input where none is named, in a process group of its own (so that what it starts can be
    ended with it)."""
    return subprocess.Popen(
        _absolute(command), env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds,
        process_group=0,
    )  # fmt: skip


def wait(process: Child, timeout: float) -> int | None:
    """Wait for the end of a child that `start` made: its return code. None where it took longer than `timeout` seconds;
    it is killed then, with what it started."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def how_it_ended(returncode: int) -> str:
    """How a process ended, by its return code as `subprocess` has it: a predicate that names its signal or status."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        name = f"signal {-returncode}"
    return f"was killed by {name}"


def _absolute(command: Sequence[str | Path]) -> list[str]:
    """The command as text. Raises FailedError for a program that is not named from the root: it would be looked for."""
    words = [str(word) for word in command]
    if not os.path.isabs(words[0]):  # noqa: PTH117  a word, not a path of ours
        raise FailedError("a program is not named by its absolute path", thing=words[0])
    return words
