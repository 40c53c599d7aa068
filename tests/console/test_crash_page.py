"""Whatever fails in the console, no traceback is shown: a page names a report without secrets, and goes on."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.console.tmux import Terminal
from tui.shell.crash import KEPT, save

TOKEN = "3Xq9-mZ0aB7cD4eF5gH6iJ8kL1nO2pQ_rStUvWx"
WORDS = "correct horse battery"

BROKEN = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.console.doubles.__main__ import run
from tui.screens.start.home import HomeScreen
from tui.screens.jobs.list import JobsScreen
from tui.widgets.panel import Panel
from tui.terminal.workers import begin

def handler(self):
    token = "{TOKEN}"
    raise RuntimeError(f"Authorization: Bearer {{token}}")

async def failing():
    raise KeyError("{WORDS}")

def worker(self):
    begin(self, failing, "act")

def timer(self):
    self.set_timer(0.01, lambda: 1 / 0)

def painting(self):
    Panel.render = lambda self: [][1]
    self.refresh(layout=True)
    for panel in self.query(Panel):
        panel.refresh()

def task(self):
    asyncio.get_running_loop().create_task(failing())
    self.say("ok", "begun")

HomeScreen.do_refresh = handler
HomeScreen.do_copy = worker
HomeScreen.do_save = timer
JobsScreen.do_copy = painting
JobsScreen.do_save = task
sys.exit(run())
"""


def reports(folder: Path) -> list[Path]:
    return sorted((folder / "lockgate").glob("lockgate-crash-*.txt"), key=lambda path: path.stat().st_mtime_ns)


def test_a_defect_shows_a_page_that_names_a_report_without_secrets_and_goes_on(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    with Terminal(sys.executable, "-c", BROKEN, size=(100, 30), environment=environment) as terminal:
        terminal.shows("What next")
        for number, key in enumerate("rys", 1):
            terminal.press(key)
            screen = terminal.shows("Something in the console failed", "enter: go on")
            assert str(tmp_path / "lockgate") in "".join(line.strip() for line in screen.splitlines())
            assert len(reports(tmp_path)) == number
            terminal.press("Enter")
            terminal.shows("What next")
        terminal.press("5")
        terminal.shows("[5 Jobs]")
        terminal.press("y")
        terminal.shows("Something in the console failed")
        terminal.press("q")
        assert terminal.ended() == 1
        left = terminal._tmux("capture-pane", "-p", "-S", "-500")
    assert "Traceback" not in left
    for path in reports(tmp_path):
        text = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert TOKEN not in text
        assert TOKEN not in left
        assert "/tui/" in text or "<string>" in text
    told = "".join(path.read_text() for path in reports(tmp_path))
    for kind in ("RuntimeError: Authorization: (secret)", "KeyError", "ZeroDivisionError", "IndexError"):
        assert kind in told


def test_a_report_has_no_variables_and_no_secret_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def opens(passphrase: str) -> None:
        try:
            raise KeyError(passphrase)
        except KeyError as error:
            raise ValueError(f"{passphrase} with {TOKEN}\x1b[2J") from error

    try:
        opens(WORDS)
    except ValueError as error:
        crash = save(error, [WORDS], stamp="2026-05-04T14:00:00Z")
    assert crash.report is not None
    text = crash.report.read_text()
    for told in (text, crash.what):
        assert WORDS not in told
        assert TOKEN not in told
        assert "\x1b" not in told
    assert crash.what == "ValueError: (secret) with (secret)\\x1b[2J"
    assert "while handling: KeyError" in text
    assert "test_crash_page.py" in text


def test_a_report_that_cannot_be_saved_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    assert save(ValueError("x")).report is None


def test_an_error_whose_words_fail_is_reported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    crash = save(MuteError())
    assert crash.what == "MuteError"
    assert crash.report is not None


def test_only_the_newest_reports_are_kept_and_no_other_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for _ in range(KEPT + 3):
        save(ValueError("x"))
    other = tmp_path / "lockgate/crash-of-another.txt"
    other.write_text("")
    save(ValueError("x"))
    assert len(reports(tmp_path)) == KEPT
    assert other.exists()
