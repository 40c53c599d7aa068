"""Lines of the program's log as syslog messages, read in batches from the outbox (appliance.log_outbox)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.limits import forwarding as limits
from appliance.log_outbox import files_of, is_over
from appliance.syslog.messages import framed, header_name
from bundles.errors import RefusedError
from bundles.io.files import failures_named, open_regular

_DAEMON: Final = 3
"""The facility of system daemons (RFC 5424, section 6.2.1)."""

_SEVERITY: Final = {"error": 3, "warning": 4, "info": 6, "debug": 7}


@dataclass(frozen=True, slots=True)
class ProgramBatch:
    """Messages with their lengths; how far each file is sent with them, and the files that are sent whole then."""

    frames: tuple[bytes, ...]
    places: Mapping[str, int]
    whole: tuple[Path, ...]
    more: bool


def read_outbox(folder: Path, places: Mapping[str, int], site: str) -> ProgramBatch:
    """The next batch behind `places`, bytes by the file's name. Blocking. Raises FailedError."""
    frames, found, whole, size = list[bytes](), dict[str, int](), list[Path](), 0
    with failures_named(folder, "the program's log for the collector cannot be read"):
        files = files_of(folder)
        for path in files:
            over = is_over(path, files)  # asked before it is read: what is written meanwhile is read the next time
            start = places.get(path.name, 0)
            lines, end = _lines(path, start, limits.SYSLOG_BATCH - size)
            frames += [frame for line in lines if (frame := frame_of_line(line, site))]
            size += end - start
            found[path.name] = end
            if size >= limits.SYSLOG_BATCH:
                return ProgramBatch(tuple(frames), found, tuple(whole), more=True)
            if over:
                whole.append(path)
    return ProgramBatch(tuple(frames), found, tuple(whole), more=False)


def _lines(path: Path, start: int, room: int) -> tuple[list[bytes], int]:
    """Whole lines from a byte on, about `room` bytes; and where they end."""
    lines, end = list[bytes](), start
    try:
        descriptor = open_regular(path)
    except (RefusedError, FileNotFoundError):  # no file of the station's, or one that had to go
        return lines, end
    with os.fdopen(descriptor, "rb") as file:
        file.seek(start)
        while end - start < room and (line := file.readline(limits.LOG_OUTBOX_FILE + 1)).endswith(b"\n"):
            lines.append(line)
            end += len(line)
    return lines, end


def frame_of_line(line: bytes, site: str) -> bytes:
    """The message about a line of the log, with its length before it; nothing for what is no line. Of one that makes a
    message longer than limits.SYSLOG_MESSAGE the traceback is left out, or all but the first fields."""
    try:
        fields: dict[str, Any] = json.loads(line)
        at, level, process, logger = (str(fields[name]) for name in ("time", "level", "process", "logger"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
    priority = _DAEMON * 8 + _SEVERITY.get(level, 5)
    head = (
        f"<{priority}>1 {header_name(at, 40)} {header_name(site, 255)} lockgate {header_name(process, 128)} "
        f"{header_name(logger.removeprefix('appliance.'), 32)} - "
    )
    content = line.rstrip(b"\n")
    room = limits.SYSLOG_MESSAGE - len(head)
    if len(content) > room:
        kept = {name: value for name, value in fields.items() if name != "traceback"}
        content = json.dumps(kept | {"cut": len(content)}, separators=(",", ":")).encode()
    if len(content) > room:
        kept = {"time": at, "level": level, "process": process, "logger": logger[:200]}
        message = str(fields.get("message", ""))[: room // 16]
        content = json.dumps(kept | {"message": message, "cut": len(line) - 1}, separators=(",", ":")).encode()[:room]
    return framed(head, content)
