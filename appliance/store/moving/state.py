"""What a move of the metadata left of itself in the station's folder, so that it goes on where it was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from appliance.limits import store as limits
from appliance.store.whereabouts import Whereabouts, noted
from bundles.errors import FailedError, LockgateError
from bundles.io.files import read_small, sync_folder, write_atomic

FILE = "file"
"""The place of metadata in a file of the station's folder, as `--metadata` spells it."""


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A move that was begun at `at`. `came_from` and `goes_to`: the notes of both places; None is the file of the
    folder. `phase`: `switching` from the moment at which the note may be the other one."""

    came_from: Whereabouts | None
    goes_to: Whereabouts | None
    at: str
    phase: Literal["copying", "switching"] = "copying"

    @property
    def place(self) -> str:
        """Where it goes, in words."""
        return FILE if self.goes_to is None else self.goes_to.url


def move_file(database: Path) -> Path:
    """The file beside where the station's database would be."""
    return database.with_name("metadata-move.json")


def begun(database: Path) -> Move | None:
    """The move that was begun and has not ended. Raises FailedError for what is none."""
    path = move_file(database)
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_small(path, limits.METADATA_NOTE), type=Move)
    except (msgspec.DecodeError, LockgateError) as error:
        raise FailedError(
            "the note of a move of the metadata cannot be read",
            thing=f"{path} ({str(error)[:160]})",
            remedy=f"the station's metadata is where metadata.json says; take this file away: rm {path}",
        ) from None


def keep(database: Path, move: Move) -> Move:
    """Write it. Returns it. Raises FailedError."""
    write_atomic(move_file(database), msgspec.json.encode(move), 0o600, owned=True)
    return move


def forget(database: Path) -> None:
    """The move has ended. Raises OSError."""
    move_file(database).unlink(missing_ok=True)
    sync_folder(database.parent)


def is_switched(database: Path, move: Move) -> bool:
    """Whether the station's metadata is at the new place. Raises FailedError."""
    return move.phase == "switching" and noted(database) == move.goes_to
