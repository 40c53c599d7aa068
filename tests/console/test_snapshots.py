"""Pictures of the screens: at 80x24 and 120x40, in colour and without; some at 200x60. `pytest --snapshot-update` takes
them anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.console.doubles.pictures import SCENES, Scene, Stage
from tui.terminal.look import Look

COLOUR, MONOCHROME, ASCII = Look(), Look(colour=False), Look(colour=False, ascii=True)
SMALL, LARGE, WIDE = (80, 24), (120, 40), (200, 60)

WANTED = [(scene, SMALL, MONOCHROME) for scene in SCENES]
WANTED += [(scene, LARGE, COLOUR) for scene in SCENES if scene.name not in ("filter", "approve", "home-outside")]
WANTED += [
    (scene, size, look)
    for scene in SCENES
    for size, look in ((SMALL, COLOUR), (LARGE, MONOCHROME), (SMALL, ASCII))
    if scene.name in ("home", "plan", "bundle", "refused")
]
WANTED += [
    (scene, WIDE, MONOCHROME)
    for scene in SCENES
    if scene.name in ("home", "repositories", "artifact", "new-bundle", "bundle", "report", "jobs", "trust")
]


def named(value: object) -> str:
    match value:
        case Scene(name=name):
            return name
        case Look(colour=colour, ascii=plain):
            return "ascii" if plain else "colour" if colour else "monochrome"
        case (width, height):
            return f"{width}x{height}"
    return str(value)


@pytest.mark.parametrize(("scene", "size", "look"), WANTED, ids=named)
def test_a_screen_looks_as_it_did(
    snap_compare: Callable[..., bool], scene: Scene, size: tuple[int, int], look: Look
) -> None:
    stage = Stage(look)

    async def play(pilot: Pilot[Any]) -> None:
        await stage.play(pilot, scene)

    assert snap_compare(stage.app, terminal_size=size, run_before=play)
