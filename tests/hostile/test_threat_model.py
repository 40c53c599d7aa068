"""The threat model's table is true: every test that it names is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
PAGE = TESTS.parent / "docs/internals/threat-model.md"
CASES = {vector["name"] for vector in json.loads((TESTS / "vectors/vectors.json").read_text())}


def rows() -> list[tuple[str, str]]:
    """Each attack, and the cell that says what holds it off."""
    lines = PAGE.read_text().partition("## Attacks")[2].splitlines()
    cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines if line.startswith("| ")]
    return [(row[0], row[2]) for row in cells[1:]]


@pytest.mark.parametrize(("attack", "held_by"), rows(), ids=lambda value: value[:50])
def test_an_attack_names_tests_that_are_there(attack: str, held_by: str) -> None:
    paths = [TESTS / name for name in re.findall(r"\b[a-z_]+/(?:test_[a-z0-9_]+|(?=\s|$))", held_by)]
    files = [path if path.is_dir() else path.with_suffix(".py") for path in paths]
    assert files or "vectors" in held_by, attack
    for file in files:
        assert file.exists(), f"{attack}: {file}"
    code = "".join(file.read_text() for file in files if file.is_file())
    for name in re.findall(r"`([^`]+)`", held_by):
        whole = name.strip("…")
        assert whole in code or any(whole in case for case in CASES), f"{attack}: {name}"
