"""Which processes do a station's jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from appliance.jobs.starter import JOB_NAME


def job_processes(root: Path) -> Iterator[Path]:
    """The /proc folders of the processes that do jobs of the station in `root`: each holds its job's lock."""
    jobs = str(root.resolve() / "jobs")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() != JOB_NAME:
                continue
            if any(str(held.readlink()).startswith(jobs) for held in (process / "fd").iterdir()):
                yield process
