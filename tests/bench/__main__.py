"""`make bench`: building and importing against the bytes alone, in one run on one disk.

Against `cp` + `sync` + `cmp` for the build (the medium is compared), and `cp` + `sync` for the import. Sources and
copies are cold on both sides (fsync, then posix_fadvise DONTNEED), A and B alternate, medians of the rounds are
printed with their spread. Every figure is a ratio of two measurements of the same run. Rounds end early where a further
one would not fit into `--minutes`; how many there were is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from appliance.tour.stage import Station
from tests.meter import JobMeter

MB = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="MiB of the artifact (default 4096)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=8, help="for the rounds, three of them at least (default 8)")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        run(root, arguments.size, Rounds(arguments.rounds, arguments.minutes))
    finally:
        shutil.rmtree(root)


def run(root: Path, mebibytes: int, rounds: Iterable[int]) -> None:
    """Print the table for an artifact of `mebibytes` MiB of random bytes."""
    artifact = root / "artifact.bin"
    fill(artifact, mebibytes)
    size = artifact.stat().st_size
    alpha = Station(root / "alpha", "alpha", "outside")
    public = root / "pub.pem"
    alpha.run("key", "create", "engineer", "--no-passphrase")
    public.write_text(alpha.run("key", "export", "engineer").stdout)
    times: dict[str, list[float]] = {"build": [], "cp+sync+cmp": [], "import": [], "cp+sync": []}
    memory = {"build": 0, "import": 0}
    written = {"build": 0.0, "import": 0.0}
    with alpha:
        alpha.run("collect", f"file:{artifact}", "--as", "files/artifact:bench")
        for number in rounds:
            medium = root / "medium"
            medium.mkdir()
            site = f"bravo{number}"  # a stream of its own, so that each round's bundle is a first one
            build = ("bundle", "build", "--to", site, "--new-site", "--out", medium, "--sign-with", "engineer")
            cold(root)
            with JobMeter(alpha.folder) as meter:
                times["build"].append(timed(lambda build=build: alpha.run(*build, "files/artifact:bench")))
            memory["build"] = max(memory["build"], meter.peak_memory)
            written["build"] = max(written["build"], meter.written / size)
            cold(root)
            times["cp+sync+cmp"].append(timed(lambda: copy(artifact, root / "copy", compare=True)))
            bundle = next(medium.iterdir())
            inside = root / "bravo"
            bravo = Station(inside, site, "inside")
            bravo.run("key", "trust", public, "--purpose", "bundle", "--owner", "bench", "--from", "alpha")
            with bravo:
                cold(root)
                with JobMeter(inside) as meter:
                    times["import"].append(
                        timed(lambda bravo=bravo, bundle=bundle: bravo.run("intake", "import", bundle))
                    )
            memory["import"] = max(memory["import"], meter.peak_memory)
            written["import"] = max(written["import"], meter.written / size)
            cold(root)
            times["cp+sync"].append(timed(lambda bundle=bundle: copy_tree(bundle, root / "copied")))
            shutil.rmtree(inside)
            shutil.rmtree(medium)
    report(times, memory, written, size)


class Rounds:
    """Numbers of rounds: `most` of them, fewer (but `LEAST`) where a further one would not fit into `minutes`."""

    LEAST = 3

    def __init__(self, most: int, minutes: float) -> None:
        self._most, self._seconds = most, minutes * 60

    def __iter__(self) -> Iterator[int]:
        begun = time.monotonic()
        for number in range(self._most):
            spent = time.monotonic() - begun
            if number >= self.LEAST and spent / number * (number + 1) > self._seconds:
                return
            yield number


def fill(path: Path, mebibytes: int) -> None:
    """Random bytes, which nothing on the way can compress."""
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1024 * 1024))
        file.flush()
        os.fsync(file.fileno())


def cold(root: Path) -> None:
    """Drop the pages of every file below `root`, after a sync, so that both sides start from the disk."""
    os.sync()
    for path in files(root):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def files(root: Path) -> Iterable[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def copy(source: Path, target: Path, *, compare: bool) -> None:
    """`cp`, `sync` of the file, and `cmp` against bytes read back from the disk."""
    subprocess.run(["cp", source, target], check=True)
    subprocess.run(["sync", target], check=True)
    if compare:
        descriptor = os.open(target, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
        subprocess.run(["cmp", source, target], check=True)
    target.unlink()


def copy_tree(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)
    subprocess.run(["sync", *map(str, files(target))], check=True)
    shutil.rmtree(target)


def report(times: dict[str, list[float]], memory: dict[str, int], written: dict[str, float], size: int) -> None:
    """One line a measurement, then the two ratios (1.0 would be as fast as the bytes alone)."""
    print(f"{size / MB:.0f} MB of random bytes, {len(times['build'])} rounds, alternated, cold")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"  {name:<12} median {middle:7.2f} s  {size / MB / middle:7.1f} MB/s"
            f"  spread {min(seconds):.2f} to {max(seconds):.2f} s"
        )
    for ours, theirs in (("build", "cp+sync+cmp"), ("import", "cp+sync")):
        ratio = statistics.median(times[theirs]) / statistics.median(times[ours])
        print(
            f"  {ours} runs at {ratio:.2f} of {theirs}; memory at most {memory[ours] / 1024 / 1024:.0f} MiB;"
            f" wrote {written[ours]:.3f} of the artifact's bytes"
        )


if __name__ == "__main__":
    main()
