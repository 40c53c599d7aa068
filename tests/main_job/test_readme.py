"""README.md's main job and the first transfer, typed as they stand: each line in its own shell, at a terminal that asks
for passphrases and passwords. Only folders and ports are this test's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.main_job.terminal import Terminal
from tests.peer_tools import require
from tests.peers.stock import Layout, run

ROOT = Path(__file__).parents[2]
MOST = 25
"""Lines that somebody types until the first pull inside, what they are asked for not counted."""


def lines_of(page: str, heading: str = "") -> list[tuple[str, str]]:
    """Whose shell, and what is typed, in a page's blocks; in the first one below a heading where one is named."""
    text = (ROOT / page).read_text()
    blocks = text.partition(heading)[2].split("```")[1:2] if heading else text.split("```")[1::2]
    return [line for block in blocks for line in re.findall(r"^([a-z]+)\$ (.+)$", block, re.MULTILINE)]


MAIN_JOB = lines_of("README.md", "## The main job")
FIRST_TRANSFER = lines_of("docs/howto/first-transfer.md")


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[dict[str, Terminal]]:
    with ExitStack() as stack:
        yield {shell: stack.enter_context(closing(Terminal(tmp_path))) for shell in sorted(dict(FIRST_TRANSFER))}


def typed_as_it_stands(lines: list[tuple[str, str]], folder: Path, terminals: dict[str, Terminal]) -> None:
    layout = Layout(folder / "layout")
    layout.tag("app", layout.image({"etc/motd": b"hello"}, "amd64"))
    run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:app", f"docker-archive:{folder}/app.tar:team/app:1")
    (folder / "srv").mkdir()
    (folder / "media" / "usb").mkdir(parents=True)
    ports = {"5000": "0", "5001": "0"}
    for shell, line in lines:
        if " pip install " in line or "/pip install " in line:  # tests/installing installs
            continue
        typed = line.replace("/srv/", f"{folder}/srv/").replace("/media/", f"{folder}/media/")
        for written, real in ports.items():
            for host in ("127.0.0.1", "localhost"):
                typed = typed.replace(f"{host}:{written}", f"{host}:{real}")
        shown = terminals[shell].type(typed)
        if served := re.search(r"serving https?://127\.0\.0\.1:(\d+)", shown):
            ports["5000" if shell == "outside" else "5001"] = served.group(1)
    assert (folder / "back.tar").stat().st_size > 0


@pytest.mark.peer
def test_the_main_job_runs_as_it_is_written(tmp_path: Path, terminals: dict[str, Terminal]) -> None:
    require("skopeo")
    typed_as_it_stands(MAIN_JOB, tmp_path, terminals)


@pytest.mark.peer
def test_the_first_transfer_between_closed_stations_runs_as_it_is_written(
    tmp_path: Path, terminals: dict[str, Terminal]
) -> None:
    require("skopeo")
    typed_as_it_stands(FIRST_TRANSFER, tmp_path, terminals)


@pytest.mark.parametrize("lines", [MAIN_JOB, FIRST_TRANSFER], ids=["main job", "first transfer"])
def test_it_is_at_most_so_many_lines(lines: list[tuple[str, str]]) -> None:
    assert 10 < len(lines) <= MOST


def test_the_first_transfer_begins_with_the_installation_and_has_no_open_station() -> None:
    assert "pip install" in FIRST_TRANSFER[0][1]
    assert not any("--open" in line for _, line in FIRST_TRANSFER)
    roles = {found[1] for _, line in FIRST_TRANSFER if (found := re.search(r"--role ([a-z-]+)", line))}
    assert roles == {"collector", "courier", "security-officer"}
