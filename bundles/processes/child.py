"""The beginning of a child process: `python -I child.py SPEC (-m MODULE | PROGRAM) ARGUMENT…`.

SPEC is JSON: the parent's process id and the fields of `bundles.processes.start.Bounds`. The child ends where that
parent is gone, unless it `outlives` it, sets its limits, and becomes the module or the program. A script of its own,
since code between fork and exec of a process with threads may hang; it imports nothing of the program before it is
bounded.
"""

import ctypes
import json
import os
import resource
import runpy
import signal
import sys
from collections.abc import Mapping
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

NO_NAMESPACE = "lockgate: not confined: no network namespace"
"""A line on standard error where the kernel or a service manager forbids a namespace (unshare(2), EPERM)."""


def die_with(parent: int) -> None:
    """Be killed when `parent` ends; end at once where it has ended. prctl(2): the signal is sent for the parent that
    is there when it is set, so the known id is compared afterwards."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _leave_network() -> None:
    """A network namespace without interfaces that are up: no packet leaves it. A user namespace first where the
    account may not make one otherwise."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWNET) and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        sys.stderr.write(f"{NO_NAMESPACE}\n")
        sys.stderr.flush()


def be_called(name: str) -> None:
    """Give this process a name of at most 15 bytes for `ps` and /proc/PID/comm (prctl(2), PR_SET_NAME)."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def limit(spec: Mapping[str, Any]) -> None:
    """Take on the limits of `bundles.processes.start.Bounds`, given as its fields."""
    if not spec["network"]:
        _leave_network()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kinds = {"address_space": resource.RLIMIT_AS, "file": resource.RLIMIT_FSIZE, "cpu": resource.RLIMIT_CPU}
    for name, kind in kinds.items():
        if spec[name] is not None:
            most = below(resource.getrlimit(kind)[1], spec[name])
            resource.setrlimit(kind, (most, most))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard if spec["data"] is None else below(hard, spec["data"]), hard))
    os.nice(spec["nice"])


def below(hard: int, wanted: int) -> int:
    """A limit no higher than the hard one, which an account without privileges cannot raise."""
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


def _main() -> None:
    spec, words = json.loads(sys.argv[1]), sys.argv[2:]
    if not spec["outlives"]:
        die_with(spec["parent"])
    limit(spec)
    if words[0] != "-m":
        program = words[0]
        if program.startswith("fd:"):
            os.execve(int(program[3:]), words, os.environ)  # noqa: S606  no shell is wanted
        os.execv(program, words)  # noqa: S606
    own = os.path.abspath(__file__)  # noqa: PTH100  pathlib takes 10 ms
    root = os.path.dirname(os.path.dirname(os.path.dirname(own)))  # noqa: PTH120
    if root not in sys.path:
        sys.path.insert(0, root)
    sys.argv = words[1:]
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
