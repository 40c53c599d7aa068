"""An import in a process of its own, which may kill itself: `python -m tests.intake.importing ROOT JOB MOMENT FOLDER…`.

MOMENT is `never`, a number (the n-th progress or write ends the process, at once and without a word), or the name of
a write, after which it ends. Prints one JSON line: the job's result, bytes handed to write(2), and the log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.intake import import_job
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import WriterService
from appliance.store.writes.write import Guarded, Write
from tests.intake.inside import Context


class Moments:
    """Counts what happens, and ends the process at the moment asked for. Stands before the writer."""

    def __init__(self, writer: WriterService, moment: str) -> None:
        self.writer, self.moment, self.count = writer, moment, 0

    def one(self, *_: object) -> None:
        self.count += 1
        if self.moment == str(self.count):
            os.kill(os.getpid(), signal.SIGKILL)

    def submit(self, write: Write) -> Any:
        self.one()
        result = self.writer.submit(write)
        if self.moment == type(write).__name__:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def main() -> None:
    root, job_id, moment, *folders = sys.argv[1:]
    paths = StationPaths(Path(root))
    with WriterService(paths.database) as writer:
        moments = Moments(writer, moment)
        station = open_station(Path(root), writer)
        paths.job(job_id).mkdir(exist_ok=True)
        context = Context(replace(station, writer=Guarded(moments)), {"paths": folders}, paths.job(job_id), job_id)
        context.on_progress = moments.one
        before = written()
        result = import_job.run(context)
        print(json.dumps({"result": result, "written": written() - before, "log": context.lines}))


def written() -> int:
    """Bytes this process has handed to write(2) and its kin (proc(5), wchar)."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


if __name__ == "__main__":
    main()
