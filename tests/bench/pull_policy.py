"""What a policy for images costs at a pull: manifest requests a second with and without one, and a first verdict.

`python -m tests.bench.pull_policy`. As `tests.bench.access`: processor time of the worker's own thread, A and B
alternate, the ratio is the median of the rounds' own. Goals: 0.9 or more where the verdict is known, and less than
10 ms for a first verdict with eight keys pinned, by the processor time of the thread that judges.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from appliance.image_signatures.judge import Judge
from appliance.image_signatures.naming import Remembered
from appliance.image_signatures.policy_in_force import look
from appliance.store.reads.registry import Metadata
from bundles.signing.keys import create_private
from tests.bench.access import ROUNDS, rate
from tests.image_signatures.pulling import Held, rule, signed

KEYS = 8
IMAGES = 40


def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as folder, Held(Path(folder)) as held:
        keys = [create_private() for _ in range(KEYS - 1)]
        for number, key in enumerate(keys):
            held.pin(key, "image", f"Team {number}")
        held.push(signed(), "1")
        digests = [held.push(signed(str(number))) for number in range(IMAGES)]
        held.apply(rule())
        headers = held.headers("node", "pull", held.team)
        kinds = {"without a policy": held.worker(rate=1e9), "with one": held.workers[0]}
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(ROUNDS + 1):
            for name, server in kinds.items():
                measured = rate(server, headers)
                if number:  # the first round warms up
                    found[name].append(measured)
        for name, rates in found.items():
            print(f"{name:>16}: {statistics.median(rates):7.0f} manifests/s ({min(rates):.0f} to {max(rates):.0f})")
        ratios = sorted(
            ours / theirs for ours, theirs in zip(found["with one"], found["without a policy"], strict=True)
        )
        half = ratios[len(ratios) // 4 : -(len(ratios) // 4)]
        print(f"ratio {statistics.median(ratios):.2f} (half of the rounds: {half[0]:.2f} to {half[-1]:.2f})")
        metadata, judge = Metadata(held.paths.database), Judge(look(held.paths, None), Remembered())
        times = []
        for digest in digests:
            began = time.thread_time()
            assert judge.verdict(held.blobs, metadata, held.team, digest, "manifest").objection is None
            times.append((time.thread_time() - began) * 1000)
        print(f"first verdict, {KEYS} keys: {statistics.median(times):.1f} ms ({min(times):.1f} to {max(times):.1f})")


if __name__ == "__main__":
    main()
