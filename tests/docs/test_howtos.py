"""README.md and every how-to are true: each block of commands is run as it stands, in order, on stations of its own,
and ends and prints as the page promises. A block is left out only where the page itself says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.howtos import ELSEWHERE, SETUPS, Setup
from tests.docs.pages import Page, before, copy_pair, make_folders, make_pair
from tests.peer_tools import require

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/howto").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def to_run(name: str) -> list[Block]:
    """The blocks of a page that are commands or files, and not marked."""
    return [block for block in blocks(ROOT / name) if not block.reason and (block.is_commands or block.file)]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.mark.peer
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE and to_run(name)])
def test_every_block_runs_as_it_is_written(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    setup = SETUPS.get(name, Setup())
    require(*setup.needs)
    if setup.fresh:
        make_folders(tmp_path)
    else:
        copy_pair(request.getfixturevalue("pair"), tmp_path)
    page = Page(tmp_path, setup)
    try:
        for typed in before(setup.before):
            page.type(typed)
        wanted = to_run(name)
        for block in wanted:
            page.run(block)
        assert page.ran == [block.line for block in wanted]
    finally:
        page.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_run_or_says_why_not(name: str) -> None:
    """A page with blocks is in the test above or in another one's hands; nothing is passed over in silence."""
    for block in blocks(ROOT / name):
        if block.reason:
            assert block.is_commands, f"{name}:{block.line}: no command, and marked as one"
            assert len(block.reason.split()) > 2, f"{name}:{block.line}: no reason"
        elif block.is_commands:
            assert block.commands(), f"{name}:{block.line}: no command"
    if name in ELSEWHERE:
        test = (ROOT / ELSEWHERE[name]).read_text()
        assert Path(name).name in test
        for block in to_run(name):
            assert block.language == "sh", f"{name}:{block.line}: {ELSEWHERE[name]} runs blocks of sh"
            assert f'"{block.name}"' in test or "in BLOCKS" in test or "= BLOCKS" in test, f"{name}:{block.line}"


def test_every_setup_is_of_a_page_and_each_of_its_hooks_of_a_command_there() -> None:
    assert set(SETUPS) | set(ELSEWHERE) <= set(NAMES)
    for name, setup in SETUPS.items():
        typed = [command.text for block in to_run(name) for command in block.commands()]
        for begins in (*setup.between, *setup.promises):
            assert any(text.startswith(begins) for text in typed), f"{name}: nothing begins with {begins}"
