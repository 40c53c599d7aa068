"""Save what a screen or a flow says to a text file of the person's choice."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bundles.errors import LockgateError
from bundles.io.typed_paths import folder_here, typed_path
from tui.dialogs.path_prompt import PathPrompt
from tui.terminal import clipboard
from tui.terminal.workers import begin

if TYPE_CHECKING:
    from tui.console_port import ConsolePort


def ask_and_save(app: ConsolePort, subject: str, text: str, suffix: str = "txt") -> None:
    """Ask for a path and write `text` there, in a thread; the message row tells how it went."""
    stamp = app.now().replace(":", "").replace("-", "")
    proposal = str(folder_here() / f"lockgate-{subject.replace('_', '-')}-{stamp}.{suffix}")

    def answered(path: str | None) -> None:
        if path:
            begin(app, partial(_write, app, typed_path(path), text), "save")

    app.push_screen(
        PathPrompt("Save to which file?", "A new text file; no existing file is changed.", value=proposal), answered
    )


async def _write(app: ConsolePort, path: Path, text: str) -> None:
    try:
        await asyncio.to_thread(clipboard.write, path, text)
    except LockgateError as error:
        app.call_later(app.tell, "bad", error.diagnostics())
    else:
        app.call_later(app.tell, "ok", f"saved to {path}")
