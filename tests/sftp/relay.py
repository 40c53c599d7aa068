"""A way to a server that is cut, or slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Forwards connections to `target`. Each of `cuts` ends a connection once so many bytes went through it, in their
    order; later connections are whole. `rate` is bytes a second, 0 for no limit."""

    target: int
    cuts: list[int] = field(default_factory=list)
    rate: int = 0
    port: int = 0
    connections: int = 0

    def pair(self, inner: socket.socket) -> None:
        self.connections += 1
        left = [self.cuts.pop(0) if self.cuts else -1]
        try:
            outer = socket.create_connection(("127.0.0.1", self.target))
        except OSError:  # nobody is there: the way leads nowhere, and later again to somebody
            inner.close()
            return
        for one, other in ((inner, outer), (outer, inner)):
            threading.Thread(target=self._pump, args=(one, other, left), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, left: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(16384):
                if left[0] >= 0:
                    left[0] -= len(data)
                    if left[0] < 0:
                        break
                other.sendall(data)
                if self.rate:
                    time.sleep(len(data) / self.rate)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(target: int, *cuts: int, rate: int = 0) -> Iterator[Relay]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Relay(target, list(cuts), rate, listening.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    made.pair(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
