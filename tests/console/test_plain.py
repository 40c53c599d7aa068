"""`lockgate console --plain`: the whole way of a bundle as prompts and lines on real stations, over TERM=dumb."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest

from tests.console.doubles.station import DemoStation
from tests.console.lines import STEERING, Lines
from tests.console.real_station import PASSWORD, RealStation
from tests.console.stations import WORDS, Gap
from tui.station.link import Link
from tui.station.port import StationLostError
from tui.terminal import qr
from tui.terminal.texts import wrap

WHAT = "What, ? says which words there are:"
FORM = "x starts over; empty goes back:"
BACK = "empty goes back:"
GUIDE = "i imports, q goes back:"
PAGE = "qr code; empty goes back:"


def _carry_out(gap: Gap) -> str:
    with Lines(gap.alpha.folder) as lines:
        lines.shows("Station alpha (outside)", WHAT)
        lines.does("1", "Pick artifacts: by names or patterns", GUIDE)
        lines.does("", "Artifacts: choose", FORM)
        lines.does("b", "Build: pick at least one artifact", FORM)  # the reason of the console's own action
        lines.does("1", "Artifacts,", BACK)
        lines.does("tools/**", "1 name or pattern: tools/**", FORM)
        lines.does("2", "Destination,", BACK)
        lines.does("bravo", "Destination: bravo", FORM)
        listed = lines.does("4", "a folder", BACK)
        lines.does(listed.split(" a folder")[0].rsplit(" ", 1)[-1], "bundle's own folder is made in it", BACK)
        lines.does(str(gap.medium), f"Medium: {gap.medium}", FORM)
        lines.does("6", "engineer", BACK)
        lines.does("1", "Signing key: engineer", FORM)
        lines.does("p", "1 artifact", "planned, nothing is written yet; b builds it", FORM)
        assert not list(gap.medium.iterdir())
        lines.does("b", "You sign bundle alpha.bravo-000001 for bravo.", "Passphrase of the key engineer,", BACK)
        lines.does("another one", "the passphrase does not open the key", BACK)
        lines.does(WORDS, "read back as signed: a folder of this disk", GUIDE)
        lines.does("q", WHAT)
        lines.does("O", "Log out: the station is open: nobody logs in", WHAT)
        lines.does("q")
        assert lines.ended() == 0
        assert WORDS.encode() not in lines.raw
        assert not STEERING.search(lines.raw), STEERING.search(lines.raw)
        return lines.raw.decode()


def test_a_bundle_is_carried_out_verified_brought_in_approved_and_released_in_lines(tmp_path: Path) -> None:
    content = tmp_path / "hello.bin"
    content.write_bytes(b"hello" * 400)
    with Gap(tmp_path) as gap:
        gap.alpha.run("collect", f"file:{content}", "--as", "tools/hello:2.1")
        assert _carry_out(gap).isascii()
        folder = gap.medium / "alpha.bravo-000001"
        digest = "sha256:" + hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()

        with Lines(gap.bravo.folder, environment={"LANG": "C", "TERM": "vt100"}) as lines:
            lines.shows("Station bravo (inside)", WHAT)
            listed = lines.does("5", "another folder", BACK)
            lines.does(listed.split(" another folder")[0].rsplit(" ", 1)[-1], "A bundle's folder", BACK)
            lines.does(str(folder), "verifies: every signature", digest, "next of its stream", BACK)
            lines.does("qr", "Code to which new file", "empty shows it here:")
            paper = tmp_path / "code.txt"
            lines.does(str(paper), "the code holds it whole", BACK)
            assert paper.read_text().isascii()
            lines.does("qr", "empty shows it here:")
            lines.does("", "##", "too large for one code here; the code holds its SHA-256: sha256:", BACK)
            lines.does("", WHAT)

            lines.does("2", "Insert the medium", GUIDE)
            listed = lines.does("i", "another folder", BACK)
            lines.does(listed.split(" another folder")[0].rsplit(" ", 1)[-1], "A bundle's folder", BACK)
            lines.stops()  # Ctrl-C leaves what is asked
            lines.shows("left; nothing more was done", GUIDE)
            listed = lines.does("i", "another folder", BACK)
            lines.does(listed.split(" another folder")[0].rsplit(" ", 1)[-1], "A bundle's folder", BACK)
            lines.does(str(folder), "[ok]", "import done", "Read the report, approve", GUIDE)

            lines.does("", "Bundle alpha.bravo-000001", "Next: read it", PAGE)
            lines.does("e", "Release: 0 of 1 approvals are given", PAGE)
            told = lines.does("a", "Inspection report of alpha.bravo-000001", "read it; then a signs", PAGE)
            assert "Verdict" in told
            assert "Passphrase" not in told  # nobody signs what was not shown
            lines.does("a", "You approve alpha.bravo-000001", "Passphrase of the key officer,", BACK)
            lines.stops()
            lines.shows("left; nothing more was done", PAGE)
            lines.does("a", "Passphrase of the key officer,", BACK)
            lines.does(WORDS, "approved, 1 of 1; e releases it", PAGE)
            lines.does("qr", "empty shows it here:")
            drawn = lines.does("", f"the code holds {digest}", PAGE)
            assert "##" in drawn
            lines.does("e", "Release alpha.bravo-000001? y is yes, anything else no:")
            lines.does("n", PAGE)
            lines.does("e", "anything else no:")
            lines.does("y", "released: tools/hello:2.1", PAGE)
            lines.leaves()  # the end of input
            assert lines.ended() == 0
            assert lines.raw.isascii()
            assert WORDS.encode() not in lines.raw
            assert not STEERING.search(lines.raw), STEERING.search(lines.raw)
        assert "tools/hello" in gap.bravo.run("repo", "list").stdout


def test_who_logs_in_is_logged_out_however_the_console_ends_and_what_is_not_theirs_is_refused(tmp_path: Path) -> None:
    station = RealStation(tmp_path)
    code = station.make()
    station.call("user", "claim", "ada", code=code, password=PASSWORD)
    station.start()
    try:
        station.call("user", "login", "ada", password=PASSWORD)
        station.call("user", "create", "bob", password=PASSWORD)
        station.call("role", "grant", "bob", "courier")
        with Lines(station.root) as lines:
            lines.shows("Log in. Name:")
            lines.does("bob", "Password:")
            lines.does("a wrong password", "[!!]", "Log in. Name:")
            lines.does("bob", "Password:")
            lines.does(PASSWORD, "You are bob.", WHAT)
            lines.does("4", "forbidden:", "officer", WHAT)
            lines.stops()
            lines.shows("q leaves", WHAT)
            os.kill(lines.process.pid, signal.SIGHUP)
            assert lines.ended() == 0
            assert PASSWORD.encode() not in lines.raw
        assert [event["actor"] for event in station.events("session.logout")][-1] == "bob"
        station.stop()
        with Lines(station.root) as lines:
            lines.shows("the station is not running", "Enter tries again:")
            lines.leaves()
            assert lines.ended() == 0
    finally:
        station.stop()


async def test_a_station_that_does_not_answer_is_asked_again_by_whom_the_words_say() -> None:
    async def silent(_: object) -> None:
        await asyncio.sleep(60)

    for link in (Link(DemoStation(), str, 0.01), Link(DemoStation(), str, 0.01, "6 looks")):  # type: ignore[arg-type]
        with pytest.raises(StationLostError) as lost:
            await link.ask(silent)
        assert lost.value.remedy == link.again


@pytest.mark.parametrize(
    ("text", "ascii_only"), [("sha256:" + "ab" * 32, False), ("sha256:" + "01" * 32, True), ("a", True)]
)
def test_a_code_is_drawn_as_the_modules_are(text: str, ascii_only: bool) -> None:
    wanted = qr.modules(text)
    drawn = qr.lines(text, 80, ascii_only=ascii_only)
    assert wanted is not None
    assert drawn is not None
    size = len(wanted)
    assert max(map(len, drawn)) <= 80
    if ascii_only:
        read = [[row.ljust(2 * size)[2 * x] == "#" for x in range(size)] for row in drawn]
    else:
        dark = {" ": (True, True), "▄": (True, False), "▀": (False, True), "█": (False, False)}
        read = [[dark[row[x]][half] for x in range(size)] for row in drawn for half in (0, 1)][:size]
    assert read == wanted
    assert all(not any(row) for row in (*read[:2], *read[-2:]))  # the quiet zone


def test_a_paper_too_large_for_one_code_gives_its_digest() -> None:
    paper = "a line of the paper\n" * 40
    held, drawn = qr.of_paper(paper, 80, ascii_only=False)
    assert held == "sha256:" + hashlib.sha256(paper.encode()).hexdigest()
    assert drawn == qr.lines(held, 80, ascii_only=False)
    assert qr.of_paper("short", 80, ascii_only=True)[0] == "short"
    assert qr.lines("x" * 5000, 0, ascii_only=True) is None
    with pytest.raises(ValueError, match="columns"):
        qr.of_paper(paper, 20, ascii_only=True)


def test_a_path_that_is_wider_than_the_terminal_stays_one_word() -> None:
    path = f"/media/{'x' * 100}/bundle"
    assert wrap(f"[ok] Medium: {path} is here", 40, breaks_words=False) == ["[ok] Medium:", path, "is here"]
