"""docs/reference/console.md has every command, and names the console's way to it and the roles as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.permissions import GIVES, ROLES
from tests.cli.test_contract import COMMANDS
from tui.actions.action import May
from tui.actions.registry import ACTIONS, TITLES

PAGE = Path(__file__).parents[2] / "docs/reference/console.md"
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines()
        if line.startswith("| `")]  # fmt: skip


def test_every_command_is_on_the_page_once() -> None:
    assert [command.strip("`") for command, *_ in ROWS] == sorted(COMMANDS)


@pytest.mark.parametrize(("command", "way", "roles"), ROWS, ids=lambda cell: str(cell)[:30])
def test_the_way_exists_and_the_roles_are_those_that_may(command: str, way: str, roles: str) -> None:
    if way.startswith("no: "):
        assert roles == ""
        return
    title, _, label = way.partition(": ")
    screens = {name for name, shown in TITLES.items() if shown == title}
    found = [one for one in ACTIONS if one.label == label and (not one.screens or screens & set(one.screens))]
    assert screens, f"{command}: no screen is called {title}"
    assert found, f"{command}: {title} has no action {label}"
    allowed = found[0].allowed
    wanted = [role for role in ROLES if allowed.act in GIVES[role]] if isinstance(allowed, May) else []
    assert roles == (", ".join(wanted) or "whoever may see it")
