"""Python's cycle collector, held off while a great many records are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """For what makes records by the hundred thousand, none of them in a circle: looking through all of them again and
    again for circles takes a fifth of a plan's time. Where two overlap, the first to end lets it go on for both."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
