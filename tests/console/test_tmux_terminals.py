"""The real program in terminals of many kinds: sizes, TERMs, colours, and a station that is slow, gone or vast."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.terminal import TimedTerminal
from tests.console.many import LARGE, large_station
from tests.console.tmux import Terminal, console
from tests.control.powered import Powered

PROGRAM = (sys.executable, "-m", "appliance.cli.main", "console")
COLOURS = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|38|48)[;m]")
BRIGHT = re.compile(r"\x1b\[(?:\d+;)*(?:9[0-7]|10[0-7]|38|48)[;m]")


DOUBLE = (sys.executable, Path(__file__).with_name("doubles") / "__main__.py")
"""The console on the double: what is looked at is what reaches the terminal."""


def double(size: tuple[int, int] = (80, 24), **environment: str) -> Terminal:
    return Terminal(*DOUBLE, size=size, environment=environment)


def rows(screen: str) -> list[str]:
    return screen.rstrip("\n").split("\n")


@pytest.mark.parametrize("size", [(80, 24), (132, 43), (300, 100)])
def test_it_fills_terminals_of_any_size(size: tuple[int, int]) -> None:
    with double(size) as terminal:
        screen = terminal.shows("What next", "Health", "q Quit", "bravo inside")
        assert "bravo inside" in rows(screen)[0]
        assert rows(screen)[0].endswith("Z")
        assert "q Quit" in rows(screen)[size[1] - 1]


def _whole(screen: str, height: int) -> bool:
    """The Intake, from its first row to its last."""
    shown = rows(screen)
    return len(shown) == height and "bravo inside" in shown[0] and "Intake  1 of" in screen and "Approve" in shown[-1]


def test_a_terminal_that_changes_its_size_all_the_time_is_painted_whole_in_the_end() -> None:
    with double() as terminal:
        terminal.shows("What next", "q Quit")
        terminal.press("4")
        terminal.shows("Intake  1 of", "a Approve")
        for width, height in ((100, 30), (40, 12), (300, 100), (60, 20), (80, 24), (200, 50)):
            terminal.resize(width, height)
            terminal.press("Down", "Up")
        terminal.until(lambda screen: _whole(screen, 50), "the last size")
        terminal.resize(80, 24)
        assert "Traceback" not in terminal.until(lambda screen: _whole(screen, 24), "80x24")
        terminal.press("q")
        assert terminal.ended() == 0


def test_a_terminal_too_small_for_it_is_survived_and_grows_again() -> None:
    with double() as terminal:
        terminal.shows("What next")
        terminal.resize(12, 4)
        terminal.press("4", "1", "2")
        terminal.resize(80, 24)
        terminal.shows("Repositories  1 of", "q Quit")


@pytest.mark.parametrize("term", ["linux", "vt220", "xterm-256color", "screen", "vt100"])
def test_it_runs_on_terminals_of_many_kinds(term: str) -> None:
    with double(TERM=term, NO_COLOR="") as terminal:
        terminal.shows("What next", "bravo inside")
        terminal.press("4")
        terminal.shows("Intake  1 of", "alpha.bravo-000007")
        terminal.press("Enter")
        screen = terminal.shows("Next: read the report")
        painted = terminal.painted()
        assert not BRIGHT.search(painted), "eight base colours, bold and reverse"
        assert bool(COLOURS.search(painted)) == (not term.startswith("vt"))
        if term.startswith("vt"):
            assert screen.isascii()
        terminal.back()
        terminal.press("q")
        assert terminal.ended() == 0


def test_no_color_means_none() -> None:
    with double(TERM="xterm-256color", NO_COLOR="1") as terminal:
        terminal.shows("What next")
        terminal.press("4")
        terminal.shows("Intake  1 of")
        assert not COLOURS.search(terminal.painted())


def test_without_unicode_it_is_all_ascii() -> None:
    with double(LANG="C", LC_ALL="C") as terminal:
        terminal.shows("What next")
        terminal.press("4")
        terminal.shows("Intake  1 of")
        terminal.press("Enter")
        assert terminal.shows("Next: read the report", "Volumes").isascii()


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_is_told_of_the_commands(term: str) -> None:
    environment = {"TERM": term, "PATH": os.environ["PATH"]}
    with TimedTerminal([*PROGRAM, "--demo"], (80, 24), environment) as terminal:
        terminal.wait("lockgate --help")
        told = terminal.written()
    assert told.startswith("lockgate: the console needs a terminal that can move its cursor")
    assert "lockgate status" in told
    assert "\x1b" not in told


@pytest.fixture(scope="module")
def bravo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station with 100,000 tags in one repository, and 10,000 repositories."""
    root = tmp_path_factory.mktemp("many") / "bravo"
    large_station(root, tags=100_000, repositories=10_000)
    return root


