"""`make bench-repositories`: what a page of `GET /v1/repositories` takes where there are 200, 5,000 and 10,000 of them.

A real station each, asked over its control socket; the pages alternate, so that what else the machine does falls on all
of them alike. tests/store/test_repositories_cost.py counts the work, whose times these are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from appliance.control.client import ControlClient
from tests.console.many import large_station
from tests.control.powered import Powered

SIZES = (200, 5_000, 10_000)
PAGE = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-repositories", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        with contextlib.ExitStack() as running:
            for size in SIZES:
                large_station(root / f"{size}", tags=1, repositories=size)
                running.enter_context(Powered(root / f"{size}"))
            times = asyncio.run(_ask(root, arguments.rounds))
    finally:
        shutil.rmtree(root)
    base = statistics.median(times[SIZES[0]])
    for size in SIZES:
        median = statistics.median(times[size])
        print(f"{size:>6,} repositories: {median * 1000:.1f} ms a page of {PAGE}, {median / base:.2f} times the first")


async def _ask(root: Path, rounds: int) -> dict[int, list[float]]:
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    async with contextlib.AsyncExitStack() as opened:
        clients = {size: await opened.enter_async_context(ControlClient(root / f"{size}")) for size in SIZES}
        for _ in range(rounds):
            for size, client in clients.items():
                begun = time.perf_counter()
                page = await client.get("/v1/repositories", limit=str(PAGE))
                times[size].append(time.perf_counter() - begun)
                assert len(page["items"]) == PAGE
    return times


if __name__ == "__main__":
    main()
