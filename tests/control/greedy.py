"""Jobs that take memory without end, each in its own way: a starter of jobs whose kinds do other work."""

from __future__ import annotations

import io
import os
import resource
import signal
import sqlite3
import threading
import time
from dataclasses import replace
from typing import Any

from appliance.archives.unpacking import Unwrapped
from appliance.jobs import kinds
from appliance.jobs.kinds import JobContext
from bundles.errors import FailedError, RefusedError
from bundles.io.work_threads import Crew, WorkThread, at_once
from tests.job_starter import serve

MIB = 1024 * 1024
_FRAME = b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"
"""A zstd frame with a window of 128 MiB, and a last raw block of no bytes (RFC 8878, section 3.1.1)."""


def endless(_: object = None) -> None:
    """Take memory until there is none."""
    kept = []
    while True:
        kept.append(bytearray(MIB))


def small_objects(context: JobContext) -> dict[str, Any]:
    kept: list[object] = []
    while True:
        kept.append([kept, str(len(kept))])


def in_one_piece(context: JobContext) -> dict[str, Any]:
    return {"length": len(bytearray(4096 * MIB))}


def in_a_crew(context: JobContext) -> dict[str, Any]:
    with Crew(2) as crew:
        crew.put(endless)
    return {}


def in_a_lane(context: JobContext) -> dict[str, Any]:
    thread: WorkThread[int] = WorkThread(endless)
    thread.put(1)
    thread.close()
    return {}


def in_lanes_at_once(context: JobContext) -> dict[str, Any]:
    at_once(endless, [1, 2, 3], 3)
    return {}


def in_the_database(context: JobContext) -> dict[str, Any]:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n)"
                     " SELECT randomblob(1000000) FROM n")  # fmt: skip
    return {}


def in_threads_stacks(context: JobContext) -> dict[str, Any]:
    waiting = threading.Event()
    try:
        while True:
            threading.Thread(target=waiting.wait, daemon=True).start()
    finally:
        waiting.set()


def in_a_layers_window(context: JobContext) -> dict[str, Any]:
    """A zstd window of 128 MiB where less is left: zstd has words of its own for that."""
    kept = bytearray(180 * MIB)
    with Unwrapped(io.BytesIO(_FRAME), len(_FRAME), time.monotonic() + 60) as layer:
        layer.stream.read(1)
    return {"kept": len(kept)}


def taken_for_a_refusal(context: JobContext) -> dict[str, Any]:
    try:
        endless()
    except MemoryError:
        raise RefusedError("the bundle is damaged") from None
    return {}


def killed(context: JobContext) -> dict[str, Any]:
    """End without a word, as by the kernel's hand."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def starved(context: JobContext) -> dict[str, Any]:
    """Wait without end for a thread that had no memory to begin: Python says so on stderr, and nothing ends."""
    os.write(2, b"Exception ignored in sys.unraisablehook: <function _end_without_memory>\nMemoryError\n")
    threading.Event().wait()
    return {}


def failed_and_recorded(context: JobContext) -> dict[str, Any]:
    """Fail as a kind does that records its failure itself."""
    error = FailedError("the disk is gone")
    context.record_failure(kinds.KINDS[context.params["kind"]].act, "a thing", error)
    raise error


def failed_unrecorded(context: JobContext) -> dict[str, Any]:
    raise RefusedError("the bundle is damaged")


def bounds(context: JobContext) -> dict[str, Any]:
    """What the process may use, and what its stacks take."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return {"data": soft, "stack": threading.stack_size()}


WAYS = {
    function.__name__: function
    for function in (
        small_objects, in_one_piece, in_a_crew, in_a_lane, in_lanes_at_once, in_the_database, in_threads_stacks,
        in_a_layers_window, taken_for_a_refusal,
    )
}  # fmt: skip
OTHERS = {function.__name__: function for function in (bounds, killed, starved, failed_and_recorded, failed_unrecorded)}


def run(context: JobContext) -> dict[str, Any]:
    """The work that the parameter `way` names."""
    return {**WAYS, **OTHERS}[context.params["way"]](context)


if __name__ == "__main__":
    for name, kind in list(kinds.KINDS.items()):
        kinds.KINDS[name] = replace(kind, module="tests.control.greedy", function="run")
    serve()
