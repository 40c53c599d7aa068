"""What is copied reaches the terminal's own clipboard (OSC 52), and a file where the terminal has none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.console.tmux import Terminal

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def test_a_digest_is_copied_to_the_terminals_clipboard_and_saved_to_a_file(tmp_path: Path) -> None:
    program = (sys.executable, Path(__file__).with_name("doubles") / "__main__.py")
    with Terminal(*program, folder=tmp_path) as terminal:
        terminal.shows("What next")
        terminal.press("4")
        terminal.shows("Intake  1 of")
        terminal.press("Enter")
        digest = DIGEST.search(terminal.shows("Next: read the report", "digest sha256:"))
        assert digest is not None
        terminal.press("y")
        terminal.shows("[ok] copied")
        terminal.until(lambda _: terminal.clipboard() == digest[0], "the digest in the clipboard")
        terminal.press("s")
        terminal.shows("enter: go on")
        terminal.press("Enter")
        terminal.shows("[ok] saved to")
        terminal.press("q")
        assert terminal.ended() == 0
    (saved,) = tmp_path.iterdir()
    assert digest[0] in saved.read_text()
