"""The console on the double, in a real terminal: `python tests/console/doubles/__main__.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))


def run() -> int:
    """The console on the double, by the program's own loop; the exit status."""
    from tui.terminal import detect

    detect.prepare()
    from tests.console.doubles.keyring import DemoKeyring
    from tests.console.doubles.station import demo_pair
    from tui.app import go_on
    from tui.shell.console import LockgateConsole
    from tui.shell.crash import Crash

    def make(after: Crash | None) -> LockgateConsole:
        inside, outside = demo_pair()
        look, other = detect.look(os.environ), (outside, DemoKeyring())
        return LockgateConsole(inside, DemoKeyring(), now=inside.now, look=look, other=other, after=after)

    return go_on(make)


if __name__ == "__main__":
    raise SystemExit(run())
