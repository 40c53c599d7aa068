"""`lockgate console`: whether this terminal can show it, which station it drives, and the exit status.

Nothing of Textual is imported before the terminal is known to be fit for it: a refusal is instant, and what Textual
reads from the environment is set in time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bundles.errors import EXIT_DONE, EXIT_USAGE
from tui.terminal import detect

if TYPE_CHECKING:
    from tui.console_port import FirstAdministrator


def run(root: Path | None, demo: bool, first: FirstAdministrator | None = None) -> int:
    """The console of the station in `root`, or with `demo` of one in memory; `first` makes the first administrator of
    a station that has no accounts yet. Returns the exit status.

    Raises UsageError for a configuration file that cannot be read.
    """
    problem = detect.refusal(os.environ, is_tty=sys.stdin.isatty() and sys.stdout.isatty())
    if problem:
        sys.stderr.write(f"{problem}\n")
        return EXIT_USAGE
    detect.prepare()
    from tui.actions.keymap import load
    from tui.demo.keyring import DemoKeyring
    from tui.shell.console import LockgateConsole
    from tui.station.keyring import FolderKeyring

    look, keymap = detect.look(os.environ), load(root)
    if demo or root is None:
        from tui.demo.station import demo_pair

        inside, outside = demo_pair()
        console = LockgateConsole(inside, DemoKeyring(), now=inside.now, look=look, keymap=keymap, other=outside)
    else:
        from appliance.clock import now
        from tui.station.control_socket import ControlStation

        console = LockgateConsole(
            ControlStation(root), FolderKeyring(root), now=now, look=look, keymap=keymap, first=first
        )
    status = console.run(mouse=False)
    return console.return_code or status or EXIT_DONE
