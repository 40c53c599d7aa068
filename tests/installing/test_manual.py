"""lockgate(1) is made of the command line's own help: every command, option and sentence of it, in clean roff."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.main import lockgate
from bundles.verifier.main import parsers
from tests.peer_tools import require

ROOT = Path(__file__).resolve().parents[2]
COMMON = {"-C", "--user", "--json", "--help"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("man") / "lockgate.1"
    command = [sys.executable, ROOT / "packaging/manual", "--out", out]
    subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}, stdout=subprocess.PIPE)
    return out


@pytest.fixture(scope="module")
def read(page: Path) -> str:
    """The page as a person reads it, in one line."""
    return plain(page)


def plain(page: Path) -> str:
    require("man")
    environment = os.environ | {"MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(["man", "-l", "-Tutf8", page], capture_output=True, text=True, check=True, env=environment)
    shown = re.sub("\x1b\\[[0-9;]*m|.\x08", "", done.stdout)
    return " ".join(shown.replace("‐\n", "‐").split()).replace("‐ ", "").replace("‐", "-")


def commands(group: click.Group = lockgate, *path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


def squeezed(text: str) -> str:
    """Without the spaces and hyphens that filling a line puts in and takes away."""
    return re.sub(r"[\s-]+", "", text)


@pytest.mark.peer
@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_and_each_option_with_its_help_stands_in_the_page(
    name: str, command: click.Command, read: str
) -> None:
    part = squeezed(read).partition(squeezed(f"lockgate {name} lockgate {name}"))[2]
    assert part, "the command has no section"
    assert squeezed(command.help or "") in part
    for parameter in command.params:
        record = parameter.get_help_record(click.Context(command))
        if record is not None and record[1] and not set(parameter.opts) & COMMON:
            assert squeezed(" ".join(record)) in part


@pytest.mark.peer
def test_the_page_says_what_a_status_a_variable_and_a_file_mean(read: str) -> None:
    for heading in ("EXIT STATUS 0 done: it was done", "ENVIRONMENT LOCKGATE_DIR", "FILES In the station's folder:"):
        assert heading in read
    for said in ("3 refused: untrusted, tampered, replayed", "CREDENTIALS_DIRECTORY", "keys/ private keys"):
        assert said in read


@pytest.mark.peer
def test_the_verifier_has_a_page_with_each_of_its_commands_and_options(page: Path) -> None:
    said = squeezed(plain(page.with_name("lockgate-verify.1")))
    for words, parser in parsers().items():
        part = said.partition(squeezed(parser.description or ""))[2]
        assert part, words
        for action in parser._actions:
            assert squeezed(str(action.help or "")) in part, (words, action)
    for heading in ("EXIT STATUS 0 ok:", "3 refused:"):
        assert squeezed(heading) in said


@pytest.mark.peer
@pytest.mark.parametrize("name", ["lockgate.1", "lockgate-verify.1"])
def test_the_roff_is_clean(page: Path, name: str) -> None:
    page = page.with_name(name)
    require("man", "mandoc")
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, "")
    environment = os.environ | {"LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page]
    groff = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert groff.stderr == ""


def test_the_same_source_and_date_give_the_same_page(page: Path, tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "packaging/manual", "--out", tmp_path / "again.1"]
    subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}, stdout=subprocess.PIPE)
    assert (tmp_path / "again.1").read_bytes() == page.read_bytes()
    assert '"2026-01-01"' in page.read_text().splitlines()[0]
