"""`make bench-registry`: what the registry answers a second, beside others on the same machine in the same run.

    .venv/bin/python -m tests.bench.registry [--rounds N] [--seconds S] [--peers FOLDER]

Ours is a station with accounts, two workers, audit, measures and a log line for each request, over plain HTTP and over
TLS, and without its pull lane; beside it Debian's docker-registry, distribution 3 where FOLDER (or the PATH) has its
`registry`, both without accounts and logs, and a bare aiohttp application with two processes. The load comes from a
process of its own. For each row the servers alternate; medians of the rounds are printed: requests a second, the
median and the 99th percentile of latencies (ms), and processor time of the server's processes for one request (µs).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from appliance import clock
from appliance.access.passwords import hash_password
from appliance.paths import StationPaths
from appliance.registry.serving import new_loop
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.access import CreateAccount, FirstAdministrator, GrantRole
from appliance.tour.stage import lockgate
from bundles.limits import MIB
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.access.site import PASSWORD, basic

NAME = "team/app"
SMALL, LARGE = b"s" * 4096, os.urandom(16 * MIB)
PYTHON = sys.executable
TICKS = os.sysconf("SC_CLK_TCK")
MANIFEST = json.dumps(
    {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(Digest.of(SMALL)),
                    "size": len(SMALL)}],
    }
).encode()  # fmt: skip
ROWS = {
    "manifest by tag": ("GET", f"/v2/{NAME}/manifests/v1"),
    "manifest by digest": ("GET", f"/v2/{NAME}/manifests/{Digest.of(MANIFEST)}"),
    "manifest HEAD": ("HEAD", f"/v2/{NAME}/manifests/v1"),
    "blob of 4 kB": ("GET", f"/v2/{NAME}/blobs/{Digest.of(SMALL)}"),
    "blob of 16 MiB": ("GET", f"/v2/{NAME}/blobs/{Digest.of(LARGE)}"),
    "list of tags": ("GET", f"/v2/{NAME}/tags/list"),
    "referrers": ("GET", f"/v2/{NAME}/referrers/{Digest.of(MANIFEST)}"),
}


@dataclass
class Peer:
    """A server that runs: its port, and the process whose tree it is."""

    name: str
    port: int
    pid: int
    tls: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    has_accounts: bool = False

    def log_in(self) -> None:
        """A new token, where the peer has accounts: one is good for some minutes."""
        if not self.has_accounts:
            return
        with contextlib.closing(self.connect()) as connection:
            scope = f"/token?service=lockgate/bench&scope=repository:{NAME}:pull,push"
            connection.request("GET", scope, headers=basic("ci"))
            token = json.loads(connection.getresponse().read())["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def connect(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)

    def ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"", **more: str
    ) -> str:
        """Returns the Location of the answer."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in more.items()}
        connection.request(method, path, body=body or None, headers=sent)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise OSError(f"{self.name}: {method} {path}: {answer.status} {text[:200]!r}")
        return answer.headers.get("Location", "")

    def push_blob(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        where = self.ask(connection, "POST", f"/v2/{NAME}/blobs/uploads/", Content_Length="0")
        path = re.sub(r"^https?://[^/]+", "", where)
        joint = "&" if "?" in path else "?"
        self.ask(connection, "PUT", f"{path}{joint}digest={Digest.of(body)}", body,
                 Content_Type="application/octet-stream")  # fmt: skip

    def push_manifest(self, connection: http.client.HTTPConnection, body: bytes, tag: str) -> None:
        self.ask(connection, "PUT", f"/v2/{NAME}/manifests/{tag}", body, Content_Type=OCI_MANIFEST)

    def fill(self) -> None:
        """What is asked for."""
        with contextlib.closing(self.connect()) as connection:
            for blob in (b"{}", SMALL, LARGE):
                self.push_blob(connection, blob)
            for number in range(50):
                self.push_manifest(connection, MANIFEST, f"v{number}")

    def processes(self) -> list[int]:
        """The process and all below it."""
        found, at = [self.pid], 0
        while at < len(found):
            children = Path(f"/proc/{found[at]}/task/{found[at]}/children")
            found += [int(one) for one in children.read_text().split()]
            at += 1
        return found

    def spent(self) -> float:
        """Seconds of processor time so far."""
        total = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory(self) -> float:
        """MiB of proportional set size."""
        return sum(self.memories())

    def memories(self) -> list[float]:
        """The same of each process, the largest first. One that ends meanwhile is left out."""
        rows = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                rows.append(Path(f"/proc/{pid}/smaps_rollup").read_text())
        found = (re.search(r"^Pss: +(\d+)", row, re.M) for row in rows)
        return sorted((int(match[1]) / 1024 for match in found if match), reverse=True)


def measure(peer: Peer, row: str, connections: int, seconds: float) -> dict[str, float] | None:
    """One cell; None where the peer has no such route."""
    method, path = ROWS[row]
    fields = {"Host": f"127.0.0.1:{peer.port}", "User-Agent": "containerd/2.0.0", "Accept": f"{OCI_MANIFEST}, */*"}
    lines = [f"{name}: {value}" for name, value in (fields | peer.headers).items()]
    request = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()
    before = peer.spent()
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.load", str(peer.port), str(connections), str(seconds), str(int(peer.tls))],
        input=request, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    found["cost"] = (peer.spent() - before) / found["answers"] * 1e6
    return found if found["status"] == 200 else None


def ready(port: int, tls: bool = False) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), contextlib.closing(Peer("", port, 0, tls).connect()) as connection:
            connection.request("GET", "/v2/")
            connection.getresponse()
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing answers at port {port}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def station(folder: Path, name: str, *options: str) -> Iterator[Peer]:
    """A station with accounts."""
    lockgate("init", folder, "--site", "bench", "--side", "outside", "--name", "localhost")
    paths = StationPaths(folder)
    with contextlib.closing(open_writer(paths.database)) as database:
        writer = LocalWriter(database)
        writer.submit(
            FirstAdministrator(name="ada", full_name="", password=hash_password(PASSWORD), uid=None, at=clock.now())
        )
        writer.submit(
            CreateAccount(name="ci", kind="person", full_name="", password=hash_password(PASSWORD), at=clock.now())
        )
        writer.submit(GrantRole(account="ci", role="maintainer", pattern="**"))
    text = paths.config.read_text()
    for before, after in (
        ("requests_per_second = 0.0", "requests_per_second = 1000000.0"),
        ('format = "text"\nrequests = false', 'format = "json"\nrequests = true'),
    ):
        text = text.replace(before, after)
    paths.config.write_text(text)
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "tests.bench.plain_station", str(folder), *options],
            stdout=subprocess.PIPE, stderr=log, env=os.environ | {"XDG_RUNTIME_DIR": str(folder)},
        )  # fmt: skip
    try:
        assert process.stdout is not None
        said = re.search(rb":(\d+)\s*$", process.stdout.readline().rstrip())
        if said is None:
            raise OSError(f"the station did not start: {(folder / 'serve.log').read_text()[-500:]}")
        peer = Peer(name, int(said[1]), process.pid, "--tls" in options)
        ready(peer.port, peer.tls)
        peer.has_accounts = True
        peer.log_in()
        yield peer
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextlib.contextmanager
def distribution(folder: Path, name: str, program: str) -> Iterator[Peer]:
    """Debian's docker-registry, or distribution 3."""
    folder.mkdir()
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: bench}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n"
    )
    process = subprocess.Popen(
        [program, "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OTEL_TRACES_EXPORTER": "none"},
    )  # fmt: skip
    try:
        ready(port)
        yield Peer(name, port, process.pid)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def bare() -> Iterator[Peer]:
    """aiohttp on uvloop, which answers everything with the manifest: two processes on one socket."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    parent = os.fork()
    if parent == 0:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.fork()

        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=MANIFEST, content_type=OCI_MANIFEST)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        web.run_app(app, sock=listener, access_log=None, print=None, loop=new_loop())
        os._exit(0)
    try:
        ready(listener.getsockname()[1])
        yield Peer("bare aiohttp", listener.getsockname()[1], parent)
    finally:
        os.killpg(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        listener.close()


def pushes(peer: Peer, images: int, mebibytes: int) -> tuple[float, float]:
    """Seconds for so many images of one layer of 4 kB, one after another on one connection, and for one blob."""
    peer.log_in()
    with contextlib.closing(peer.connect()) as connection:
        begun = time.monotonic()
        for number in range(images):
            layer = os.urandom(4096)
            self_made = json.loads(MANIFEST)
            self_made["layers"][0]["digest"] = str(Digest.of(layer))
            peer.push_blob(connection, layer)
            peer.push_manifest(connection, json.dumps(self_made).encode(), f"p{number}")
        small = time.monotonic() - begun
        large = os.urandom(MIB) * mebibytes
        begun = time.monotonic()
        peer.push_blob(connection, large)
        return small, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-registry", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell in each round (default 2)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--images", type=int, default=100, help="small images to push (default 100; 0: no pushes)")
    parser.add_argument("--push", type=int, default=256, help="MiB of the one large push (default 256)")
    parser.add_argument("--peers", type=Path, default=Path("/usr/local/lib/lockgate-test-peers/bin"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-"))
    try:
        with contextlib.ExitStack() as stack:
            peers = [
                stack.enter_context(station(root / "plain", "lockgate")),
                stack.enter_context(station(root / "handlers", "lockgate, no lane", "--no-lane")),
                stack.enter_context(station(root / "tls", "lockgate, TLS", "--tls")),
            ]
            debian = shutil.which("docker-registry")
            if debian:
                peers.append(stack.enter_context(distribution(root / "debian", "docker-registry", debian)))
            third = arguments.peers / "registry"
            if third.exists():
                peers.append(stack.enter_context(distribution(root / "third", "distribution 3", str(third))))
            for peer in peers:
                peer.fill()
            table([*peers, stack.enter_context(bare())], arguments)
            for peer in peers:
                print(f"memory {peer.name}: {peer.memory():.0f} MiB in {len(peer.processes())} processes")
            for peer in peers if arguments.images else ():
                small, large = pushes(peer, arguments.images, arguments.push)
                print(f"push {peer.name}: {arguments.images} images {small:.2f} s, {arguments.push} MiB {large:.2f} s")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def table(peers: list[Peer], arguments: argparse.Namespace) -> None:
    """A line for each cell."""
    for row in arguments.rows:
        for connections in arguments.connections:
            found: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in peers}
            for _ in range(arguments.rounds):
                for peer in peers:
                    peer.log_in()
                    cell = measure(peer, row, connections, arguments.seconds)
                    if cell is not None:
                        found[peer.name].append(cell)
            for name, cells in found.items():
                if not cells:
                    continue
                rate = statistics.median(cell["answers"] / cell["seconds"] for cell in cells)
                middle, late, cost = (statistics.median(cell[key] for cell in cells) for key in ("p50", "p99", "cost"))
                print(
                    f"{row:<18} c={connections:<3} {name:<18} {rate:8.0f}/s  p50 {middle:7.2f}  p99 {late:7.2f} ms"
                    f"  {cost:7.0f} µs of processor", flush=True,
                )  # fmt: skip
        print(f"  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
