"""The starter of jobs as a process of its own, for tests whose own process has threads and much memory."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.jobs import starter
from appliance.jobs.process import JobStarter, Process
from bundles.errors import FailedError
from bundles.io.threads import take_little_space

_REPOSITORY = Path(__file__).resolve().parent.parent


@contextmanager
def job_starter(module: str = "tests.job_starter") -> Iterator[JobStarter]:
    """What starts jobs. `module` is run in its process; it may change what a job does, and ends with `serve`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-m", module, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=_REPOSITORY, stdin=subprocess.DEVNULL)
        theirs.close()
        found = JobStarter(process.pid, ours)
        try:
            yield found
        finally:
            found.close()
            process.wait()


class NoStarter(JobStarter):
    """For jobs that are queued, listed and shown, and of which none is run: one that begins fails at once."""

    def __init__(self) -> None:
        pass

    async def start(self, root: Path, job_id: str, kind: str, folder: Path, descriptors: tuple[int, ...]) -> Process:
        raise FailedError("nothing starts jobs here", thing=job_id)


def serve() -> None:
    """Start jobs for the process that started this one."""
    take_little_space(1 << 20)
    starter.serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    serve()
