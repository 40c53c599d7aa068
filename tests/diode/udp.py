"""Two stations with a diode between them, by real datagrams on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from appliance.intake import diode_receive
from appliance.jobs.kinds import Result
from appliance.outgoing import diode_send
from appliance.settings.diodes import DiodeSettings
from appliance.settings.drop_folders import DropFolderSettings
from bundles.errors import CancelledError, LockgateError
from bundles.signing.keys import load_public
from bundles.signing.pinning import trust_key
from tests.intake.inside import Context, Inside


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def relay(port: int, passes: Callable[[bytes], bool]) -> Iterator[int]:
    """A link to `port` that lets only some datagrams pass; its own port. On a busy machine it loses others too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        over = threading.Event()

        def run() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    datagram = bound.recv(65536)
                    if passes(datagram):
                        bound.sendto(datagram, ("127.0.0.1", port))

        thread = threading.Thread(target=run)
        thread.start()
        own: int = bound.getsockname()[1]
        try:
            yield own
        finally:
            over.set()
            thread.join()


def block_of(datagram: bytes) -> int:
    """The block of a symbol's datagram; -1 of another kind."""
    return int(struct.unpack_from(">I", datagram, 16)[0]) if datagram[4] == 2 else -1


def symbol_of(datagram: bytes) -> int:
    """The symbol of a block of the bundle in a datagram; 1 of the table's and of other kinds."""
    return int(struct.unpack_from(">I", datagram, 20)[0]) if block_of(datagram) > 0 else 1


class Sending:
    """The station alpha, outside; its diode leads to `port`."""

    def __init__(self, inside: Inside, port: int, **settings: Any) -> None:
        self.inside = inside
        diode = DiodeSettings(address=f"127.0.0.1:{port}", **({"rate": 2_000_000, "repeat": 1} | settings))
        config = msgspec.structs.replace(inside.station.config, site="alpha", side="outside", diodes={"gap": diode})
        inside.station = replace(inside.station, config=config)

    @property
    def key(self) -> Path:
        return self.inside.station.paths.keys / "receipt.pub.pem"

    def sending(self, *folders: Path, **params: Any) -> Context:
        return self.inside.context(paths=[str(folder) for folder in folders], over="gap", **params)

    def send(self, *folders: Path, **params: Any) -> Result:
        return diode_send.run(self.sending(*folders, **params))


class Receiving:
    """The station bravo, inside; its diode ends at `port`."""

    def __init__(self, inside: Inside, drop: Path, port: int, **settings: Any) -> None:
        self.inside, self.drop = inside, drop
        drop.mkdir(exist_ok=True)
        diode = DiodeSettings(address=f"127.0.0.1:{port}", drop_folder="incoming", **settings)
        config = msgspec.structs.replace(
            inside.station.config, diodes={"gap": diode}, drop_folders={"incoming": DropFolderSettings(path=str(drop))}
        )
        inside.station = replace(inside.station, config=config)

    def pin(self, key: Path) -> None:
        trust_key(self.inside.station.paths.trust, load_public(key), purpose="receipt", owner="alpha", sites=["alpha"])

    @contextmanager
    def once(self, context: Context | None = None) -> Iterator[list[Any]]:
        """Receive one session while the block runs; then its result, or its error, is in the list."""
        found: list[Any] = []
        listens = context or self.inside.context(**{"from": "gap", "once": True})
        ready, failed = threading.Event(), threading.Event()

        def heard(*_: object) -> None:
            ready.set()
            if failed.is_set():
                raise CancelledError("the test failed")

        listens.on_progress = heard

        def run() -> None:
            try:
                found.append(diode_receive.run(listens))
            except LockgateError as error:
                found.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        try:
            yield found
        except BaseException:
            failed.set()
            raise
        finally:
            thread.join()
