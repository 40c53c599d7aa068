"""Copying without a mouse: the terminal's own clipboard by OSC 52, and always a file as the other way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bundles.errors import FailedError, UsageError

if TYPE_CHECKING:
    from textual.app import App


def copy(app: App[int], text: str) -> None:
    """Hand `text` to the terminal (OSC 52). Terminals without it ignore the sequence."""
    app.copy_to_clipboard(text)


def write(path: Path, text: str) -> None:
    """Write a new text file. Raises FailedError where it exists or cannot be written. Blocking: call it in a thread."""
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text if text.endswith("\n") else text + "\n")
    except FileExistsError:
        raise UsageError("the file exists", thing=str(path), remedy="choose another name") from None
    except OSError as error:
        raise FailedError(f"the file cannot be written ({error.strerror})", thing=str(path)) from None
