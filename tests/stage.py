"""Stations without accounts and `lockgate` commands at them, as `appliance.tour.stage` has them, but forked.

The programs and what they do are the same; their modules are loaded already (tests.forked). A station that is ready
takes a fifth of the processor time so, and a command a tenth. The main job's tests (gap, Debian image, trouble, tour)
start the programs themselves, and so does whoever looks at a process's command line, its environment or its memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from appliance.tour.stage import PASSED, Outcome, outcome_of
from bundles.errors import FailedError
from bundles.processes.start import FOLDER, environment
from tests import forked

__all__ = ["Outcome", "Station", "lockgate"]

_START_UP = 20
"""Seconds that a station may take to start, and to end."""


def lockgate(*arguments: str | Path, expect: int = 0, passphrase: str | None = None) -> Outcome:
    """Run `lockgate` as an operator would; a passphrase goes through a descriptor.

    Raises FailedError when it ends with another status than `expect`.
    """
    return outcome_of(_run, arguments, expect, passphrase)


def _run(words: list[str], descriptors: Sequence[int]) -> tuple[int, str, str]:
    ended = forked.run(words, env=environment(*PASSED), cwd=FOLDER, pass_fds=descriptors)
    return ended.returncode, ended.stdout, ended.stderr


class Station:
    """A station in `folder`, made by `lockgate init --open` (and `words`) and served on a free port of loopback."""

    def __init__(self, folder: Path, site: str, side: str, *words: str | Path) -> None:
        self.folder, self.site, self.side, self.base = folder, site, side, ""
        self.process: forked.Forked | None = None
        lockgate("init", folder, "--site", site, "--side", side, "--open", *words)

    def __enter__(self) -> Station:
        serve = ["serve", "-C", self.folder.absolute(), "--listen", "127.0.0.1:0"]
        with (self.folder / "serve.log").open("wb") as log:
            self.process = forked.start(serve, env=environment(*PASSED), cwd=FOLDER, err=log.fileno(), session=True)
        assert self.process.stdout is not None
        ready = re.search(r"http://\S+", self.process.stdout.readline())
        if ready is None:
            self.process.wait(_START_UP)
            raise FailedError("a station did not start", thing=str(self.folder), remedy=f"see {self.folder}/serve.log")
        self.base = ready.group()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_START_UP)
            if self.process.stdout is not None:
                self.process.stdout.close()

    def run(self, *arguments: str | Path, expect: int = 0, passphrase: str | None = None) -> Outcome:
        """A `lockgate` command at this station."""
        return lockgate(*arguments, "-C", self.folder, expect=expect, passphrase=passphrase)
