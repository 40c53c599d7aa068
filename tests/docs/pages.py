"""Running a page: stations in a folder, a terminal a shell, every block in its order."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

from tests.docs.blocks import Block, Typed, printed_as
from tests.docs.howtos import ENVIRONMENT, PAIR, Setup
from tests.docs.terminal import Terminal
from tests.peers.stock import Layout

FOLDERS = ("/srv/", "/media/", "/mnt/", "/var/lib/lockgate")
_FOLDERS = re.compile(rf"(?<![\w./])({'|'.join(re.escape(name) for name in FOLDERS)})")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Page:
    """The shells of a page, in a folder."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self.folder, self.setup = folder, setup
        self.ran: list[int] = []
        self._ports = {written: str(free_port()) for written in ("5000", "5001")}
        self._codes: list[str] = []
        self._begun: set[str] = set()
        self._terminals: dict[str, Terminal] = {}

    def here(self, text: str) -> str:
        """The text with folders and ports of this test."""
        for name, stands_for in self.setup.stands_for.items():
            text = re.sub(rf"(?<!\w){name}(?!\w)", lambda _, what=stands_for: what, text)
        text = _FOLDERS.sub(lambda match: f"{self.folder}{match[1]}", text)
        text = re.sub(r"lockgate serve(?! --listen)", "lockgate serve --listen 127.0.0.1:5001", text)
        return re.sub(r"(127\.0\.0\.1|localhost):(500[01])", lambda match: f"{match[1]}:{self._ports[match[2]]}", text)

    def _terminal(self, shell: str) -> Terminal:
        if shell not in self._terminals:
            known = ENVIRONMENT.get(shell, ENVIRONMENT["inside"])
            environment = {name: self.here(value) for name, value in known.items()}
            if shell not in (*ENVIRONMENT, "page"):
                environment["HOME"] = str(self.folder / "home" / shell)
                Path(environment["HOME"]).mkdir(parents=True)
            self._terminals[shell] = Terminal(self.folder, environment, self._codes)
        return self._terminals[shell]

    def type(self, typed: Typed) -> str:
        """Type a command and compare what it printed with what the page promises. Returns what was printed."""
        for begins, text in self.setup.between.items():
            if typed.text.startswith(begins) and begins not in self._begun:
                self._begun.add(begins)
                for each in before(text):
                    self.type(each)
        text = self.here(typed.text)
        shown = self._terminal(typed.shell or self.setup.shell).type(text, typed.status, self.setup.answers)
        for promise in typed.printed:
            assert printed_as(self.here(promise)).search(shown), f"not printed: {promise}\n{text}\n{shown}"
        for begins, pattern in self.setup.promises.items():
            if typed.text.startswith(begins):
                assert re.search(pattern, shown), f"not printed: {pattern}\n{text}\n{shown}"
        return shown

    def run(self, block: Block) -> None:
        """Every command of a block, or the file that it is the text of."""
        if block.file:
            (self.folder / block.file).write_text(self.here(block.text) + "\n")
        elif block.language == "sh":
            script = self.folder / f"block-{block.line}.sh"
            script.write_text(self.here(block.text) + "\n")
            self.type(Typed("", block.line, f"( set -eu; . {script} )"))
        else:
            for typed in block.commands():
                self.type(typed)
        self.ran.append(block.line)

    def close(self) -> None:
        for terminal in self._terminals.values():
            terminal.close()


def before(text: str) -> list[Typed]:
    """The lines of a setup."""
    return Block("setup", 1, "", text.strip(), "", "").commands() if text.strip() else []


def make_folders(folder: Path) -> None:
    """Empty media, and an image in a layout."""
    for name in ("srv", "media/usb", "media/usb1", "media/usb2", "media/usb3", "media/back", "mnt/copies"):
        (folder / name).mkdir(parents=True)
    layout = Layout(folder / "srv/layout")
    layout.tag("app", layout.image({"etc/motd": b"hello"}, "amd64"))


def make_pair(folder: Path) -> Path:
    """The two stations of `PAIR`, stopped."""
    make_folders(folder)
    page = Page(folder, Setup())
    try:
        for typed in before(PAIR):
            page.type(typed)
    finally:
        page.close()
    return folder


def copy_pair(pair: Path, folder: Path) -> None:
    """The stations in another folder, without the sockets and locks of those that ran."""
    for entry in pair.iterdir():
        if entry.is_dir():
            shutil.copytree(
                entry, folder / entry.name, ignore=lambda where, names: names if where.endswith("/run") else []
            )
        else:
            shutil.copy(entry, folder / entry.name)
