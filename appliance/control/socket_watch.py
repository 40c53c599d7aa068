"""Sees that the sockets of the running station are where clients look for them, whose folder somebody may remove."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.program_log import say


async def keep_looking(paths: StationPaths, lost: Callable[[Path], object]) -> None:
    """Call `lost` once where a socket went, or was exchanged, and its folder is there or could be made again: whoever
    starts again then listens there. Until cancelled, or until that."""
    sockets = (paths.control_socket, paths.handles_socket, paths.writer_socket)
    places = {path: _place(path) for path in sockets}
    said = ""
    while True:
        await asyncio.sleep(limits.RESERVE_LOOK)
        gone = next((path for path in sockets if _place(path) != places[path]), None)
        if gone is None:
            continue
        try:
            paths.run.mkdir(mode=0o710, exist_ok=True)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                text = f"no command reaches the station: its folder of sockets is gone and cannot be made: {said}"
                say(text)
            continue
        lost(gone)
        return


def _place(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
