"""What authentication costs: manifest requests a second of an open worker and of one with tokens, in one run.

`python -m tests.bench.access`. The client shares the process, so what counts is the processor time of the worker's own
thread: a worker that does nothing else answers as many requests as fit into a second of it. A and B alternate, in 25
short rounds; the ratio is the median of the rounds' own. Goal: 0.8 or more.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from tests.access.site import Site, bearer, token
from tests.conformance.shapes import image
from tests.registry_server import Server

REQUESTS = 500
ROUNDS = 25


def rate(server: Server, headers: dict[str, str]) -> float:
    """GETs of one manifest on one connection, by second of the worker's processor time."""
    connection = server.connect()
    started = spent(server)
    for _ in range(REQUESTS):
        connection.request("GET", "/v2/team/app/manifests/1", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()
    return REQUESTS / (spent(server) - started)


def spent(server: Server) -> float:
    """Seconds of processor time of the worker's thread."""

    async def look() -> float:
        return time.thread_time()

    return asyncio.run_coroutine_threadsafe(look(), server.loop).result(10)


def main() -> None:
    """Print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder)) as site:
        plain, guarded = site.serve(), site.worker(rate=1e9)
        image().push(plain, "team/app", "1")
        site.person("alice", "reader team/**")
        headers = bearer(token(guarded, "alice", "repository:team/app:pull"))
        kinds = {"open": (plain, {}), "with a token": (guarded, headers)}
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(ROUNDS + 1):
            for name, (server, sent) in kinds.items():
                measured = rate(server, sent)
                if number:  # the first round warms up
                    found[name].append(measured)
        medians = {name: statistics.median(rates) for name, rates in found.items()}
        for name, rates in found.items():
            print(f"{name:>14}: {medians[name]:7.0f} manifests/s ({min(rates):.0f} to {max(rates):.0f})")
        ratios = sorted(ours / theirs for ours, theirs in zip(found["with a token"], found["open"], strict=True))
        half = ratios[len(ratios) // 4 : -(len(ratios) // 4)]
        print(f"ratio {statistics.median(ratios):.2f} (half of the rounds: {half[0]:.2f} to {half[-1]:.2f})")


if __name__ == "__main__":
    main()
