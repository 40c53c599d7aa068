"""A QR code of a digest or of a paper: in half blocks or ASCII on the terminal, in ASCII to a file."""

from __future__ import annotations

import asyncio

from bundles.errors import FailedError
from bundles.io.display import safe
from tui.plain.desk import Desk, file_of
from tui.terminal import clipboard, qr


async def show_code(desk: Desk, text: str) -> None:
    """Ask where to, and draw it there."""
    typed = await desk.terminal.ask("Code to which new file, in ASCII; empty shows it here")
    if typed:
        held, drawn = _drawn(text, 0, ascii_only=True)
        file = file_of(typed)
        await asyncio.to_thread(clipboard.write, file, "\n".join(drawn) + "\n")
        desk.say("ok", f"saved to {safe(str(file))}: {_about(text, held)}")
        return
    held, drawn = _drawn(text, desk.terminal.columns, ascii_only=desk.terminal.ascii_only)
    for line in drawn:
        desk.terminal.write(f"{line}\n")
    desk.say("note", _about(text, held))


def _drawn(text: str, width: int, *, ascii_only: bool) -> tuple[str, list[str]]:
    try:
        return qr.of_paper(text, width, ascii_only=ascii_only)
    except ValueError as error:
        raise FailedError("no room for the code", thing=str(error), remedy="save it to a file") from None


def _about(text: str, held: str) -> str:
    if held == text:
        return "the code holds it whole" if "\n" in text else f"the code holds {safe(held)}"
    return f"it is too large for one code here; the code holds its SHA-256: {safe(held)}"