@pytest.fixture
def served(bravo: Path) -> Iterator[Powered]:
    with Powered(bravo) as station:
        yield station


def test_a_station_that_is_stopped_is_said_to_be_slow_and_comes_back_by_itself(served: Powered) -> None:
    with console(served.root) as terminal:
        terminal.shows("What next", "bravo inside")
        terminal.press("2")
        terminal.shows("Repositories  1 of", LARGE)
        served.stop()
        try:
            terminal.press("r")
            terminal.press("Down", "Down")
            terminal.shows("Repositories  3 of", LARGE)
            terminal.press("?")
            terminal.shows("│ Help │", "> Repositories")
            terminal.press("2")
            screen = terminal.shows("[!!] the station does not answer since", "station lost", LARGE)
            assert "Traceback" not in screen
        finally:
            served.go_on()
        terminal.until(lambda screen: "does not answer" not in screen and "station lost" not in screen, "its return")
        terminal.shows(LARGE)


def test_a_station_that_is_gone_is_said_to_be_and_is_found_when_it_is_back(bravo: Path) -> None:
    with Powered(bravo) as station, console(station.root) as terminal:
        terminal.shows("What next", "bravo inside")
        station.cut()
        terminal.shows("[!!] the station does not answer since", "station lost", "What next")
        with Powered(bravo):
            terminal.until(lambda screen: "does not answer" not in screen, "its return")
            terminal.shows("no job", "What next")


def _pressed_end(terminal: Terminal, screen: str) -> str:
    terminal.press("End")
    return screen


def test_a_hundred_thousand_tags_are_paged_and_filtered(served: Powered) -> None:
    with console(served.root) as terminal:
        terminal.shows("What next", "bravo inside")
        terminal.press("2")
        terminal.shows("Repositories  1 of 200+", LARGE)
        terminal.press("Enter")
        terminal.shows(f"Tags of {LARGE}  1 of 100,000", "build-000000")
        terminal.press("End")
        terminal.shows("build-000199")
        terminal.press("End")
        terminal.until(lambda screen: re.search(r"[4-9]00 of 100,000", _pressed_end(terminal, screen)), "more pages")
        terminal.press("/")
        terminal.type("99999")
        terminal.shows("1 of 1", "build-099999", 'holding "99999"')
        terminal.back()
        terminal.shows(f"Tags of {LARGE}  1 of 100,000")


def test_ten_thousand_repositories_are_paged_filtered_and_jumped_to(served: Powered) -> None:
    with console(served.root) as terminal:
        terminal.shows("What next", "bravo inside")
        terminal.press("2")
        terminal.shows("Repositories  1 of 200+")
        terminal.press("/")
        terminal.type("app-09999")
        terminal.shows("1 of 1", "team/app-09999")
        terminal.back()
        terminal.press("g")
        terminal.shows("Jump to")
        terminal.type("app-05000")
        terminal.shows("team/app-05000")
        terminal.press("Enter")
        terminal.until(lambda screen: re.search("> team/app-05000", screen), "the repository under the cursor")
