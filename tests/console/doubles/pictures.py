"""Pictures of every screen, made from the demo: `python -m tests.console.doubles.pictures docs/screens`.

The scenes are also what the snapshot tests look at: the demo's clock stands still, so that a picture changes only when
the console does.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.doubles.data import PASSPHRASE
from tests.console.doubles.keyring import DemoKeyring
from tests.console.doubles.station import demo_pair
from tui.actions.further_screens import LISTED, MORE, Further
from tui.screens.jobs.job import JobScreen
from tui.shell.console import LockgateConsole
from tui.station.port import Station, StationLostError
from tui.terminal.look import Look

_SIZE: Final = (80, 24)
_PATIENCE: Final = 30.0
_STEADY: Final = {"watch", "follow"}
"""Workers that go on as long as a screen is shown."""


@dataclass(frozen=True)
class Scene:
    """A picture's name and the keys that lead to it. `+30` lets thirty seconds of the demo pass, `lost` unplugs the
    station, `passphrase` types the demo's."""

    name: str
    keys: tuple[str, ...] = ()


_FORM: Final = ("w", "2", "enter", "space", "space", "3", "down", "enter", "enter", "down", "down", "enter", "space",
                "enter", "down", "down", "enter", "enter")  # fmt: skip


def _keys_to(further: Further) -> tuple[str, ...]:
    """The keys from the first screen to a further one: by its place in More, or as its entry says."""
    place = LISTED.index(further) if further in LISTED else 0
    return ("9", *("down",) * place, *(("enter",) if further in LISTED else ()), *further.keys)


SCENES: Final = (
    Scene("home"),
    Scene("home-outside", ("w",)),
    Scene("repositories", ("2",)),
    Scene("tags", ("2", "end", "up", "up", "enter", "space", "space")),
    Scene("filter", ("2", "slash", *"post")),
    Scene("artifact", ("2", "enter", "down", "enter", "down", "enter")),
    Scene("components", ("2", "enter", "down", "enter", "b")),
    Scene("manifest", ("2", "enter", "down", "enter", "m")),
    Scene("new-bundle", ("3",)),
    Scene("plan", (*_FORM, "p")),
    Scene("build", (*_FORM, "p", "b", "+1")),
    Scene("sign", (*_FORM, "p", "b", "+30")),
    Scene("writing", (*_FORM, "p", "b", "+30", "passphrase", "enter", "+1")),
    Scene("built", (*_FORM, "p", "b", "+30", "passphrase", "enter", "+60")),
    Scene("intake", ("4",)),
    Scene("choose-bundle", ("4", "i")),
    Scene("import", ("4", "i", "enter", "+6")),
    Scene("refused", ("4", "i", "down", "enter", "+30")),
    Scene("bundle", ("4", "enter")),
    Scene("approve", ("4", "enter", "a", "a", "enter", *"lock")),
    Scene("approved", ("4", "down", "down", "enter")),
    Scene("jobs", ("5",)),
    Scene("job", ("5", "enter")),
    Scene("trust", ("6",)),
    Scene("ledger", ("7",)),
    Scene("guides", ("8",)),
    Scene("guide-carry-out", ("w", "8", "enter")),
    Scene("guide-bring-in", ("5", "c", "y", "8", "down", "enter")),
    Scene("guide-recover", ("8", "down", "down", "enter")),
    Scene("guide-set-up", ("8", "end", "enter")),
    Scene("help", ("question_mark",)),
    Scene("palette", ("4", "colon", *"rele")),
    Scene("jump", ("g", *"postgres")),
    Scene("lost", ("4", "lost")),
    Scene("locked", ("4", "L")),
    Scene("log-in", ("O",)),
    *(Scene(further.name, _keys_to(further)) for further in MORE),
)
ONLY_IN_DOCS: Final = (Scene("more", ("9",)),)
"""Pictures that change with every further screen; tests say in words what they show."""


class Stage:
    """A console on the demo's two stations with a clock that only the scene moves."""

    def __init__(self, look: Look | None = None) -> None:
        self.seconds = 1000.0
        inside, outside = demo_pair(lambda: self.seconds)
        self.app = LockgateConsole(
            inside,
            DemoKeyring(),
            now=inside.now,
            look=look or Look(),
            other=(outside, DemoKeyring()),
            seconds=lambda: self.seconds,
        )

    async def play(self, pilot: Pilot[Any], scene: Scene) -> None:
        """Press the scene's keys."""
        await rest(pilot)
        for key in scene.keys:
            if key.startswith("+"):
                self.seconds += float(key)
                await self._catch_up(pilot)
            elif key == "lost":
                await self._unplug()
            elif key == "passphrase":
                await pilot.press(*("minus" if letter == "-" else letter for letter in PASSPHRASE))
            else:
                await pilot.press(key)
            await rest(pilot)
        await self.app.look_at_station()
        self.app.tick()
        await rest(pilot)

    async def _catch_up(self, pilot: Pilot[Any]) -> None:
        """Wait until the job that is shown has heard everything that its station says."""
        await self.app.look_at_station()
        shown = self.app.shown
        if isinstance(shown, JobScreen):
            station = self.app.link.station
            async with asyncio.timeout(_PATIENCE):
                while shown.job != await station.job(shown.job_id) or shown.lines != await _lines(
                    station, shown.job_id
                ):
                    await asyncio.sleep(0.02)
                    await rest(pilot)

    async def _unplug(self) -> None:
        async def gone(**_: object) -> Any:
            raise StationLostError("the station is not running")

        for name in ("status", "intake", "jobs"):
            setattr(self.app.link.station, name, gone)
        await self.app.look_at_station()


async def _lines(station: Station, job_id: str) -> int:
    return len((await station.job_log(job_id)).text.splitlines())


async def rest(pilot: Pilot[Any]) -> None:
    """Wait until nothing is asked of the station any more. Raises TimeoutError where that does not come."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            await pilot.pause()
            busy = {worker.group for worker in pilot.app.workers if not worker.is_finished}
            if busy <= _STEADY and getattr(pilot.app, "status", None) is not None and not unheard(pilot.app):
                await pilot.pause()
                return
            await asyncio.sleep(0.005)


def unheard(app: Any) -> bool:
    """Whether something is still to come without being asked for: typed text that waits for a pause, or the first word
    of a job that is shown (whatever it does next would be the first that is seen)."""
    if getattr(app.screen, "waits", False):
        return True
    typed = [field.value for field in app.shown.query("#filter").results(Input)] if app.shown is not None else []
    if typed and typed != [app.shown.filter_text]:
        return True
    return isinstance(app.shown, JobScreen) and app.shown.job is None and not app.link.lost


async def paint(scene: Scene, size: tuple[int, int] = _SIZE, look: Look | None = None) -> str:
    """The scene as SVG."""
    stage = Stage(look)
    async with stage.app.run_test(size=size) as pilot:
        await stage.play(pilot, scene)
        return stage.app.export_screenshot(title=f"Lockgate: {scene.name.replace('-', ' ')}")


def main() -> int:
    """Write every scene, or those named, to the folder named; the exit status."""
    if len(sys.argv) < 2:
        sys.stderr.write("usage: python -m tests.console.doubles.pictures FOLDER [SCENE ...]\n")
        return 2
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    for scene in (*SCENES, *ONLY_IN_DOCS):
        if wanted and scene.name not in wanted:
            continue
        (folder / f"{scene.name}.svg").write_text(asyncio.run(paint(scene)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
