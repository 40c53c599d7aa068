"""`make bench-console`: what the console costs, and how soon it answers, in a real terminal on a real station.

The station holds 100,000 tags in one repository and 10,000 repositories; a bundle of random bytes is imported into it
while keys are pressed. The program runs on a pseudo-terminal of 80x24, and every byte it writes is timed as it arrives:
key to paint is from the key's byte to the last byte of what is painted for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.control.client import ControlClient
from appliance.tour.stage import Station
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.bench.terminal import TimedTerminal
from tests.console.many import LARGE, large_station
from tests.control.powered import Powered
from tests.main_job.gap import random_file

SIZE = (80, 24)
DOWN, UP, END = "\x1b[B", "\x1b[A", "\x1b[F"
TAGS = 100_000
ENVIRONMENT = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
_LEAST = 40
"""Bytes of the smallest paint that a key leads to; the clock's digits are fewer."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-console", description=__doc__)
    parser.add_argument("--size", type=int, default=3072, help="MiB of the bundle that is imported (default 3072)")
    parser.add_argument("--keys", type=int, default=120, help="keys that are pressed meanwhile, at most (default 120)")
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        run(root, arguments.size, arguments.keys, arguments.starts)
    finally:
        shutil.rmtree(root)


def run(root: Path, mebibytes: int, keys: int, starts: int) -> None:
    """Print the table."""
    medium = _bundle(root, mebibytes)
    print(f"console on a station of {TAGS:,} tags and 10,000 repositories; import of {mebibytes} MiB\n")
    with Powered(root / "bravo") as station:
        _row("first paint, median of starts", *_first_paint(station, starts), "s", 0.7)
        with _console(station) as terminal:
            _settled(terminal)
            _row("idle on the wire", _idle(terminal, 20.0), "", "B/s", 100)
            _row("a cursor move", *_moves(terminal), "B", 400)
            _row("key to paint at rest, p95", *_paints(terminal, keys), "ms", 50)
            cancelled = asyncio.run(_cancelled(station, medium))
            _row("cancel of a running import", cancelled, "", "s", 1.0)
            saturated, rate = _while_importing(terminal, station, medium, keys)
            _row("key to paint during an import, p95", *saturated, "ms", 50)
            print(f"  (the import ran at {rate:.0f} MB/s under it)")
        with _console(station) as terminal:
            _settled(terminal)
            _row(f"memory with {TAGS:,} tags loaded (RSS)", *_memory(terminal), "MiB", 150)


def _row(name: str, value: float, note: str, unit: str, bound: float) -> None:
    mark = "ok" if value < bound else "MISSED"
    shown = f"{value:.2f}" if value < 10 else f"{value:.0f}"
    print(f"{name:<40} {shown:>8} {unit:<4} below {bound:g}  {mark}  {note}", flush=True)


def _bundle(root: Path, mebibytes: int) -> Path:
    """A bundle from alpha on a medium, and a bravo that trusts it."""
    alpha = Station(root / "alpha", "alpha", "outside")
    key = create_private()
    save_private(root / "alpha" / "keys" / "engineer.pem", key, None)
    large_station(root / "bravo", tags=TAGS, repositories=10_000)
    trust_key(root / "bravo" / "trust", key.public, purpose="bundle", owner="Engineering", sites=["alpha"])
    artifact = random_file(root / "artifact.bin", mebibytes << 20)
    (root / "medium").mkdir()
    with alpha:
        alpha.run("collect", f"file:{artifact}", "--as", "files/artifact:bench")
        artifact.unlink()
        words = ("bundle", "build", "--to", "bravo", "--volume", "300MB", "--sign-with", "engineer")
        made = Path(alpha.run(*words, "--out", root / "medium", "files/artifact:bench").last_line)
    shutil.rmtree(root / "alpha")
    return made


def _console(station: Powered) -> TimedTerminal:
    command = (sys.executable, "-m", "appliance.cli.main", "console", "-C", str(station.root))
    return TimedTerminal(command, SIZE, ENVIRONMENT)


def _settled(terminal: TimedTerminal) -> None:
    terminal.wait("What next")
    terminal.quiet(0.6)


def _first_paint(station: Powered, starts: int) -> tuple[float, str]:
    """From the start of the process to its first screen, median; the first start, whose files are cold, is left out."""
    times = []
    for _ in range(starts + 1):
        with _console(station) as terminal:
            times.append(terminal.wait("What next") - terminal.started)
    warm = times[1:]
    return statistics.median(warm), f"{min(warm):.2f} to {max(warm):.2f} s"


