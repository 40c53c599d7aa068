"""Standard output that does not take what a program printed: its disk is full, or its descriptor was closed."""

from __future__ import annotations

import os
import sys

from bundles.errors import FailedError


def undelivered() -> FailedError | None:
    """Flush standard output, and say why it could not be written, or None. What it still holds is dropped then, since
    the interpreter would try it again at its end. Raises BrokenPipeError where its reader is gone."""
    failed: OSError | None = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "failed", None)
    try:
        sys.stdout.flush()
    except OSError as error:
        failed = error
    if failed is None:
        return None
    discard()
    if isinstance(failed, BrokenPipeError):
        raise failed
    return FailedError(
        f"the output cannot be written ({failed.strerror})",
        thing="standard output",
        remedy="make room, or print to another place; what was done by then stands",
    )


def discard() -> None:
    """Let what is printed from now on, and what was not written yet, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
