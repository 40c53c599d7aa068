"""`make bench-diode`: a bundle's bytes over a link that loses datagrams, from the sender's sockets to the drop folder.

Two processes on this machine, and loopback between them; the sender drops what the link would lose, so that no further
process takes part. What is told: whether the bundle came, how long that took from the first datagram on, the rate of
its bytes as a share of the paced rate, and the processor time of either side, its coders' included.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.diode import datagrams, sender, session
from appliance.diode.coding import Coder
from appliance.diode.geometry import symbol_of
from appliance.diode.receiver import Receiver, listen, receive
from appliance.diode.session import Session
from bundles.signing.keys import create_private
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder

BUNDLE = "alpha.bravo-000001"
MIB = 1024 * 1024
LOSSES = (0.0, 0.01, 0.05, 0.1)


class Lossy(sender.Wire):
    """A wire that loses datagrams, which take their time all the same."""

    def __init__(self, address: tuple[str, int], rate: int, loss: float) -> None:
        super().__init__(address, rate)
        self._chance, self._loss = random.Random(1), loss

    def send(self, datagram: bytes) -> None:
        if self._chance.random() < self._loss:
            self._pacing.take(len(datagram))
            return
        super().send(datagram)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-diode", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the bundle")
    parser.add_argument("--rate", type=int, default=20_000_000, help="bytes a second")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--repair", type=int, default=20, help="percent")
    parser.add_argument("--loss", type=float, action="append", help="share of datagrams; default 0, 0.01, 0.05 and 0.1")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        sources = _bundle(root / BUNDLE, arguments.size)
        load = f"load {os.getloadavg()[0]:.0f}"
        print(f"{arguments.size} MiB paced at {arguments.rate / 1e6:g} MB/s, mtu {arguments.mtu}, {load}")
        for loss in arguments.loss or LOSSES:
            print(_run(root, sources, arguments, loss), flush=True)
    finally:
        shutil.rmtree(root)


def _bundle(folder: Path, mib: int) -> list[sender.Source]:
    (folder / "volumes").mkdir(parents=True)
    small = {"manifest.json": b"{}", "README.txt": b"read me", "SHA256SUMS": os.urandom(99)}
    for name, data in small.items():
        (folder / name).write_bytes(data)
    with (folder / "volumes" / "0001.7z").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    found = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(sender.Source(path, str(path.relative_to(folder)), path.stat().st_size, digest))
    return found


def _run(root: Path, sources: list[sender.Source], arguments: argparse.Namespace, loss: float) -> str:
    key, drop, trust = create_private(), root / "drop", root / "trust"
    drop.mkdir()
    init_trust(trust, "bravo")
    trust_key(trust, key.public, purpose="receipt", owner="alpha", sites=["alpha"])
    symbol = symbol_of(arguments.mtu, datagrams.SIZE)
    table = sender.survey(sources, symbol, lambda _: None)
    size = sum(one.size for one in sources)
    sums = hashlib.sha256((root / BUNDLE / "SHA256SUMS").read_bytes()).hexdigest()
    opened = session.begin("alpha", BUNDLE, f"sha256:{sums}", size, symbol, table, at="2026-11-30T12:00:00Z")
    blocks = range(1, opened.geometry.blocks + 1)
    outgoing = sender.Outgoing(opened, session.seal(opened, key), table, sources, blocks)
    ended: list[float] = []
    first: list[float] = []

    @contextlib.contextmanager
    def delivering(_: Session) -> Iterator[None]:
        yield
        ended.append(time.monotonic())

    before = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        with Coder() as coder:
            bound, _ = listen(("127.0.0.1", 0))
            with bound:
                receiver = Receiver(
                    drop, "bravo", b"", lambda: TrustFolder.load(trust), coder, lambda _: None, delivering
                )  # fmt: skip
                reading, writing = os.pipe()
                pid = os.fork()
                if pid == 0:
                    _send(bound.getsockname()[:2], outgoing, arguments, loss, writing)
                os.close(writing)

                def look(now: float) -> bool:
                    if receiver.arrivals and not first:
                        first.append(now)
                    return bool(ended) or bool(receiver.ended(now))

                receive(bound, receiver, coder, look)
        spent = float(os.read(reading, 64) or b"nan")
        os.close(reading)
        os.waitpid(pid, 0)
        same = bool(ended) and all((drop / BUNDLE / one.name).stat().st_size == one.size for one in sources)
    finally:
        shutil.rmtree(drop)
        shutil.rmtree(trust)
    after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    used = sum(
        new.ru_utime + new.ru_stime - old.ru_utime - old.ru_stime for old, new in zip(before, after, strict=True)
    )
    if not same:
        return f"loss {loss:4.0%}: did not come; {receiver.counts}"
    seconds = ended[0] - first[0]
    rate = size / seconds
    return (
        f"loss {loss:4.0%}: came in {seconds:.1f} s, {rate / 1e6:.1f} MB/s, {rate / arguments.rate:.2f} of the paced"
        f" rate; processor time: sender {spent:.1f} s, receiver {used - spent:.1f} s"
    )


def _send(
    address: tuple[str, int], outgoing: sender.Outgoing, arguments: argparse.Namespace, loss: float, writing: int
) -> None:
    wire = Lossy(address, arguments.rate, loss)
    steps = [sender.Step(0, 0, 0, block) for block in (0, *outgoing.blocks)]
    sender.send(wire, [outgoing], steps, 1, arguments.repair, b"", lambda _: None, lambda _: None)
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    os.write(writing, f"{sum(one.ru_utime + one.ru_stime for one in used)}".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
