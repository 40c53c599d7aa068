"""Where the console keeps what is its own: the state folder of the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path | None:
    """`$XDG_STATE_HOME/lockgate`, else `~/.local/state/lockgate`; None where no home folder is known."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "lockgate"
    try:
        return Path.home() / ".local/state" / "lockgate"
    except RuntimeError:
        return None
