"""The receipt or want-list that a build stands on, kept in its job's folder: it came with the request, as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from appliance.limits import control as limits
from bundles.documents.statement import StatementFiles
from bundles.io.files import read_small, write_atomic

_TOLD: Final = "told.json"


def save_statement(folder: Path, told: StatementFiles) -> None:
    """Keep it. Raises FailedError."""
    write_atomic(folder / _TOLD, msgspec.json.encode(told), 0o600)


def load_statement(folder: Path) -> StatementFiles | None:
    """What `save_told` kept; None where nothing was."""
    path = folder / _TOLD
    if not path.exists():
        return None
    return msgspec.json.decode(read_small(path, limits.CONTROL_BODY), type=StatementFiles)
