"""`python -m tests.walks`: how many modules a build and an import enter, and how often they go back into one.

A step is a call from one module of the program into another. The first step into a module counts as a room, each
further pair of modules that calls go between as a return: how often a reader who follows the calls comes back to a
module that they have left. Only the job's own thread is followed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.intake.inside import Inside, make_station
from tests.outgoing.outside import Outside

ROOT = Path(__file__).resolve().parents[1]
_TREES = tuple(str(ROOT / package) + "/" for package in ("bundles", "appliance"))


class Walk:
    """The modules that were entered, in order, and the pairs of modules that calls went between."""

    def __init__(self) -> None:
        self.rooms: dict[str, None] = {}
        self.pairs: set[tuple[str, str]] = set()

    @property
    def returns(self) -> int:
        """The pairs that led into a module entered before."""
        return len(self.pairs) - len(self.rooms)

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """A profile function (sys.setprofile)."""
        called = frame.f_code.co_filename
        if event != "call" or not called.startswith(_TREES):
            return
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(_TREES):
            caller = caller.f_back
        before = "" if caller is None else caller.f_code.co_filename
        if before != called:
            self.rooms.setdefault(called)
            self.pairs.add((before, called))


@contextmanager
def followed() -> Iterator[Walk]:
    """Follow the calls of this thread."""
    walk = Walk()
    sys.setprofile(walk.note)
    try:
        yield walk
    finally:
        sys.setprofile(None)


def walks(folder: Path) -> Iterator[tuple[str, Walk]]:
    """The walk of a build of one file, and that of its import, in stations below `folder`."""
    source, medium = folder / "file", folder / "medium"
    source.write_bytes(b"content")
    medium.mkdir()
    with Outside(folder / "alpha") as outside:
        references = outside.collect({"kind": "file", "path": str(source), "as": "files/one:1"})
        with followed() as walk:
            outside.build(medium, *references)
        yield "build", walk
        public = outside.key.public
    make_station(folder / "bravo")
    with Inside(folder / "bravo") as inside:
        inside.trust(public)
        (bundle,) = medium.iterdir()
        with followed() as walk:
            inside.bring(bundle)
        yield "import", walk


def main(say: Callable[[str], object] = print) -> None:
    """Print a line for each walk; `-v` names the modules in the order in which they were entered."""
    with tempfile.TemporaryDirectory() as folder:
        for name, walk in walks(Path(folder)):
            say(f"{name}: {len(walk.rooms)} rooms, {walk.returns} returns")
            for room in walk.rooms if "-v" in sys.argv else ():
                say(f"  {Path(room).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
