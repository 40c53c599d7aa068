"""The main job of README.md and the first transfer are short, and who is who in them; tests/docs types them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("lines", [MAIN_JOB, FIRST_TRANSFER], ids=["main job", "first transfer"])
def test_it_is_at_most_so_many_lines(lines: list[tuple[str, str]]) -> None:
    assert 10 < len(lines) <= MOST
    assert not any(";" in line for _, line in lines), "a line is one line"


def test_the_first_transfer_goes_from_the_installation_to_a_pull_between_closed_stations() -> None:
    assert "pip install" in FIRST_TRANSFER[0][1]
    assert "skopeo copy docker://" in FIRST_TRANSFER[-1][1]
    assert not any("--open" in line for _, line in FIRST_TRANSFER)
    roles = {found[1] for _, line in FIRST_TRANSFER if (found := re.search(r"--role ([a-z-]+)", line))}
    assert roles == {"collector", "courier", "security-officer"}
    approvers = {found[1] for _, line in FIRST_TRANSFER if (found := re.search(r" approve .* --user ([a-z]+)", line))}
    assert len(approvers) == 2
