"""`make soak`: many clients on a station for minutes, and what they were told held against what is there afterwards.

    .venv/bin/python -m tests.bench.soak [--clients 200] [--minutes 10] [--nodes 500] [--kill SECONDS]

A station with accounts, TLS, audit, access log, a limit of requests by account, and two workers. Each client logs in
as one of twenty robots and then pulls whole images, pushes new ones, reads ranges, lists tags and deletes, with a
pause between two acts, while scrubs and collections run one after another. Half-way, so many nodes log in at the same
moment and pull the image that was pushed last. A line for each minute: acts, failures, latencies (ms), memory (MiB,
proportional), descriptors. At the end every acknowledged push is pulled and hashed, and every acknowledged delete is
looked for.

With `--kill`, one process of the station, chosen at random, gets SIGKILL every so many seconds; a supervisor that died
is started again. Acts that fail meanwhile are counted and not judged: what was acknowledged is.

Exit status 1: something acknowledged is not there, or, without `--kill`, fewer than 99.9 % of pulls or 99.95 % of
pushes succeeded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import uvloop

from appliance import clock
from appliance.access.identity import MARK
from appliance.access.passwords import hash_password, hash_secret, new_secret
from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.access import CreateAccount, FirstAdministrator, GrantRole
from appliance.store.writes.tokens import AddSecret
from appliance.tour.stage import lockgate
from bundles.limits import KIB
from tests.access.site import PASSWORD
from tests.bench.registry import Peer, free_port, ready
from tests.bench.soak_client import ACCOUNTS, BASE, SHARED, Client, RefusedError, Tally

PULLS, PUSHES = 0.999, 0.9995
"""The shares of pulls and pushes that must succeed."""


class Station:
    """A station in a folder, on one port, and its processes."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        lockgate("init", root, "--site", "bench", "--side", "outside", "--name", "localhost")
        with contextlib.closing(open_writer(StationPaths(root).database)) as database:
            writer, at = LocalWriter(database), clock.now()
            writer.submit(
                FirstAdministrator(name="ada", full_name="", password=hash_password(PASSWORD), uid=os.getuid(), at=at)
            )
            self.secrets = {}
            for number in range(ACCOUNTS):
                name, key = f"robot-{number}", f"{number:016x}"
                self.secrets[name] = secret = f"{MARK}{key}_{new_secret()}"
                writer.submit(CreateAccount(name=name, kind="robot", full_name="", password="", at=at))
                writer.submit(GrantRole(account=name, role="maintainer", pattern="soak/**"))
                writer.submit(
                    AddSecret(account=name, id=key, hash=hash_secret(secret), at=at, expires=clock.after(86400))
                )
        config = StationPaths(root).config
        text = config.read_text().replace("requests_per_second = 0.0", "requests_per_second = 500.0")
        config.write_text(text.replace('format = "text"\nrequests = false', 'format = "json"\nrequests = true'))

    def start(self) -> None:
        with (self.root.parent / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "appliance.cli.main", "serve", "-C", str(self.root),
                 "--listen", f"127.0.0.1:{self.port}"],
                stdout=log, stderr=log, env=os.environ | {"XDG_RUNTIME_DIR": str(self.root.parent)},
            )  # fmt: skip
        ready(self.port, tls=True)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def look(self) -> tuple[list[float], int]:
        """MiB of proportional memory of each process, the largest first, and open descriptors of all."""
        peer, descriptors = Peer("", self.port, self.process.pid), 0
        for pid in peer.processes():
            with contextlib.suppress(OSError):
                descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return peer.memories(), descriptors

    async def command(self, *words: str) -> int:
        """The exit status of a command of this station."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "appliance.cli.main", *words, "-C", str(self.root),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return await child.wait()


class Soak:
    """The whole run."""

    def __init__(self, station: Station, arguments: argparse.Namespace) -> None:
        self._station, self._arguments = station, arguments
        self._tally, self._storm = Tally(), Tally()
        self._lost: list[str] = []
        self._kills: Counter[str] = Counter()

    async def run(self) -> int:
        """The exit status."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        base = f"https://127.0.0.1:{self._station.port}"
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
            count = self._arguments.clients
            clients = [Client(number, base, session, self._station.secrets, self._tally) for number in range(count)]
            await clients[0].push(BASE, "v1", tuple(SHARED))
            until = time.monotonic() + self._arguments.minutes * 60
            beside = [asyncio.create_task(self._jobs()), asyncio.create_task(self._minutes())]
            to_the_end = [self._client(one, until) for one in clients]
            if self._arguments.kill:
                to_the_end.append(self._kill(until))
            elif self._arguments.nodes:
                beside.append(asyncio.create_task(self._nodes(base, clients[0])))
            await asyncio.gather(*to_the_end)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await asyncio.to_thread(ready, self._station.port, True)
            print("looking at what was acknowledged", flush=True)
            for client in clients:
                await self._judge(client)
        return self._verdict(clients)

    async def _client(self, client: Client, until: float) -> None:
        pause = self._arguments.pause
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < until:
            await client.act()
            await asyncio.sleep(random.expovariate(1 / pause))

    async def _jobs(self) -> None:
        while True:
            for words in (("scrub",), ("gc",)):
                status = await self._station.command(*words)
                self._tally.done[f"{words[0]} {status}"] += 1
            await asyncio.sleep(5)

    async def _minutes(self) -> None:
        begun = time.monotonic()
        while True:
            await asyncio.sleep(min(60, self._arguments.minutes * 60 / 4))
            with contextlib.suppress(OSError):
                memory, descriptors = self._station.look()
                print(f"{time.monotonic() - begun:4.0f} s  {self._tally.minute()}  failed {self._tally.failed.total()}"
                      f"  {sum(memory):.0f} MiB ({' '.join(f'{one:.0f}' for one in memory)})"
                      f"  {descriptors} descriptors", flush=True)  # fmt: skip

    async def _nodes(self, base: str, pusher: Client) -> None:
        """Half-way: each node on connections of its own, as nodes of a cluster are."""
        await asyncio.sleep(self._arguments.minutes * 30)
        await pusher.push(BASE, "v2", (os.urandom(64 * KIB),))
        self._tally.minute()

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        async def pull(number: int) -> None:
            connector = aiohttp.TCPConnector(ssl=context)
            async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(120)) as session:
                node = Client(1_000_000 + number, base, session, self._station.secrets, self._storm)
                await node.counted("node", lambda: node.pull_whole(BASE, "v2", ""))

        begun = time.monotonic()
        await asyncio.gather(*(pull(number) for number in range(self._arguments.nodes)))
        taken = statistics.quantiles(self._storm.taken.get("node", [0.0, 0.0]), n=100)
        print(f"storm of {self._arguments.nodes} nodes: {time.monotonic() - begun:.1f} s, failed "
              f"{self._storm.failed.total()}, a node's log-in and pull p50 {taken[49]:.1f} s, p99 {taken[98]:.1f} s; "
              f"the others meanwhile: {self._tally.minute()}", flush=True)  # fmt: skip

    async def _kill(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._arguments.kill)
            pids = Peer("", 0, self._station.process.pid).processes()
            pid = random.choice(pids)
            supervisor = pid == pids[0]
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                self._kills["supervisor" if supervisor else "child"] += 1
            if supervisor:
                await asyncio.to_thread(self._station.process.wait)
                await asyncio.to_thread(self._station.start)

    async def _judge(self, client: Client) -> None:
        for tag, digest in client.pushed.items():
            try:
                await client.pull_whole(client.repository, tag, digest)
            except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
                self._lost.append(f"{client.repository}:{tag}: {error}")
        for tag in client.deleted:
            try:
                await client.ask("HEAD", f"{client.repository}/manifests/{tag}", expect=404)
            except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
                self._lost.append(f"{client.repository}:{tag}, deleted: {error}")

    def _verdict(self, clients: list[Client]) -> int:
        done, failed = self._tally.done, self._tally.failed
        shares = {act: done[act] / max(1, done[act] + failed[act]) for act in ("pull", "push")}
        print(f"done {dict(done)}\nfailed {dict(failed)}\nkills {dict(self._kills)}")
        for why, count in (self._tally.why + self._storm.why).most_common(10):
            print(f"  {count} times {why}")
        pushed = sum(len(one.pushed) for one in clients)
        print(f"{pushed} acknowledged pushes and {sum(len(one.deleted) for one in clients)} deletes looked at, "
              f"{len(self._lost)} wrong; pulls {shares['pull']:.5f}, pushes {shares['push']:.5f}")  # fmt: skip
        for line in self._lost[:20]:
            print(f"  LOST {line}")
        short = shares["pull"] < PULLS or shares["push"] < PUSHES or bool(self._storm.failed)
        return int(bool(self._lost) or (short and not self._arguments.kill))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two acts of a client, on average")
    parser.add_argument("--nodes", type=int, default=500, help="that pull at the same moment, half-way (0: none)")
    parser.add_argument("--kill", type=float, default=0.0, help="seconds between two kills, on average (0: none)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="lockgate-soak-"))
    station = Station(folder / "station")
    status = 1
    try:
        station.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            status = runner.run(Soak(station, arguments).run())
        station.stop()
        print(f"log: {sum(b'Traceback' in line for line in (folder / 'serve.log').open('rb'))} tracebacks")
    finally:
        station.process.kill()
        if status:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
