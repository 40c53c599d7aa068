"""The verifier stands alone: one file, one page, every rule; droppings are named and are nobody's refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bundles.decide.bundle import RULES
from bundles.verifier import main as program
from tests.bundles.small import SmallBundle
from tests.verifier.conftest import ROOT

DROPPINGS = ["._README.txt", ".DS_Store", "Thumbs.db", "desktop.ini", "volumes/._0001.7z", "volumes/.DS_Store"]


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = program.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_one_file_runs_without_lockgate_and_without_a_home(
    verifier: Path, bundle: SmallBundle, tmp_path: Path
) -> None:
    (tmp_path / "trust" / "README.txt").write_text("a note")
    environment = {"SHIV_ROOT": str(tmp_path / "unpacked"), "PATH": os.environ["PATH"]}
    # -I: no installed packages of this checkout, no working folder, no environment.
    command = [sys.executable, "-S", verifier, bundle.folder, "--trust", tmp_path / "trust", "--json"]
    done = subprocess.run([str(w) for w in command], capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "ok"
    assert (tmp_path / "unpacked").is_dir()


def test_text_names_signer_words_rules_and_volumes(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, bundle.folder, "--trust", tmp_path / "trust")
    assert (status, err) == (0, "")
    assert all(f"[ok] {rule}" in out for rule in RULES)
    assert "signed by Engineering" in out
    assert all(word.strip(",") in out for word in bundle.key.public.words.split())
    assert out.count("every byte is the signed one") == len(bundle.manifest.volumes)


def test_json_says_it_all_for_a_refused_bundle(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle.folder / "README.txt").write_bytes(b"changed")
    status, out, err = run(capsys, bundle.folder, "--trust", tmp_path / "trust", "--json")
    document = json.loads(out)
    assert (status, document["verdict"], document["error"]["error"]) == (3, "refused", "RefusedError")
    assert [one["outcome"] for one in document["rules"]] == ["ok"] * 4 + ["refused"] + ["not reached"] * 7
    assert "README.txt" in err
    assert err.count("\n") == 1


def test_the_page_fits_a_page_and_is_never_written_over(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (bundle.folder, "--trust", tmp_path / "trust", "--report", tmp_path / "report.txt")
    assert run(capsys, *words)[0] == 0
    lines = (tmp_path / "report.txt").read_text().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    for said in ("VERDICT     VERIFIES", bundle.manifest.id, "Signature", "Engineering", str(RULES[11])):
        assert any(said in line for line in lines), said
    assert run(capsys, *words)[0] == 2


def test_volumes_still_to_come_are_incomplete(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle.folder / "volumes/0002.7z").unlink()
    status, out, err = run(capsys, bundle.folder, "--trust", tmp_path / "trust")
    assert (status, "volumes/0002.7z" in err, "INCOMPLETE" in out) == (4, True, True)


@pytest.mark.parametrize("place", ["SHA256SUMS", "manifest.json", "volumes/0001.7z"])
def test_a_changed_byte_anywhere_is_refused(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    data = bytearray((bundle.folder / place).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle.folder / place).write_bytes(data)
    status, out, err = run(capsys, bundle.folder, "--trust", tmp_path / "trust")
    assert (status, "REFUSED" in out) == (3, True)
    assert Path(place).name in err or "SHA256SUMS" in err


def test_what_a_desktop_left_is_named_with_the_remedy_and_is_not_fatal(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in DROPPINGS:
        (bundle.folder / name).write_bytes(b"\0\5\x16\7")
    (bundle.folder / "System Volume Information").mkdir()
    (bundle.folder / ".Trashes").symlink_to("/dev/zero")
    status, out, _ = run(capsys, bundle.folder, "--trust", tmp_path / "trust")
    assert status == 0
    for name in [*DROPPINGS, "System Volume Information", ".Trashes"]:
        assert f"{bundle.folder / name}; a desktop left it: harmless, delete it" in out


def test_a_dropping_never_takes_a_files_place(
    bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (".DS_Store2", "thumbs.db.exe", "x._y", "desktop.ini.7z"):
        (bundle.folder / name).write_bytes(b"x")
        status, _, err = run(capsys, bundle.folder, "--trust", tmp_path / "trust")
        assert (status, "does not belong" in err, name in err) == (3, True, True)
        (bundle.folder / name).unlink()


def test_endless_droppings_are_refused(bundle: SmallBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(300):
        (bundle.folder / f"._{number}").touch()
    assert run(capsys, bundle.folder, "--trust", tmp_path / "trust")[0] == 3


def test_a_medium_that_is_mounted_read_only_is_read(bundle: SmallBundle, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    script = (
        f"mount --bind {bundle.out[0]} {bundle.out[0]} && mount -o remount,bind,ro {bundle.out[0]} &&"
        f" ! touch {bundle.out[0]}/x 2>/dev/null &&"
        f" exec {sys.executable} -c 'from bundles.verifier.main import run; run()'"
        f" {bundle.out[0]} --trust {tmp_path}/trust"
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, cwd=ROOT, check=False)
    if done.returncode and b"unshare" in done.stderr:
        pytest.skip("this machine makes no mount namespaces")
    assert done.returncode == 0, done.stderr


def test_usage_is_said_in_one_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    status, _, err = run(capsys, tmp_path, "--trust", tmp_path / "none")
    assert (status, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("words", [[], ["--nonsense"], ["approve"], ["approve", "nowhere", "--hours", "soon"]])
def test_a_wrong_word_is_one_line_with_the_remedy(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lockgate-verify: ")
    assert "--help" in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["", "--trust", "t"], "lockgate-verify ''"),
        (["d", "--trust", ""], "--trust ''"),
        (["d", "--trust="], "--trust ''"),
        (["d", "--trust", "t", "--report", ""], "--report ''"),
        (["key", "create", ""], "create ''"),
        (["approve", "d", "--trust", "t", "--report", "", "--key", "k", "--out", "o"], "--report ''"),
    ],
)
def test_an_empty_word_is_no_path(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert f"an argument is empty: {named};" in err


def test_its_version_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == program.VERSION
