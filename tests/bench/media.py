"""`make bench-media`: a bundle end to end against the same by hand with stock tools, and against the bytes alone.

(a) By hand: `skopeo copy` to an OCI layout, `7z a -mx0 -v`, `sha256sum`; then `sha256sum -c`, `7z x`, `skopeo copy` to
another registry. Ours: `bundle build` (written, synced, read back, compared), `intake import`, approval and release.
(b) The bytes alone: `cp` + `sync` + `cmp` for the build, `cp` + `sync` for the import.

Sources and copies are cold on both sides, the sides alternate, medians of the rounds are printed with their spread.
Rounds end early where a further one would not fit into `--minutes`; how many there were is printed. Then a plan of a
hundred thousand blobs, a delta of one changed layer among many images, and a job's memory at several sizes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.outgoing.plan import make_plan
from appliance.tour.stage import Station
from bundles.format.media import PROFILES
from bundles.oci.reference import Reference
from tests.bench.__main__ import MB, Rounds, cold, copy_tree, files, timed
from tests.meter import JobMeter
from tests.outgoing.many import fill as fill_store
from tests.outgoing.outside import Outside
from tests.peers.stock import OCI, Layout

_LAYER = 256 * 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-media", description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="MiB of layers (default 4096)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=16, help="for the rounds, three of them at least (default 16)")
    parser.add_argument("--blobs", type=int, default=100_000, help="blobs of the plan (default 100,000)")
    parser.add_argument("--images", type=int, default=200, help="images of the delta (default 200)")
    parser.add_argument(
        "--memory", type=int, nargs="*", default=[1024], help="MiB of further sizes whose memory is told"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        bench = Bench(root)
        bench.compare(arguments.size, Rounds(arguments.rounds, arguments.minutes))
        bench.plan(arguments.blobs)
        bench.delta(arguments.images)
        for size in arguments.memory:
            bench.memory(size)
    finally:
        shutil.rmtree(root)


class Bench:
    """One run in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def compare(self, mebibytes: int, rounds: Iterable[int]) -> None:
        """Print the table of both comparisons."""
        layout = self.root / "source"
        make_layers(layout, mebibytes)
        names = ("ours build", "ours import", "ours release", "hand out", "hand in", "bytes out", "bytes in")
        times: dict[str, list[float]] = {name: [] for name in names}
        peak = 0
        with self._station("alpha", "outside") as alpha, self._station("charlie", "outside") as charlie:
            public = self._key(alpha, "engineer")
            reference = alpha.run("collect", f"oci:{layout}", "--as", "bench/layers:1").last_line
            for number in rounds:
                site = f"bravo{number}"
                peak = max(peak, self._ours(alpha, public, site, reference, times))
                self._by_hand(alpha, charlie, reference, number, times)
        _report(times, mebibytes, peak)

    def _ours(self, alpha: Station, public: Path, site: str, reference: str, times: dict[str, list[float]]) -> int:
        medium, inside = self.root / "medium", self.root / site
        medium.mkdir()
        build = ("bundle", "build", "--to", site, "--new-site", "--out", medium, "--sign-with", "engineer", reference)
        cold(self.root)
        with JobMeter(alpha.folder) as outgoing:
            times["ours build"].append(timed(lambda: alpha.run(*build)))
        bundle = next(medium.iterdir())
        with self._inside(site, public) as bravo:
            cold(self.root)
            with JobMeter(inside) as incoming:
                times["ours import"].append(timed(lambda: bravo.run("intake", "import", bundle)))

            def decide() -> None:
                bravo.run("intake", "approve", bundle.name, "--key", "officer")
                bravo.run("intake", "release", bundle.name)

            times["ours release"].append(timed(decide))
        shutil.rmtree(inside)
        cold(self.root)
        times["bytes out"].append(timed(lambda: self._bytes_out(bundle)))
        cold(self.root)
        times["bytes in"].append(timed(lambda: copy_tree(bundle, self.root / "copied")))
        shutil.rmtree(medium)
        return max(outgoing.peak_memory, incoming.peak_memory)

    def _bytes_out(self, bundle: Path) -> None:
        """`cp`, `sync` and `cmp` of the same volumes."""
        target = self.root / "copy"
        run("cp", "-r", bundle, target)
        run("sync", *files(target))
        for path in sorted(files(target)):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            run("cmp", path, bundle / path.relative_to(target))
        shutil.rmtree(target)

    def _by_hand(
        self, alpha: Station, charlie: Station, reference: str, number: int, times: dict[str, list[float]]
    ) -> None:
        work = self.root / "hand"
        layout, medium, inside = work / "layout", work / "medium", work / "inside"
        for folder in (medium, inside):
            folder.mkdir(parents=True)
        source = f"docker://{alpha.base.removeprefix('http://')}/{reference}"
        target = f"docker://{charlie.base.removeprefix('http://')}/bench/round{number}:1"

        def out() -> None:
            run("skopeo", "copy", "-q", "--src-tls-verify=false", source, f"oci:{layout}:app")
            run("7z", "a", "-mx0", "-v4g", "-bd", medium / "app.7z", f"{layout}/.")
            (medium / "SHA256SUMS").write_text(run("sha256sum", *sorted(medium.glob("app.7z.*"))))
            run("sync", *files(medium))

        def into() -> None:
            run("sha256sum", "-c", "--quiet", medium / "SHA256SUMS")
            run("7z", "x", "-bd", f"-o{inside}", next(iter(sorted(medium.glob("app.7z.*")))))
            run("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{inside}:app", target)

        cold(self.root)
        times["hand out"].append(timed(out))
        cold(self.root)
        times["hand in"].append(timed(into))
        shutil.rmtree(work)

    def plan(self, blobs: int) -> None:
        """The time that a plan of so many blobs takes, from the station's database to the last volume's size."""
        layers = 49
        times = []
        with Outside(self.root / "many-blobs") as outside:
            station = outside.station
            references = [Reference.parse(name) for name in fill_store(station, blobs // (layers + 1), layers)]
            for _ in range(5):
                started = time.monotonic()
                closure = closure_of(references, StationContent(station.blobs, station.metadata))
                planned = make_plan(closure, PROFILES["fat32"], [None])
                planned.space()
                times.append(time.monotonic() - started)
        shutil.rmtree(self.root / "many-blobs")
        print(
            f"  a plan of {len(closure.content.blobs)} blobs, {closure.content.size / MB:.0f} MB,"
            f" {len(planned.packing.volumes)} volumes: median {statistics.median(times):.2f} s"
            f"  spread {min(times):.2f} to {max(times):.2f} s"
        )

    def delta(self, images: int) -> None:
        """A full bundle of many artifacts on one large base, then a delta of one changed layer."""
        layout = Layout(self.root / "many" / "images")
        base = os.urandom(64 * 1024 * 1024)
        for number in range(images):
            layout.tag(f"v{number}", layout.artifact({"base": base, "own": os.urandom(1024 * 1024)}))
        with self._station("delta", "outside") as outside:
            public = self._key(outside, "engineer")
            references = outside.run("collect", f"oci:{layout.folder}").stdout.split()
            with self._inside("echo", public, source="delta") as inside:
                for number in range(2):
                    medium = self.root / f"delta-{number}"
                    medium.mkdir()
                    options = ("--to", "echo", "--out", medium, "--since", "last", "--sign-with", "engineer")
                    command = ("bundle", "build", *options, *references)
                    build = timed(lambda command=command: outside.run(*command))
                    bundle = next(medium.iterdir())
                    size = sum(path.stat().st_size for path in files(bundle))
                    import_ = timed(lambda bundle=bundle: inside.run("intake", "import", bundle))
                    inside.run("intake", "approve", bundle.name, "--key", "officer")
                    inside.run("intake", "release", bundle.name)
                    name = "full bundle" if not number else "delta of one changed layer"
                    took = f"build {build:.2f} s, import {import_:.2f} s"
                    print(f"  {name} of {images} artifacts: {size / MB:.1f} MB, {took}")
                    if not number:
                        changed = Layout(self.root / "changed" / "images")
                        changed.tag("v0", changed.artifact({"base": base, "own": os.urandom(1024 * 1024)}))
                        outside.run("collect", f"oci:{changed.folder}")
        shutil.rmtree(self.root / "delta")
        shutil.rmtree(self.root / "echo")

    def memory(self, mebibytes: int) -> None:
        """The most memory that a build and an import hold."""
        layout = self.root / "sized"
        make_layers(layout, mebibytes)
        medium = self.root / "sized-medium"
        medium.mkdir()
        with self._station("foxtrot", "outside") as outside:
            public = self._key(outside, "engineer")
            reference = outside.run("collect", f"oci:{layout}", "--as", "bench/layers:1").last_line
            shutil.rmtree(layout)
            with JobMeter(outside.folder) as outgoing:
                outside.run("bundle", "build", "--to", "golf", "--out", medium, "--sign-with", "engineer", reference)
            with self._inside("golf", public, source="foxtrot") as inside, JobMeter(inside.folder) as incoming:
                inside.run("intake", "import", next(medium.iterdir()))
        mib = 1024 * 1024
        print(
            f"  memory at {mebibytes} MiB: build {outgoing.peak_memory / mib:.0f} MiB,"
            f" import {incoming.peak_memory / mib:.0f} MiB"
        )
        for folder in ("sized-medium", "foxtrot", "golf"):
            shutil.rmtree(self.root / folder)

    def _station(self, site: str, side: str) -> Station:
        return Station(self.root / site, site, side)

    def _key(self, station: Station, name: str) -> Path:
        public = self.root / f"{station.site}-{name}.pem"
        station.run("key", "create", name, "--no-passphrase")
        public.write_text(station.run("key", "export", name).stdout)
        return public

    def _inside(self, site: str, public: Path, source: str = "alpha") -> Station:
        station = self._station(site, "inside")
        station.run("key", "trust", public, "--purpose", "bundle", "--owner", "bench", "--from", source)
        station.run("key", "trust", self._key(station, "officer"), "--purpose", "release", "--owner", "officer")
        return station


def make_layers(folder: Path, mebibytes: int) -> None:
    """An artifact of random layers of at most 256 MiB each, which nothing on the way can compress."""
    layout = Layout(folder)
    left, layers = mebibytes * 1024 * 1024, []
    while left:
        size = min(left, _LAYER)
        layers.append(layout.blob(os.urandom(size), f"{OCI}.layer.v1.tar"))
        left -= size
    layout.tag("1", layout.manifest(layers))
    os.sync()


def run(*command: str | Path) -> str:
    """A stock tool; what it printed."""
    ended = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return ended.stdout


def _report(times: dict[str, list[float]], mebibytes: int, peak: int) -> None:
    size = mebibytes * 1024 * 1024
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(f"{size / MB:.0f} MB of layers, {len(times['ours build'])} rounds, alternated, cold")
    for name, seconds in times.items():
        print(
            f"  {name:<13} median {middle[name]:7.2f} s  {size / MB / middle[name]:7.1f} MB/s"
            f"  spread {min(seconds):.2f} to {max(seconds):.2f} s"
        )
    ours = middle["ours build"] + middle["ours import"] + middle["ours release"]
    hand = middle["hand out"] + middle["hand in"]
    print(f"  end to end: {ours:.2f} s against {hand:.2f} s by hand: {hand / ours:.2f} times as fast")
    print(f"  build runs at {middle['bytes out'] / middle['ours build']:.2f} of cp + sync + cmp")
    print(f"  import runs at {middle['bytes in'] / middle['ours import']:.2f} of cp + sync")
    print(f"  memory at most {peak / 1024 / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
