"""Jobs that do not end as they say: a starter of jobs whose kinds do other work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from appliance.jobs import kinds
from appliance.jobs.kinds import JobContext
from bundles.errors import FailedError
from tests.job_starter import serve


def fails(context: JobContext) -> dict[str, Any]:
    _ran(context)
    raise FailedError("the medium is full", thing=context.job_id)


def succeeds(context: JobContext) -> dict[str, Any]:
    _ran(context)
    return {"volumes": 7}


def raises_and_no_word_is_taken(context: JobContext) -> dict[str, Any]:
    """Fail inside, where the disk takes no traceback."""
    _ran(context)
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
    raise ValueError("inside")


def waits(context: JobContext) -> dict[str, Any]:
    _ran(context)
    while True:
        context.progress("wait", 1, 2)
        time.sleep(0.02)


def talks_rubbish_and_goes_on(context: JobContext) -> dict[str, Any]:
    """Say what no control process understands, and go on writing, with a child."""
    _ran(context)
    _child(context)
    sys.stdout.write("no JSON\n")
    sys.stdout.flush()
    _write(context)
    return {}


def fails_and_goes_on(context: JobContext) -> dict[str, Any]:
    """Fail while a thread and a child go on writing."""
    _ran(context)
    _child(context)
    threading.Thread(target=_write, args=(context,)).start()
    raise FailedError("the medium is full", thing=context.job_id)


def dies_with_a_child(context: JobContext) -> dict[str, Any]:
    """Die at once, and leave a child behind that goes on writing."""
    _ran(context)
    _child(context)
    os._exit(7)


def _ran(context: JobContext) -> None:
    with (context.folder / "ran").open("a") as file:
        file.write(f"{os.getpid()}\n")


def _write(context: JobContext) -> None:
    while True:
        with (context.folder / "medium").open("a") as file:
            file.write("x")
        time.sleep(0.005)


def _child(context: JobContext) -> None:
    """A child in the job's group that nothing else would end."""
    script = "import sys, time\nwhile True:\n open(sys.argv[1], 'a').write('y')\n time.sleep(0.005)"
    child = subprocess.Popen([sys.executable, "-I", "-c", script, str(context.folder / "medium")])
    (context.folder / "child").write_text(str(child.pid))
    while not Path(context.folder / "medium").exists():
        time.sleep(0.005)


_WORK = (
    fails, succeeds, raises_and_no_word_is_taken, waits, talks_rubbish_and_goes_on, fails_and_goes_on,
    dies_with_a_child,
)  # fmt: skip
WAYS = {work.__name__: work for work in _WORK}


def run(context: JobContext) -> dict[str, Any]:
    return WAYS[context.params["way"]](context)


if __name__ == "__main__":
    kinds.JobKind.load = lambda _: run  # type: ignore[assignment, method-assign, return-value]
    serve()
