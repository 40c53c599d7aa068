"""A load generator in a process of its own: one request again and again on so many connections, each waiting for its
answer. `python -m tests.bench.load PORT CONNECTIONS SECONDS TLS` reads the request from standard input and prints JSON:
answers, seconds, latencies (`p50` and `p99`, ms), the status and the bytes of an answer."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from typing import cast

import uvloop


class Asking(asyncio.Protocol):
    """A connection. Every answer is as long as the first."""

    def __init__(self, request: bytes) -> None:
        self.request, self.until = request, 0.0
        self.length = self.got = self.status = 0
        self.head = b""
        self.begun = 0.0
        self.taken: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self.begun = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if not self.length:
            self.head += data
            head, end, _ = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.status = int(head[9:12])
            lower = head.lower()
            body = int(lower.partition(b"\r\ncontent-length:")[2].partition(b"\r")[0] or 0)
            self.length = len(head) + 4 + (0 if self.request.startswith(b"HEAD") else body)
        if self.got < self.length:
            return
        self.got = 0
        moment = time.perf_counter()
        self.taken.append(moment - self.begun)
        if moment >= self.until:
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def load(port: int, connections: int, seconds: float, tls: bool, request: bytes) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asking = []
    for _ in range(connections):
        _, one = await loop.create_connection(lambda: Asking(request), "127.0.0.1", port, ssl=context)
        asking.append(one)
    begun = time.perf_counter()  # connections and handshakes are not what is measured
    for one in asking:
        one.until = begun + seconds
        one.ask()
    await asyncio.gather(*(one.ended for one in asking))
    taken = sorted(time for one in asking for time in one.taken)
    spent = time.perf_counter() - begun
    return {
        "answers": len(taken), "seconds": spent, "status": asking[0].status, "bytes": asking[0].length,
        "p50": taken[len(taken) // 2] * 1000, "p99": taken[len(taken) * 99 // 100] * 1000,
    }  # fmt: skip


def main() -> None:
    port, connections, seconds, tls = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "1"
    work = load(port, connections, seconds, tls, sys.stdin.buffer.read())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(work)))


if __name__ == "__main__":
    main()
