"""`make bench-verify`: `bundle verify` against `openssl dgst -sha256` on the same files, on one core and on two, and
the trust decision alone.

Volumes are cold on both sides (fsync, then posix_fadvise DONTNEED), then warm; A and B alternate; medians of the rounds
are printed with their spread. Both sides of a ratio are whole commands, their start included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.tour.stage import Station
from bundles.decide.bundle import decide
from bundles.signing.keys import load_public
from bundles.signing.trust import TrustFolder
from bundles.verify import gather
from tests.bench.__main__ import MB, cold, files, fill, timed

_DECISIONS = 200
_VERIFY = (sys.executable, "-m", "appliance.cli.main", "bundle", "verify")
_MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-verify", description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="MiB of the artifact (default 2048)")
    parser.add_argument("--volume", default="512MB", help="the largest volume (default 512MB)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        bundle, trust = make(root, arguments.size, arguments.volume)
        compare(bundle, trust, arguments.rounds)
        decisions(bundle, trust)
    finally:
        shutil.rmtree(root)


def make(root: Path, mebibytes: int, volume: str) -> tuple[Path, Path]:
    """A bundle of random bytes signed by a P-256 and a hybrid key, and the trust folder that takes it."""
    artifact = root / "artifact.bin"
    fill(artifact, mebibytes)
    alpha = Station(root / "alpha", "alpha", "outside")
    bravo = Station(root / "bravo", "bravo", "inside")
    for name, algorithm in (("engineer", "ecdsa-p256"), ("second", "ecdsa-p384+ml-dsa-87")):
        alpha.run("key", "create", name, "--algorithm", algorithm, "--no-passphrase")
        public = root / f"{name}.pem"
        public.write_text(alpha.run("key", "export", name).stdout)
        bravo.run("key", "trust", public, "--purpose", "bundle", "--owner", name, "--from", "alpha")
    cosigner = load_public(public).keyid
    medium = root / "medium"
    medium.mkdir()
    with alpha:
        alpha.run("collect", f"file:{artifact}", "--as", "files/artifact:bench")
        alpha.run(
            "bundle", "build", "--to", "bravo", "--out", medium, "--volume", volume,
            "--sign-with", "engineer", "--cosigner", cosigner, "files/artifact:bench",
        )  # fmt: skip
    (bundle,) = medium.iterdir()
    alpha.run("bundle", "sign", bundle, "--key", "second")
    shutil.rmtree(root / "alpha")
    artifact.unlink()
    return bundle, root / "bravo/trust"


def compare(bundle: Path, trust: Path, rounds: int) -> None:
    """Print the four ratios: cold and warm, on one core and on two."""
    volumes = [str(path) for path in sorted((bundle / "volumes").iterdir())]
    size = sum(Path(path).stat().st_size for path in volumes)
    cores = sorted(os.sched_getaffinity(0))[:2]
    print(f"{size / MB:.0f} MB in {len(volumes)} volumes, {rounds} rounds, alternated")
    for state in ("cold", "warm"):
        for count in range(1, len(cores) + 1):
            ours = ["taskset", "-c", ",".join(map(str, cores[:count])), *_VERIFY]
            theirs = ["taskset", "-c", str(cores[0]), "openssl", "dgst", "-sha256", *volumes]
            times: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(rounds):
                for name, command in (("theirs", theirs), ("ours", [*ours, str(bundle), "--trust", str(trust)])):
                    prepare(bundle, state)
                    times[name].append(timed(lambda command=command: run(command)))
            ratio = statistics.median(times["theirs"]) / statistics.median(times["ours"])
            said = ", ".join(f"{name} {told(seconds, size)}" for name, seconds in times.items())
            print(f"  {state}, {count} core{'s' if count > 1 else ' '}: {ratio:.2f} of openssl on one ({said})")


def prepare(bundle: Path, state: str) -> None:
    """Drop the bundle's pages, or read them all."""
    cold(bundle)
    if state == "warm":
        for path in files(bundle):
            with path.open("rb", buffering=0) as file:
                while file.read(_MIB):
                    pass


def told(seconds: Sequence[float], size: int) -> str:
    middle = statistics.median(seconds)
    return f"{size / MB / middle:.0f} MB/s, {min(seconds):.2f} to {max(seconds):.2f} s"


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def decisions(bundle: Path, trust: Path) -> None:
    """Print what the decision takes: the small files read and kept, no volume touched."""
    pinned = TrustFolder.load(trust)
    small = gather([bundle]).files
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    taken = sorted(timed(lambda: decide(small, pinned, now)) * 1000 for _ in range(_DECISIONS))
    middle, last = statistics.median(taken), taken[_DECISIONS * 99 // 100]
    print(f"  the decision, two signers (ECDSA P-256, hybrid): median {middle:.2f} ms, 99 in 100 below {last:.2f} ms")


if __name__ == "__main__":
    main()
