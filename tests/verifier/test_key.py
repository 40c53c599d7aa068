"""`lockgate-verify key`: a person's own key, made and shown on a machine without a station."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bundles.signing.keys import PublicKey, create_private, load_private, save_private
from bundles.verifier import main as program

SECRET = b"correct horse"


def run(capfd: pytest.CaptureFixture[str], *words: str | Path, passphrase: bytes | None = None) -> tuple[int, str, str]:
    arguments = ["key", *map(str, words)]
    if passphrase is not None:
        reading, writing = os.pipe()
        os.write(writing, passphrase + b"\n")
        os.close(writing)
        arguments += ["--passphrase-fd", str(reading)]
    capfd.readouterr()
    status = program.main(arguments)
    out, err = capfd.readouterr()
    return status, out, err


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    save_private(tmp_path / "anna.pem", create_private(), SECRET)
    return tmp_path / "anna.pem"


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519", "ecdsa-p384+ml-dsa-87"])
def test_a_key_is_made_under_a_passphrase_and_its_public_half_beside_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], algorithm: str
) -> None:
    status, out, err = run(
        capfd, "create", tmp_path / "anna.pem", "--algorithm", algorithm, "--json", passphrase=SECRET
    )
    key = load_private(tmp_path / "anna.pem", SECRET).public
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "keyid": key.keyid, "algorithm": algorithm, "fingerprint": key.fingerprint, "words": key.words,
        "private": str(tmp_path / "anna.pem"), "file": str(tmp_path / "anna.pub.pem"),
    }  # fmt: skip
    assert PublicKey.from_pem((tmp_path / "anna.pub.pem").read_bytes()) == key
    assert (tmp_path / "anna.pem").stat().st_mode & 0o777 == 0o600


def test_the_last_line_of_create_is_the_file_to_carry(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd, "create", tmp_path / "anna.pem", passphrase=SECRET)
    assert out.splitlines()[-1] == str(tmp_path / "anna.pub.pem")
    assert load_private(tmp_path / "anna.pem", SECRET).public.words in out


@pytest.mark.parametrize("file", ["anna.pem", "anna.pub.pem"])
def test_either_half_gives_the_fingerprint_its_words_and_the_public_half(
    anna: Path, capfd: pytest.CaptureFixture[str], file: str
) -> None:
    public, given = load_private(anna, SECRET).public, SECRET if file == "anna.pem" else None
    (anna.parent / "anna.pub.pem").replace(anna.parent / "kept")
    if file == "anna.pub.pem":
        (anna.parent / "kept").replace(anna.parent / file)
    document: dict[str, Any] = json.loads(run(capfd, "fingerprint", anna.parent / file, "--json", passphrase=given)[1])
    assert (document["keyid"], document["words"]) == (public.keyid, public.words)
    assert run(capfd, "fingerprint", anna.parent / file, passphrase=given)[1].splitlines()[1:] == [
        f"fingerprint {public.fingerprint}", f"words {public.words}",
    ]  # fmt: skip
    assert run(capfd, "export", anna.parent / file, passphrase=given)[1].encode() == public.to_pem()
    assert run(capfd, "export", anna.parent / file, "--out", anna.parent / "out.pem", passphrase=given)[0] == 0
    assert (anna.parent / "out.pem").read_bytes() == public.to_pem()
    assert run(capfd, "export", anna.parent / file, "--out", anna.parent / "out.pem", passphrase=given)[0] == 2


def test_a_public_half_of_another_key_beside_it_is_not_believed(anna: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (anna.parent / "anna.pub.pem").write_bytes(create_private().public.to_pem())
    _, out, _ = run(capfd, "export", anna, passphrase=SECRET)
    assert out.encode() == load_private(anna, SECRET).public.to_pem()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["create", "anna.pem"], 2, "the key exists"),
        (["create", "anna.pub.pem"], 2, "NAME.pem"),
        (["create", "anna"], 2, "NAME.pem"),
        (["create", "nowhere/anna.pem"], 2, "no such folder"),
        (["create", "new.pem", "--algorithm", "rsa"], 2, "unknown key algorithm"),
        (["create", "new.pem", "--no-passphrase", "--passphrase-fd", "0"], 2, "contradict"),
        (["create", "new.pem"], 2, "--passphrase-fd"),
        (["fingerprint", "anna.pem"], 2, "--passphrase-fd"),
        (["fingerprint", "nowhere.pem"], 2, "no such key"),
        (["export", "note.txt"], 2, "not a public key"),
        (["rotate", "anna.pem"], 2, "--help"),
        ([], 2, "--help"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    anna: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], status: int,
    said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(anna.parent)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    (anna.parent / "note.txt").write_text("a note")
    before = sorted(anna.parent.iterdir())
    ended, out, err = run(capfd, *words)
    assert (ended, out, err.count("\n"), said in err) == (status, "", 1, True), err
    assert sorted(anna.parent.iterdir()) == before


def test_a_wrong_or_empty_passphrase_leaves_nothing(anna: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "export", anna, passphrase=b"wrong")[0] == 2
    assert run(capfd, "create", anna.parent / "new.pem", passphrase=b"")[0] == 2
    assert not (anna.parent / "new.pem").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_private_key_that_others_may_open_is_warned_of(
    anna: Path, capfd: pytest.CaptureFixture[str], mode: int
) -> None:
    anna.chmod(mode)
    status, _, err = run(capfd, "fingerprint", anna, passphrase=SECRET)
    assert (status, f"chmod 600 {anna}" in err, err.count("\n")) == (0, True, 1)
    anna.chmod(0o600)
    assert run(capfd, "fingerprint", anna, passphrase=SECRET)[2] == ""
    assert run(capfd, "fingerprint", anna.parent / "anna.pub.pem")[2] == ""


def test_the_one_file_makes_a_key_without_lockgate(verifier: Path, tmp_path: Path) -> None:
    environment = {"SHIV_ROOT": str(tmp_path / "unpacked"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", str(verifier), "key", "create", "anna.pem", "--no-passphrase"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "anna.pub.pem"), done.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [("aprove", "lockgate-verify approve"), ("keys", "lockgate-verify key"), ("verify", "DIR --trust")],
)
def test_a_first_word_that_is_like_a_command_is_no_folder(
    word: str, meant: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program.main([word, "usb"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert (line.startswith(f"lockgate-verify: no such command: {word}; "), meant in line) == (True, True)
    (tmp_path / word).mkdir()
    assert program.main([word, "--trust", "nowhere"]) == 2
    assert "no such command" not in capfd.readouterr().err


def test_a_folder_is_said_to_be_no_key(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capfd, "fingerprint", tmp_path)
    assert (status, out, "a folder, and no key" in err, str(tmp_path) in err) == (2, "", True, True)
