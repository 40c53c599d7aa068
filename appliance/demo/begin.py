"""Beginning the demo, for whoever shows it: its two stations stand as long as the context does."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from appliance.demo import acts
from appliance.demo.people import hint
from appliance.demo.place import INSIDE_SITE, MEDIA, OUTSIDE_SITE, new_place, remove
from bundles.errors import FailedError
from bundles.processes import start

_KEEPER: Final = "appliance.demo.keeper"
_END: Final = 30.0
"""Seconds that the keeper may take to put things in order on a busy machine."""
_LOOK: Final = 0.02


class Demo:
    """The demo's stations; a context manager. Once `ready` is back, `inside` may be logged in to; `outside`, and what
    was carried, follow within seconds."""

    def __init__(self) -> None:
        self._folder, self._lock = new_place()
        self.inside, self.outside = self._folder / INSIDE_SITE, self._folder / OUTSIDE_SITE
        self.failed = ""
        """Why what was to be done before anybody comes could not be done, "" as long as nothing is known."""
        self.seeded = threading.Event()
        """Set once everything was done, or failed."""

    def __enter__(self) -> Demo:
        """Begin; `ready` waits for it."""
        life, self._life = os.pipe()
        command = start.python_module(_KEEPER, str(self._folder), str(life), bounds=start.Bounds(outlives=True))
        try:
            self._keeper = start.start(command, env=start.environment("HOME", "TMPDIR", "XDG_RUNTIME_DIR"),
                                       stdout=start.PIPE, pass_fds=(life, self._lock))  # fmt: skip
        except BaseException:
            os.close(self._life)
            remove(self._folder)
            raise
        finally:
            os.close(life)
            os.close(self._lock)
        return self

    def ready(self) -> None:
        """Wait until people may log in inside. Raises FailedError where it does not come to that."""
        if self._heard() != acts.READY:
            raise FailedError("the demo does not start", thing=self.failed or "it said nothing", remedy="try again")
        threading.Thread(target=self._hear_out, daemon=True).start()

    def _heard(self) -> str:
        assert self._keeper.stdout is not None  # noqa: S101  it was asked for above
        said = self._keeper.stdout.readline().decode(errors="replace").strip()
        if said.startswith(acts.FAILED):
            self.failed = said.partition(": ")[2]
        return said

    def _hear_out(self) -> None:
        self._heard()
        self.seeded.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """Let go of the pipe, which the keeper hears, and wait until it has taken everything away."""
        os.close(self._life)
        end = time.monotonic() + _END
        while self._keeper.poll() is None and time.monotonic() < end:
            time.sleep(_LOOK)
        if self._keeper.poll() is None:
            self._keeper.kill()
            self._keeper.wait()
            remove(self._folder)

    @property
    def folder(self) -> Path:
        """Where everything of it lies."""
        return self._folder

    def hint(self, *, plain: bool = False) -> str:
        """Who may log in, and with what (`appliance.demo.people.hint`)."""
        return hint(self._folder / MEDIA, plain=plain)
