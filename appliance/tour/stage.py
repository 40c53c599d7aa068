"""The stage of the tour: stations on loopback in a temporary folder, driven through the command line alone."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bundles.errors import FailedError
from bundles.processes import start

_CLI: Final = "appliance.cli.main"
PASSED: Final = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR")

_START_UP: Final = 20
"""Seconds a station may take on the slowest machine; it is ready in about one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, how it ended, and how long it took (seconds)."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def last_line(self) -> str:
        return self.stdout.rstrip().rpartition("\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def lockgate(*arguments: str | Path, expect: int = 0, passphrase: str | None = None) -> Outcome:
    """Run `lockgate` as an operator would; a passphrase goes through a descriptor, never an argument.

    Raises FailedError when it ends with another status than `expect`.
    """
    return outcome_of(_run, arguments, expect, passphrase)


def outcome_of(
    run: Callable[[list[str], Sequence[int]], tuple[int, str, str]], arguments: Sequence[str | Path], expect: int,
    passphrase: str | None,
) -> Outcome:  # fmt: skip
    """As `lockgate`; `run` is given the words and the descriptors to pass on, and returns the status and what stands on
    both outputs."""
    words = list(map(str, arguments))
    descriptors: Sequence[int] = ()
    if passphrase is not None:
        reading, writing = os.pipe()
        os.write(writing, passphrase.encode() + b"\n")
        os.close(writing)
        words += ["--passphrase-fd", str(reading)]
        descriptors = (reading,)
    started = time.monotonic()
    try:
        status, stdout, stderr = run(words, descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if status != expect:
        raise FailedError(
            f"a command ended with {status}, not {expect}",
            thing="lockgate " + " ".join(map(str, arguments)),
            remedy=stderr.strip() or "it printed nothing",
        )
    return Outcome(status, stdout, stderr, time.monotonic() - started)


def _run(words: list[str], descriptors: Sequence[int]) -> tuple[int, str, str]:
    ended = start.run(start.python_module(_CLI, *words), env=start.environment(*PASSED), pass_fds=descriptors)
    assert ended is not None  # noqa: S101  it had no time limit
    return ended.returncode, ended.stdout.decode(), ended.stderr.decode()


class Station:
    """A station in `folder`, made by `lockgate init --open` and served on a free port of loopback."""

    def __init__(self, folder: Path, site: str, side: str) -> None:
        self.folder, self.site, self.side, self.base = folder, site, side, ""
        self.process: start.Child | None = None
        lockgate("init", folder, "--site", site, "--side", side, "--open")

    def __enter__(self) -> Station:
        serve = start.python_module(_CLI, "serve", "-C", str(self.folder.absolute()), "--listen", "127.0.0.1:0")
        with (self.folder / "serve.log").open("wb") as log:
            self.process = start.start(serve, env=start.environment(*PASSED), stdout=start.PIPE, stderr=log)
        assert self.process.stdout is not None  # noqa: S101  it was asked for above
        ready = re.search(r"http://\S+", self.process.stdout.readline().decode())
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

    def run(self, *arguments: str | Path, expect: int = 0, passphrase: str | None = None) -> Outcome:
        """A `lockgate` command at this station."""
        return lockgate(*arguments, "-C", self.folder, expect=expect, passphrase=passphrase)
