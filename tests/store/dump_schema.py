"""Prints the schema of this version as SQL, for tests/data/schemas (its README.md says when)."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from appliance.store.database import open_writer


def dump() -> str:
    """A new database of this version, as SQL text."""
    with tempfile.TemporaryDirectory() as folder, closing(open_writer(Path(folder) / "metadata.sqlite")) as connection:
        return "\n".join(connection.iterdump()) + "\n"


if __name__ == "__main__":
    print(dump(), end="")
