"""Verify at the line terminal: what a bundle is worth, with nothing of it taken in."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from bundles.errors import CancelledError
from bundles.io.display import safe
from tui.decisions.verifying import sequence_here, verdict_lines
from tui.plain.bundles import choose_paths
from tui.plain.codes import show_code
from tui.plain.desk import Desk
from tui.plain.line_terminal import Stopped
from tui.terminal.texts import percent, size
from tui.wording.verification import lines_of, page_of

if TYPE_CHECKING:
    from bundles.verifier.examine import Findings


async def verify(desk: Desk) -> None:
    """Choose a bundle, read it whole, say each rule's verdict."""
    paths = await choose_paths(desk, "Verify what? It is only read, and nothing is taken in.")
    if not paths:
        return
    found = await _examine(desk, paths)
    sequence = await sequence_here(desk.link, found)
    desk.lines(verdict_lines(desk.look, found, sequence))
    for line in lines_of(found, sequence):
        desk.say(line.role, line.text) if line.role else desk.say("", f"     {line.text}")
    version = desk.status.version if desk.status else ""
    paper = page_of(found, sequence, f"the console of lockgate {version}".rstrip())
    while True:
        match await desk.terminal.ask("s saves the page to print and sign, qr shows its code; empty goes back"):
            case "":
                return
            case "s":
                await desk.tried(desk.save(paper))
            case "qr":
                await desk.tried(show_code(desk, paper))
            case typed:
                desk.say("note", f"{safe(typed)} is none of these")


async def _examine(desk: Desk, paths: tuple[str, ...]) -> Findings:
    """What is found on these media. Raises CancelledError after Ctrl-C: nothing was found out."""
    stop, last = threading.Event(), [-1]
    loop = asyncio.get_running_loop()

    def progress(phase: str, done: int, total: int) -> None:
        if stop.is_set():
            raise CancelledError("stopped", thing=paths[0], remedy="5 begins again")
        tenth = done * 10 // total if total else 0
        if total and tenth != last[0]:
            last[0] = tenth
            text = f"verifying: {percent(done, total)} {size(done)} of {size(total)}"
            loop.call_soon_threadsafe(desk.say, "busy", text)

    reading = asyncio.ensure_future(asyncio.to_thread(desk.link.station.desk.verify, paths, progress))
    try:
        found = await desk.terminal.stoppable(asyncio.shield(reading))
    except Stopped:
        stop.set()
        await asyncio.wait([reading])
        raise CancelledError("stopped: nothing was found out", thing=paths[0], remedy="5 begins again") from None
    if isinstance(found.error, CancelledError):
        raise found.error
    return found
