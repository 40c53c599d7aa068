"""A defect of the console itself: the report that is kept of it, without variables and without secrets.

The report names the error and the places in the code that led to it. Variables are never written: they hold tokens,
passphrases and other sites' texts. What the error says of itself passes `without_secrets` and `safe`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.io.display import safe
from bundles.io.secret import without_secrets
from tui.terminal.state_folder import state_folder

KEPT: Final = 20
"""Reports that are kept; the oldest goes first."""

_FRAMES: Final = 60
"""Places of a traceback that are written, from its end: a recursion has thousands of the same."""

_LENGTH: Final = 2000
"""Characters of what an error says of itself."""


@dataclass(frozen=True, slots=True)
class Crash:
    """`what` is the error in a line, fit for display; `report` the saved file, None where it could not be saved."""

    what: str
    report: Path | None


def report_of(error: BaseException, secrets: Iterable[str] = (), about: str = "") -> str:
    """The report's text: what failed and where, a line each, innermost last."""
    known = tuple(secrets)
    lines = ["lockgate console: report of a defect", *([about] if about else []), ""]
    for number, one in enumerate(_chain(error)):
        lines.append(f"{'error' if not number else 'while handling'}: {_said(one, known)}")
        frames = list(traceback.walk_tb(one.__traceback__))
        if len(frames) > _FRAMES:
            lines.append(f"  {len(frames) - _FRAMES} places left out")
        for frame, line in frames[-_FRAMES:]:
            lines.append(f"  {safe(frame.f_code.co_filename)}:{line} {safe(frame.f_code.co_qualname)}")
    lines += ["", "No variables and no secrets are in this report. It may be sent to whoever maintains Lockgate."]
    return "\n".join(lines) + "\n"


def save(error: BaseException, secrets: Iterable[str] = (), about: str = "", stamp: str = "") -> Crash:
    """Keep the report of an error in a file that its owner alone can read. Never raises."""
    try:
        known = tuple(secrets)
        what, text = _said(error, known), report_of(error, known, about)
    except Exception:  # an error whose own words fail must not hide that there is one
        what, text = type(error).__name__, f"lockgate console: {type(error).__name__}\n"
    for folder in _folders():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _thin_out(folder)
            name = f"lockgate-crash-{''.join(one for one in stamp if one.isalnum()) or 'console'}-"
            handle, path = tempfile.mkstemp(".txt", name, folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return Crash(what, Path(path))
    return Crash(what, None)


def _said(error: BaseException, secrets: tuple[str, ...]) -> str:
    return safe(without_secrets(f"{type(error).__name__}: {error}"[:_LENGTH], secrets)).rstrip(": ")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it was raised from or while handling, each once."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _folders() -> Iterator[Path]:
    """Where reports are kept: the console's state folder, else the temporary folder."""
    state = state_folder()
    if state is not None:
        yield state
    yield Path(tempfile.gettempdir())


def _thin_out(folder: Path) -> None:
    reports = sorted(folder.glob("lockgate-crash-*.txt"), key=lambda path: path.stat().st_mtime)
    for old in reports[: max(len(reports) - KEPT + 1, 0)]:
        old.unlink(missing_ok=True)