def _idle(terminal: TimedTerminal, seconds: float) -> float:
    """Bytes a second with nobody at the keys, the clock included."""
    since = len(terminal.chunks)
    time.sleep(seconds)
    return sum(len(data) for _, data in terminal.chunks[since:]) / seconds


def _moves(terminal: TimedTerminal) -> tuple[float, str]:
    """Bytes of the largest cursor move within a page; moves that turn the page are told apart."""
    terminal.send("2")
    terminal.wait("Repositories")
    terminal.quiet(0.4)
    sizes = [terminal.answer(DOWN, _LEAST)[1] for _ in range(60)]
    within = sorted(sizes)[: int(len(sizes) * 0.9)]
    return max(within), f"median {statistics.median(within):.0f}; with a turn of the page at most {max(sizes)}"


def _paints(terminal: TimedTerminal, keys: int, busy: Any = None) -> tuple[float, str]:
    """Key to paint in milliseconds, over cursor moves and changes of the screen, p95."""
    times: list[float] = []
    pressed = [DOWN, DOWN, "4", "2", UP, DOWN, "1", "2", DOWN, DOWN, "5", "2"]
    for number in range(keys):
        if busy is not None and not busy():
            break
        times.append(1000 * terminal.answer(pressed[number % len(pressed)], _LEAST)[0])
        time.sleep(0.03)
    return _p95(times), f"median {statistics.median(times):.0f}, at most {max(times):.0f} ms, {len(times)} keys"


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(int(len(times) * 0.95), len(times) - 1)]


def _while_importing(
    terminal: TimedTerminal, station: Powered, medium: Path, keys: int
) -> tuple[tuple[float, str], float]:
    """Keys pressed as long as an import writes at full speed; the import's rate in MB/s."""
    job = asyncio.run(_import(station, medium))
    size = sum(path.stat().st_size for path in (medium / "volumes").iterdir())
    started = time.monotonic()
    paints = _paints(terminal, keys, lambda: bool(station.job_processes()))
    asyncio.run(_end(station, job))
    return paints, size / (time.monotonic() - started) / 1e6


async def _import(station: Powered, medium: Path) -> str:
    async with ControlClient(station.root) as client:
        return str((await client.submit("import", {"paths": [str(medium)]}))["id"])


async def _end(station: Powered, job_id: str) -> None:
    async with ControlClient(station.root) as client:
        async for name, data in client.watch(job_id):
            if name == "job" and data["state"] not in ("queued", "running", "done"):
                raise AssertionError(data)


async def _cancelled(station: Powered, medium: Path) -> float:
    """Seconds from asking for a cancel to the answer that it is done, in the middle of an import."""
    job_id = await _import(station, medium)
    async with ControlClient(station.root) as client:
        async for name, data in client.watch(job_id):
            if name == "job" and data["done"] > 0:
                break
        asked = time.monotonic()
        job = await client.cancel(job_id)
    assert job["state"] == "cancelled", job
    return time.monotonic() - asked


def _memory(terminal: TimedTerminal) -> tuple[float, str]:
    """Resident memory (MiB) when every tag of the large repository has been walked to."""
    terminal.send("2")
    terminal.wait(LARGE)
    terminal.quiet(0.4)
    terminal.send("\r")
    terminal.wait("build-000000")
    loaded, deadline = 0, time.monotonic() + 90
    while loaded < TAGS and time.monotonic() < deadline:
        since = len(terminal.chunks)
        terminal.send(END)
        time.sleep(0.05)  # the next page is asked for and comes; a flood of keys would be what is measured
        terminal.quiet(0.03)
        found = re.findall(r"([\d,]+) of", terminal.written(since))
        loaded = max([loaded, *(int(number.replace(",", "")) for number in found)])
    status = Path(f"/proc/{terminal.pid}/status").read_text()
    rollup = Path(f"/proc/{terminal.pid}/smaps_rollup").read_text()
    resident, shared = (
        int(found[1]) / 1024
        for found in (re.search(r"VmRSS:\s+(\d+)", status), re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE))
        if found is not None
    )
    return resident, f"PSS {shared:.0f} MiB; {loaded:,} rows walked to"


if __name__ == "__main__":
    main()
