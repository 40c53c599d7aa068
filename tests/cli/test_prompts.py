"""What a command asks for at a terminal, and in which order; and what it reads from descriptors instead."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from bundles.signing.keys import create_private, save_private
from tests.cli.conftest import Run


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each prompt, in its order; everything is answered with one word."""
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return "correct horse battery"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    return asked


@pytest.mark.parametrize(
    "words",
    [
        ("user", "create", "karl"),
        ("user", "create", "karl", "--role", "courier"),
        ("user", "password", "karl"),
        ("intake", "approve", "alpha.bravo-000001", "--key", "officer"),
        ("intake", "reject", "alpha.bravo-000001", "--key", "officer", "--why", "no"),
        ("intake", "stream", "reset", "alpha.bravo", "--sequence", "2", "--why", "lost", "--key", "officer"),
        ("bundle", "build", "team/app:1", "--to", "delta", "--out", ".", "--sign-with", "officer"),
    ],
    ids=" ".join,
)
def test_who_calls_is_asked_for_before_any_other_secret(
    run: Run, station: Path, prompts: list[str], words: tuple[str, ...]
) -> None:
    """The station is away here: so the first prompt is the last, and a wrong password is told before a second one."""
    save_private(station / "keys/officer.pem", create_private(), b"correct horse battery")
    ended = run(*words, "--user", "eva", "-C", station)
    assert (ended.status, prompts) == (1, ["Password of eva"])


def test_a_key_that_is_neither_an_id_nor_a_file_is_said_to_be_that(run: Run, station: Path, tmp_path: Path) -> None:
    for words in (
        ("user", "create", "karl", "--key", str(tmp_path / "nofile.pem")),
        ("user", "bind-key", "karl", str(tmp_path / "nofile.pem")),
        ("user", "unbind-key", "karl", str(tmp_path / "nofile.pem")),
    ):
        ended = run(*words, "-C", station)
        assert (ended.status, "neither a file nor a key's id" in ended.err) == (2, True)
        assert str(tmp_path / "nofile.pem") in ended.err


def test_a_descriptor_that_is_shut_or_not_for_reading_is_named_with_its_option(
    run: Run, station: Path, tmp_path: Path
) -> None:
    writing = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    folder = os.open(tmp_path, os.O_RDONLY)
    commands = {
        "--code-fd": ("user", "claim", "ada"),
        "--password-fd": ("init", tmp_path / "new", "--site", "new", "--side", "inside", "--admin", "ada"),
        "--passphrase-fd": ("key", "create", "officer", "-C", station),
        "--secret-fd": ("user", "login", "robot-ci"),
    }
    try:
        for option, words in commands.items():
            for descriptor in (900, writing, folder, -1):
                where = () if "-C" in words or words[0] == "init" else ("-C", station)
                ended = run(*words, option, str(descriptor), *where)
                assert (ended.status, f"{option} {descriptor}" in ended.err) == (2, True), ended.err
    finally:
        os.close(writing)
        os.close(folder)


def test_what_is_kept_of_a_password_makes_a_guess_cost_what_it_should(run: Run, tmp_path: Path) -> None:
    """RFC 9106, section 4, second recommended option, in one lane. Other tests have hashes of a small cost."""
    reading, writing = os.pipe()
    os.write(writing, b"a password of some length\n")
    os.close(writing)
    made = run("init", tmp_path / "new", "--site", "new", "--side", "inside", "--admin", "ada", "--password-fd",
               str(reading))  # fmt: skip
    assert made.status == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "new/metadata.sqlite")) as database:
        ((hashed,),) = database.execute("SELECT password FROM accounts WHERE name = 'ada'").fetchall()
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
