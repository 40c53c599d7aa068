"""`make bench-sftp`: one file and four at once to openssh-server and back, beside stock `sftp` with the same cipher.

Both sides are on this machine, in the memory of the system: what is measured is the work of the two clients, and of the
server, which is the same. Ours hashes every byte on the way and syncs what it fetched; stock `sftp` does neither. Sides
alternate, medians of the rounds are printed with their spread, and the processor time of the client's side (of stock,
`sftp` and its `ssh`). The comparison after a put is left out of its rate, and told beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.sftp.carry import Wanted, fetch, is_there, send
from appliance.sftp.connection import Hosts
from appliance.sftp.remote import RemoteFolder
from appliance.sftp.transfer import Transfer
from bundles.ports import no_progress
from tests.sftp.ssh_server import SshServer, ssh_server

MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-sftp", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the one file, and of the four together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        with ssh_server(root / "ssh") as server:
            for number, size in ((1, arguments.size), (4, arguments.size // 4)):
                _compare(server, root, number, size * MIB, arguments.rounds)
    finally:
        shutil.rmtree(root)


def _compare(server: SshServer, root: Path, number: int, size: int, rounds: int) -> None:
    source, there = root / "source", server.drop
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    wanted = [_random_file(source / f"f{index}", size) for index in range(number)]
    ways: dict[str, Callable[[], object]] = {
        "put": lambda: _ours(server, number, lambda client, one, moved: send(
            RemoteFolder(client, "drop", str(there)), source / one.name, one, moved, compare=False), wanted),
        "stock put": lambda: _stock(server, [f"put {source / one.name} {there / one.name}" for one in wanted]),
        "get": lambda: _ours(server, number, lambda client, one, moved: fetch(
            RemoteFolder(client, "drop", str(there)), one, root / "back", moved), wanted),
        "stock get": lambda: _stock(server, [f"get {there / one.name} {root / 'back' / one.name}" for one in wanted]),
    }  # fmt: skip
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            if "put" in name:
                _empty(there)
            else:
                _empty(root / "back")
            took[name].append(_timed(way))
            _require_same(wanted, there if "put" in name else root / "back")
    what = f"{number} x {size // MIB} MiB"
    for name in ("put", "get"):
        ours, stock = took[name], took[f"stock {name}"]
        ratio = statistics.median(s[0] / o[0] for o, s in zip(ours, stock, strict=True))
        work = statistics.median(s[1] / o[1] for o, s in zip(ours, stock, strict=True))
        print(
            f"{what} {name}: {_shown(ours, number * size)}, stock {_shown(stock, number * size)}:"
            f" {ratio:.2f} of its rate, {work:.2f} by processor time",
            flush=True,
        )
    checked = _timed(lambda: _ours(server, number, lambda client, one, moved: is_there(
        RemoteFolder(client, "drop", str(there)), one, moved), wanted))  # fmt: skip
    print(f"{what} compared after a put: {checked[0]:.2f} s", flush=True)


def _ours(server: SshServer, parallel: int, work: Callable[..., object], wanted: list[Wanted]) -> None:
    settings = server.settings(parallel=parallel)
    transfer = Transfer(Hosts({"drop": settings}, Path("/")), "drop", settings, no_progress, print)
    try:
        transfer.begin("bench", sum(one.size for one in wanted))
        transfer.each(work, [(one, one.size) for one in wanted])
    finally:
        transfer.close()


def _stock(server: SshServer, lines: list[str]) -> None:
    """One `sftp` a file, all at once."""
    known = server.folder / "known"
    public = (server.folder / "host.pub").read_text().split()
    known.write_text(f"[127.0.0.1]:{server.port} {public[0]} {public[1]}\n")
    words = [
        "sftp", "-q", "-c", "aes256-gcm@openssh.com", "-i", str(server.key), "-P", str(server.port),
        "-o", f"UserKnownHostsFile={known}", "-b", "-", f"{server.user}@127.0.0.1",
    ]  # fmt: skip
    running = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in lines]
    for process, line in zip(running, lines, strict=True):
        assert process.stdin is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.close()
    assert [process.wait() for process in running] == [0] * len(lines)


def _timed(way: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of processor time of this process and its children that ended."""
    with _worked() as worked:
        started = time.monotonic()
        way()
        elapsed = time.monotonic() - started
    return elapsed, worked[0]


@contextmanager
def _worked() -> Iterator[list[float]]:
    def now() -> float:
        each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in each)

    before, found = now(), [0.0]
    yield found
    found[0] = now() - before


def _shown(took: list[tuple[float, float]], size: int) -> str:
    rates = sorted(size / 1e6 / seconds for seconds, _ in took)
    return f"{statistics.median(rates):.0f} MB/s ({rates[0]:.0f} to {rates[-1]:.0f})"


def _random_file(path: Path, size: int) -> Wanted:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    return Wanted(path.name, size, digest.hexdigest())


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _require_same(wanted: list[Wanted], folder: Path) -> None:
    for one in wanted:
        with (folder / one.name).open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == one.sha256


if __name__ == "__main__":
    main()
