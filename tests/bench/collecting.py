"""`make bench-collect`: collecting from Debian's docker-registry on loopback, against skopeo in the same run.

    .venv/bin/python -m tests.bench.collecting [--size MIB] [--images N] [--rounds N]

One image of eight layers against `skopeo copy` to a folder, both synced; then images with shared layers against
`skopeo sync` into an empty docker-registry, and both a second time, with the requests that ours makes. Whole commands,
their start included; the rounds alternate. Each figure is the median, with its spread, and a ratio of the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

from appliance.tour.stage import Station
from bundles.limits import MIB
from tests.peers.stock import OCI, Layout

LAYERS = 8
OWN = 64 * 1024
"""Bytes of the one layer of an image that no other has."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-collect", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the one image (default 1024)")
    parser.add_argument("--images", type=int, default=200, help="images with shared layers (default 200)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        with registry(root / "upstream") as upstream:
            if arguments.size:
                one_image(root, upstream, arguments.size, arguments.rounds)
            if arguments.images:
                many_images(root, upstream, arguments.images, arguments.rounds)
    finally:
        shutil.rmtree(root)


class Upstream:
    """A running docker-registry: its address, and how many requests it has answered."""

    def __init__(self, host: str, log: Path) -> None:
        self.host, self._log = host, log

    def requests(self) -> int:
        return self._log.read_bytes().count(b'HTTP/1.1" ')


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Upstream]:
    """Debian's docker-registry over plain HTTP on loopback, empty, with its access log."""
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: false}}}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n"
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=output, stderr=output)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urlopen(f"http://{host}/v2/", timeout=5).close()
                    break
                time.sleep(0.05)
            yield Upstream(host, log)
        finally:
            process.kill()
            process.wait()


def one_image(root: Path, upstream: Upstream, mebibytes: int, rounds: int) -> None:
    """A large image: `skopeo copy` to a folder, and a collect into a fresh station."""
    layout = Layout(root / "one")
    size = mebibytes * MIB // LAYERS
    layers = [layout.blob(os.urandom(size), f"{OCI}.layer.v1.tar") for _ in range(LAYERS)]
    layout.tag("1", image(layout, layers))
    push(layout, "1", f"{upstream.host}/bench/one:1")
    times: dict[str, list[float]] = {"skopeo copy": [], "collect": []}
    jobs: list[float] = []
    for number in range(rounds):
        target = root / f"dir-{number}"
        times["skopeo copy"].append(
            timed(lambda target=target: skopeo("copy", "--src-tls-verify=false", f"docker://{upstream.host}/bench/one:1",
                                               f"dir:{target}"), target)
        )  # fmt: skip
        shutil.rmtree(target)
        with Station(root / f"alpha-{number}", "alpha", "outside") as alpha:
            times["collect"].append(
                timed(lambda alpha=alpha: alpha.run("collect", f"{upstream.host}/bench/one:1"), None)
            )
            jobs.append(job_seconds(alpha))
        shutil.rmtree(root / f"alpha-{number}")
    report(f"one image of {mebibytes} MiB in {LAYERS} layers", times)
    print(f"  processor time of the job: {statistics.median(jobs):.2f} s")
    shutil.rmtree(layout.folder)


def many_images(root: Path, upstream: Upstream, images: int, rounds: int) -> None:
    """Images that share layers: `skopeo sync` into an empty registry, and a collect, each twice."""
    layout = Layout(root / "many")
    shared = [layout.blob(os.urandom(size), f"{OCI}.layer.v1.tar") for size in (8 * MIB, 2 * MIB, 256 * 1024)]
    names = [f"bench/app{number}" for number in range(images)]
    for name in names:
        layers = [*shared, layout.blob(os.urandom(OWN), f"{OCI}.layer.v1.tar")]
        layout.tag(name, image(layout, layers))
        push(layout, name, f"{upstream.host}/{name}:1")
    listed = root / "images.yml"
    listed.write_text(json.dumps({upstream.host: {"images": {name: ["1"] for name in names}, "tls-verify": False}}))
    times: dict[str, list[float]] = {"skopeo sync": [], "collect": [], "skopeo again": [], "collect again": []}
    requests = []
    for number in range(rounds):
        with registry(root / f"mirror-{number}") as mirror:

            def sync(mirror: Upstream = mirror) -> None:
                skopeo("sync", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", listed, mirror.host)

            for name in ("skopeo sync", "skopeo again"):
                times[name].append(timed(sync, root / f"mirror-{number}"))
        shutil.rmtree(root / f"mirror-{number}")
        with Station(root / f"beta-{number}", "alpha", "outside") as alpha:
            for name in ("collect", "collect again"):
                before = upstream.requests()
                times[name].append(
                    timed(
                        lambda alpha=alpha: alpha.run("collect", *(f"{upstream.host}/{one}:1" for one in names)), None
                    )
                )
                requests.append(upstream.requests() - before)
        shutil.rmtree(root / f"beta-{number}")
    report(f"{images} images with shared layers", {name: times[name] for name in ("skopeo sync", "collect")})
    report("the same again", {name: times[name] for name in ("skopeo again", "collect again")})
    print(f"  requests of a collect: {requests[0]} the first time, {requests[1]} the second")


def image(layout: Layout, layers: list[dict[str, object]]) -> dict[str, object]:
    """A manifest over layers, with a configuration of its own."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids":
              [layer["digest"] for layer in layers]}}  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": layout.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": layers,
    }
    return layout.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")


def push(layout: Layout, name: str, reference: str) -> None:
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.folder}:{name}", f"docker://{reference}")


def skopeo(command: str, *arguments: object) -> None:
    words = ["skopeo", command, *(["--quiet"] if command == "copy" else []), *map(str, arguments)]
    subprocess.run(words, check=True, capture_output=True)


def timed(work: Callable[[], object], written: Path | None) -> float:
    """Seconds of a work and of syncing what it wrote; ours is synced when it ends."""
    os.sync()
    started = time.monotonic()
    work()
    if written is not None:
        subprocess.run(["sync", "-f", written], check=True)
    return time.monotonic() - started


def job_seconds(station: Station) -> float:
    """Processor time of the one collect of a station, by the job's own account."""
    [job] = [one for one in station.run("job", "list", "--json").json["items"] if one["kind"] == "collect"]
    log = station.run("job", "log", job["id"]).stdout
    return float(log.rpartition("bytes, ")[2].partition(" s of")[0])


def report(what: str, times: dict[str, list[float]]) -> None:
    """The medians, their spread, and how many times as fast as the first the last is."""
    print(what)
    for name, seconds in times.items():
        print(f"  {name:14} {statistics.median(seconds):6.2f} s  [{min(seconds):.2f} to {max(seconds):.2f}]")
    theirs, ours = (statistics.median(seconds) for seconds in times.values())
    print(f"  {theirs / ours:.2f} times as fast")


if __name__ == "__main__":
    main()
