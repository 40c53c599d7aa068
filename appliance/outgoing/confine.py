"""Run a program within limits, and not longer than its caller: `python -I confine.py PARENT MEMORY PROGRAM ARGUMENT…`.

A script of its own, since code between fork and exec of a process with threads may hang. It becomes the program.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, memory, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    os.execv(program, sys.argv[3:])  # noqa: S606  no shell is wanted
