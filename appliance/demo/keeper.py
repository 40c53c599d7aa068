"""The demo's own process: it makes the two stations, keeps them running, and takes everything away once the console is
gone, however that ended: `python -m appliance.demo.keeper FOLDER FD`.

FD is the reading end of a pipe that the console holds open. What the console waits for comes on standard output, a
line each: `ready` once people may log in, `seeded` once everything is done, or `failed: …`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from appliance.demo import acts
from appliance.demo.people import ADMINISTRATOR, INSIDE, OUTSIDE, PASSWORD
from appliance.demo.place import INSIDE_SITE, MEDIA, OUTSIDE_SITE, remove
from bundles.errors import FailedError, LockgateError
from bundles.io.display import safe
from bundles.processes import start

_CLI: Final = "appliance.cli.main"
_PASSED: Final = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")
_START_UP: Final = 60.0
"""Seconds that a station may take on a busy machine."""


async def make(folder: Path, site: str, side: str) -> Path:
    """`lockgate init`, with the first administrator. Returns the station's folder. Raises FailedError."""
    root = folder / site
    reading, writing = os.pipe()
    os.write(writing, PASSWORD.encode() + b"\n")
    os.close(writing)
    command = start.python_module(_CLI, "init", str(root), "--site", site, "--side", side, "--admin", ADMINISTRATOR,
                                  "--password-fd", str(reading))  # fmt: skip
    try:
        ended = await asyncio.to_thread(start.run, command, env=start.environment(*_PASSED), pass_fds=(reading,))
    finally:
        os.close(reading)
    if ended is None or ended.returncode:
        said = ended.stderr.decode(errors="replace") if ended is not None else ""
        raise FailedError("a station of the demo cannot be made", thing=str(root), remedy=said.strip() or "try again")
    return root


class Stations:
    """Stations that run; `stop` ends them at once: nothing of theirs is kept."""

    def __init__(self) -> None:
        self._children: list[start.Child] = []

    async def serve(self, root: Path) -> None:
        """`lockgate serve` on a free port of loopback, until its sockets answer. Raises FailedError."""
        command = start.python_module(_CLI, "serve", "-C", str(root), "--listen", "127.0.0.1:0")
        with (root.parent / f"{root.name}.log").open("wb") as log:
            child = start.start(command, env=start.environment(*_PASSED), stdout=start.PIPE, stderr=log)
        self._children.append(child)
        assert child.stdout is not None  # noqa: S101  it was asked for above
        try:
            said = await asyncio.wait_for(asyncio.to_thread(child.stdout.readline), _START_UP)
        except TimeoutError:
            said = b""
        if b"serving" not in said:
            why = (root.parent / f"{root.name}.log").read_text(errors="replace").strip().rpartition("\n")[2]
            raise FailedError("a station of the demo does not start", thing=root.name, remedy=why or "try again")

    def stop(self) -> None:
        for child in self._children:
            child.kill()  # its own children die with it
        for child in self._children:
            child.wait()


async def seed(folder: Path, stations: Stations) -> None:
    """Everything that is done before anybody comes. Raises LockgateError."""
    keys = acts.make_keys()
    inside = await make(folder, INSIDE_SITE, "inside")
    acts.hand_out(inside, INSIDE, keys, OUTSIDE_SITE)
    await stations.serve(inside)
    await acts.make_people(inside, INSIDE, keys)
    _say(acts.READY)
    outside = await make(folder, OUTSIDE_SITE, "outside")
    acts.hand_out(outside, OUTSIDE, keys, OUTSIDE_SITE)
    acts.pin_receipts(outside, inside)
    await stations.serve(outside)
    await acts.make_people(outside, OUTSIDE, keys)
    media = folder / MEDIA
    media.mkdir()
    bundles = await acts.send(outside, media, keys["jana"])
    await acts.bring_in(inside, bundles, keys)
    await acts.send_receipt(inside, media)
    _say(acts.SEEDED)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the console is gone, and the pipe's end says so
        os.write(1, f"{line}\n".encode())


async def keep(folder: Path, life: int) -> None:
    """Seed, and stay until the other end of `life` is closed."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(life, gone.set)
    stations = Stations()
    seeding = asyncio.ensure_future(_told(seed(folder, stations)))
    try:
        await gone.wait()
    finally:
        loop.remove_reader(life)
        seeding.cancel()
        stations.stop()
        await asyncio.gather(seeding, return_exceptions=True)
        stations.stop()


async def _told(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (LockgateError, OSError) as error:
        said = error.diagnostics() if isinstance(error, LockgateError) else str(error)
        _say(f"{acts.FAILED}: {safe(said)}")


def main() -> int:
    """Run as the module says; the exit status."""
    folder, life = Path(sys.argv[1]), int(sys.argv[2])
    try:
        asyncio.run(keep(folder, life))
    finally:
        remove(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
