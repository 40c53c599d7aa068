"""Each role's way, and the next commands after `init`: what is printed can be typed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
import pytest

from appliance.api.states import ROLES
from appliance.cli.main import lockgate
from appliance.cli.station.guides import GUIDES, NAMES, guide_of
from appliance.half_closed import has_administrator
from appliance.paths import StationPaths
from bundles.verifier.main import COMMANDS
from tests.cli.conftest import Ended, Run

ROOT = Path(__file__).parents[2]
STEPS = [step.command for guide in GUIDES for step in guide.steps]
PASSWORD = "correct horse battery"


def parsed(line: str) -> None:
    """A line's command, options and arguments exist. Raises what click says of it."""
    program, *words = shlex.split(line)
    if program == "lockgate-verify":
        assert words[0] in COMMANDS
        return
    if program != "lockgate":
        return
    command: click.Command = lockgate
    context = click.Context(lockgate)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, line
        command, words = found, words[1:]
    command.make_context("lockgate", list(words))


@pytest.mark.parametrize("line", STEPS)
def test_each_step_of_a_guide_is_a_command_that_can_be_typed(line: str) -> None:
    parsed(line)


def test_every_role_has_a_guide_and_every_guide_a_page() -> None:
    assert set(ROLES) <= set(NAMES)
    for guide in GUIDES:
        assert (ROOT / guide.how_to).is_file()
        assert len(guide.steps) >= 3
        assert guide.role == guide_of(guide.role).role


def test_without_a_role_every_one_of_the_stations_side_is_printed(run: Run, station: Path) -> None:
    every = {guide["role"] for guide in run("guide", "--json").document["guides"]}
    here = {guide["role"] for guide in run("guide", "--json", "-C", station).document["guides"]}
    assert every == {guide.role for guide in GUIDES}
    assert every - here == {"collector", "co-signer"}
    printed = run("guide", "officer").out
    assert all(step.command in printed for step in guide_of("security-officer").steps)
    assert run("guide", "king").status == 2


def init(run: Run, folder: Path, *words: str, password: str | None = None) -> Ended:
    given = list(words)
    if password is not None:
        reading, writing = os.pipe()
        os.write(writing, password.encode() + b"\n")
        os.close(writing)
        given += ["--password-fd", str(reading)]
    return run("init", folder, "--site", "delta", *given)


@pytest.mark.parametrize("side", ["outside", "inside"])
@pytest.mark.parametrize("how", ["open", "code", "admin"])
def test_init_ends_with_the_next_three_commands_of_this_station(run: Run, tmp_path: Path, side: str, how: str) -> None:
    words = {"open": ["--open"], "code": [], "admin": ["--admin", "ada"]}[how]
    root = tmp_path / "a station"
    made = init(run, root, "--side", side, *words, password=PASSWORD if how == "admin" else None)
    last = [line.strip() for line in made.out.splitlines()[-3:]]
    assert made.out.splitlines()[-4] == "next:"
    assert [line for line in last if f"-C '{root}'" in line] == last
    assert any(line.startswith("lockgate serve ") for line in last)
    for line in last:
        parsed(line)
    assert has_administrator(StationPaths(root)) is (how == "admin")
    assert ("one-time code" in made.out) is (how == "code")


@pytest.mark.parametrize(
    ("words", "password", "said"),
    [
        (["--admin", "ada"], "short", "12 to"),
        (["--admin", "Ada!"], PASSWORD, "not a name"),
        (["--admin", "ada", "--open"], PASSWORD, "no accounts"),
        ([], PASSWORD, "--admin"),
    ],
)
def test_a_first_administrator_that_cannot_be_leaves_no_station(
    run: Run, tmp_path: Path, words: list[str], password: str, said: str
) -> None:
    ended = init(run, tmp_path / "delta", "--side", "inside", *words, password=password)
    assert (ended.status, said in ended.err, (tmp_path / "delta").exists()) == (2, True, False), ended.err


def test_a_log_in_for_one_command_needs_a_terminal_or_is_made_before(run: Run, station: Path) -> None:
    for words in (("status",), ("intake", "list"), ("user", "create", "carl", "--password-fd", "0")):
        ended = run(*words, "--user", "ada", "-C", station)
        assert ended.status in (1, 2), ended.err
    assert run("key", "list", "--user", "ada", "-C", station).status == 2, "it asks no station"
