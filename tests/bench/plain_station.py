"""`lockgate serve` of a station with accounts over plain HTTP, for measurements beside peers without TLS: a site's
station never does that. `python -m tests.bench.plain_station DIR [--tls] [--no-lane]`."""

from __future__ import annotations

import functools
import sys
from typing import Any

from appliance.cli.main import lockgate
from appliance.serve import worker


class PlainFront(worker.Front):
    """Accepts without TLS."""

    def __init__(self, runner: Any, listener: Any, _: Any, *more: Any) -> None:
        super().__init__(runner, listener, None, *more)


def main() -> None:
    """Serve until SIGTERM."""
    if "--tls" not in sys.argv:
        worker.Front = PlainFront  # type: ignore[misc]
    if "--no-lane" in sys.argv:
        worker.make_runner = functools.partial(worker.make_runner, with_lane=False)
    lockgate(["serve", "-C", sys.argv[1], "--listen", "127.0.0.1:0"])


if __name__ == "__main__":
    main()
