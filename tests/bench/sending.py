"""How a blob is best sent: this registry's sendfile in a thread against aiohttp's FileResponse, on both event loops,
plain and under TLS. The figures behind docs/adr/0004.

    .venv/bin/python -m tests.bench.sending [--size MIB] [--rounds N] [--cold]

Each line is the median of the rounds (lowest to highest in brackets), the ways alternating; `lag` is the longest the
event loop was held, in milliseconds. `--cold` drops the file's pages before each round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from aiohttp import web

from appliance.registry.conditional import Span
from appliance.registry.sending import send_file
from bundles.limits import CHUNK, MIB

CLIENT = """
import socket, ssl, sys
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
if sys.argv[3] == "tls":
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stream = context.wrap_socket(stream)
stream.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n".encode())
buffer = bytearray(1 << 20)
while stream.recv_into(buffer):
    pass
"""


async def serve(file: Path, port_of: ssl.SSLContext | None) -> tuple[web.AppRunner, int]:
    """A server of the file: at `/ours` as the registry sends it, at `/stock` as aiohttp does."""
    threads = ThreadPoolExecutor(16)

    async def ours(request: web.Request) -> web.StreamResponse:
        size = file.stat().st_size
        response = web.StreamResponse()
        response.content_length = size
        await response.prepare(request)
        with file.open("rb") as stream:
            await send_file(request, response, stream.fileno(), Span(0, size), threads)
        await response.write_eof()
        return response

    async def stock(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(file, chunk_size=CHUNK)

    app = web.Application()
    app.router.add_get("/ours", ours)
    app.router.add_get("/stock", stock)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=port_of).start()
    return runner, runner.addresses[0][1]


async def measure(file: Path, rounds: int, cold: bool, tls: ssl.SSLContext | None, label: str) -> None:
    """Both ways, alternating, and a line for each."""
    runner, port = await serve(file, tls)
    speeds: dict[str, list[float]] = {"/ours": [], "/stock": []}
    lags = {path: Lag() for path in speeds}
    for _ in range(rounds):
        for path, found in speeds.items():
            if cold:
                drop(file)
            watch = asyncio.create_task(lags[path].watch())
            begun = time.perf_counter()
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, str(port), path, "tls" if tls else "plain"
            )
            await client.wait()
            found.append(file.stat().st_size / (time.perf_counter() - begun) / 1e9)
            watch.cancel()
    for path, found in speeds.items():
        spread = f"[{min(found):.2f} to {max(found):.2f}]"
        lag = lags[path].longest * 1000
        print(f"{label:14} {path[1:]:6} {statistics.median(found):.2f} GB/s {spread:16} lag {lag:6.1f} ms")
    await runner.cleanup()


class Lag:
    """The longest the event loop was held, in seconds, while `watch` runs."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - begun - 0.001)


def drop(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def certificate(folder: Path) -> ssl.SSLContext:
    """A throw-away certificate, by the stock openssl."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -subj /CN=x -days 1"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "c", folder / "k")
    return context


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sending")
    parser.add_argument("--size", type=int, default=1024, help="MiB (default 1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "blob"
        with file.open("wb") as stream:
            for _ in range(arguments.size):
                stream.write(os.urandom(MIB))
        for loop, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
            for kind, tls in (("plain", None), ("TLS", certificate(folder))):
                with asyncio.Runner(loop_factory=factory) as runner:
                    runner.run(measure(file, arguments.rounds, arguments.cold, tls, f"{loop} {kind}"))


if __name__ == "__main__":
    main()
