"""The entry of the installed `lockgate`: Ctrl-C while the program is still being loaded is one line, as it is later.

Imports hardly anything before it is ready for that: what is loaded then takes longer than anything before. Nothing of
PYTHONPATH is loaded with it (bundles.startup).
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from bundles.startup import forget_environment, open_standard_streams


def main() -> NoReturn:
    """Load the command line and run it."""
    signal.signal(signal.SIGINT, _end)
    open_standard_streams()
    forget_environment()
    from appliance.cli.main import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(number: int, frame: object) -> None:
    os.write(2, b"lockgate: interrupted\n")
    os._exit(1)
