"""How long each grave of the graveyard has waited, by a clock that nobody sets: the kernel's uptime.

A grave's name is the time of its making by the wall clock, which may be set years ahead. So a file beside the graveyard
keeps how long each grave has waited: at each look what the uptime says has passed since the look before is added. After
a boot that is the uptime alone: how long the machine was off nobody knows but the wall clock. So a grave waits for its
time of grace at least, and longer on a machine that is often off. Where the file is lost every grave begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from appliance import clock
from bundles.errors import FailedError
from bundles.io.files import write_atomic

JUMP: Final = 300.0
"""Seconds by which the wall clock may leave the uptime between two looks before that is a jump."""

_LARGEST: Final = 4 << 20
"""Bytes of the file: graves are made once a minute at most, and wait for a week."""


def uptime() -> tuple[str, float]:
    """The kernel's id of this boot, and its seconds since then, suspended ones too (proc(5)). Raises OSError."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, float(Path("/proc/uptime").read_text().split()[0])


@dataclass(frozen=True, slots=True)
class Waited:
    """Seconds that each grave has waited. `jump`: by how many seconds the wall clock was set ahead (or back, where
    negative) since the look before; 0.0 where it was not, or nobody can say."""

    graves: dict[str, float] = field(default_factory=dict)
    jump: float = 0.0

    def has(self, grave: str, seconds: float) -> bool:
        """Whether a grave has waited for so long."""
        return self.graves.get(grave, 0.0) >= seconds


def look(kept: Path, graves: Iterable[str], made: Callable[[str], str]) -> Waited:
    """How long each of `graves` has waited; kept in the file `kept` for the next look. `made` gives the time in a
    grave's name. What cannot be read or kept begins anew: a grave then waits for longer."""
    wall = clock.seconds(clock.now())
    try:
        boot, up = uptime()
    except (OSError, ValueError, IndexError):
        return Waited()
    before = _read(kept)
    passed, jump, seen = 0.0, 0.0, 0.0
    if before is not None:
        same = before["boot"] == boot and up >= before["up"]
        passed = up - before["up"] if same else up
        gone = wall - before["wall"]
        jump = gone - passed if same and abs(gone - passed) > JUMP else 0.0
        # A grave that is new here has the age that its name gave it at the look before: no jump since counts.
        seen = min(float(wall), float(before["wall"]))
    known = before["graves"] if before is not None else {}
    waited = {
        grave: known[grave] + passed if grave in known else max(seen - clock.seconds(made(grave)), 0.0)
        for grave in graves
    }
    _keep(kept, {"boot": boot, "up": up, "wall": wall, "graves": waited})
    return Waited(waited, jump)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            held = json.loads(file.read(_LARGEST))
        return {
            "boot": str(held["boot"]), "up": float(held["up"]), "wall": int(held["wall"]),
            "graves": {str(grave): float(seconds) for grave, seconds in held["graves"].items()},
        }  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _keep(path: Path, held: dict[str, Any]) -> None:
    try:
        write_atomic(path, json.dumps(held).encode(), 0o600, owned=True)
    except (FailedError, OSError):
        return  # the graveyard is on a disk that is full: the next look counts from the one before
