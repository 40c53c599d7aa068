"""How a person wants each list (columns, order), kept from one console to the next in the state folder.

The file holds names of screens, lists and columns and nothing of a station, and belongs to the system account. One that
cannot be read begins anew: lists then show what fits.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Final

from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic
from tui.widgets.table import Arrangement

_MOST: Final = 65_536
"""Bytes of the file."""
NAME: Final = "lists.json"


class KeptLists:
    """The arrangements by screen and list. `path`: the file; None: in memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: dict[str, Arrangement] = _read(path) if path is not None else {}

    def of(self, screen: str, table: str) -> Arrangement:
        """How a list was arranged last."""
        return self._kept.get(f"{screen}.{table}", Arrangement())

    def keep(self, screen: str, table: str, wanted: Arrangement) -> None:
        """Arrange it so from now on."""
        self._kept.pop(f"{screen}.{table}", None)
        if wanted != Arrangement():
            self._kept[f"{screen}.{table}"] = wanted

    def write(self) -> None:
        """Write the file. Blocking. Raises LockgateError where it cannot be written."""
        if self._path is None:
            return
        document = {
            name: {"columns": one.columns, "sorted_by": one.sorted_by, "downward": one.downward}
            for name, one in self._kept.items()
        }
        with contextlib.suppress(OSError):  # writing says why
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(document, indent=1).encode(), 0o600)


def _read(path: Path) -> dict[str, Arrangement]:
    try:
        document: Any = json.loads(read_small(path, _MOST))
    except (LockgateError, OSError, ValueError, RecursionError):
        return {}
    found = {}
    for name, one in document.items() if isinstance(document, dict) else ():
        match one:
            case {"columns": [*columns], "sorted_by": str(sorted_by), "downward": bool(downward)}:
                if all(isinstance(column, str) for column in columns):
                    found[name] = Arrangement(tuple(columns), sorted_by, downward)
    return found
