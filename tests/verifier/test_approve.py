"""An officer decides on a machine of their own: everything is verified first, and what is signed is the station's own
document, as good as one from the console."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.store.reads.intake import find_entry, report_text
from bundles.errors import RefusedError
from bundles.io.strict_json import canonical
from bundles.signing.keys import PrivateKey, create_private, save_private
from bundles.signing.pinning import revoke_key
from bundles.signing.trust_copy import export_trust
from bundles.verifier import main as program
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle

NAME = name_of()


class Desk:
    """An officer's machine: a folder with the medium's copy, the trust folder, the report, and the key."""

    def __init__(self, folder: Path, station: Inside, made: SmallBundle, owner: str = "Anna Berg") -> None:
        self.folder, self.station, self.bundle = folder, station, made
        folder.mkdir()
        self.key: PrivateKey = station.officer(owner)
        save_private(folder / "anna.pem", self.key, None)
        entry = find_entry(station.station.reader, NAME)
        (folder / "report.json").write_text(report_text(station.station.reader, entry.digest) or "")
        export_trust(station.station.paths.trust, folder / "trust", "2026-01-01T00:00:00Z")

    def words(self, *more: str | Path, yes: bool = True) -> list[str]:
        options: dict[str, str | Path] = {
            "trust": "trust",
            "report": "report.json",
            "key": "anna.pem",
            "out": "out.json",
        }
        words: list[str | Path] = ["approve", self.bundle.folder, *(["--yes"] if yes else [])]
        for name, file in options.items():
            words += [f"--{name}", self.folder / file]
        return [str(word) for word in [*words, *more]]

    def run(self, *more: str | Path) -> int:
        return program.main(self.words(*more))

    @property
    def signature(self) -> Path:
        return self.folder / f"out.json.{self.key.public.keyid}.sig"

    def hand_in(self) -> str:
        payload, signature = (self.folder / "out.json").read_bytes(), self.signature.read_bytes()
        return self.station.hand_in(NAME, self.key.public.keyid, payload, signature)

    def nothing_was_signed(self) -> bool:
        return not (self.folder / "out.json").exists() and not self.signature.exists()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Inside(tmp_path / "bravo", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        yield Desk(tmp_path / "desk", station, made)


def test_an_approval_made_elsewhere_and_one_made_here_release(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run() == 0
    out = capsys.readouterr().out
    entry = find_entry(desk.station.station.reader, NAME)
    for said in (entry.digest, str(entry.report_digest), "Anna Berg", "every byte is the signed one",
                 "signed by Builder", f"what you sign: approve {NAME} at bravo", "[ i] note layers"):  # fmt: skip
        assert said in out
    assert out.splitlines()[-1] == str(desk.folder / "out.json")
    assert desk.hand_in() == "quarantined"
    assert desk.station.decide(NAME, desk.station.officer("Boris")) == "approved"
    assert desk.station.release(NAME)


def test_stock_openssl_checks_what_was_signed(desk: Desk) -> None:
    assert desk.run() == 0
    (desk.folder / "anna.pub.pem").write_bytes(desk.key.public.to_pem())
    command = ["openssl", "dgst", "-sha256", "-verify", "anna.pub.pem", "-signature", desk.signature.name, "out.json"]
    assert subprocess.run(command, cwd=desk.folder, check=False, capture_output=True).returncode == 0


def test_a_rejection_with_its_reason(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("--reject") == 2
    assert "needs a reason" in capsys.readouterr().err
    assert desk.run("--reject", "--why", "not ordered", "--json") == 0
    assert json.loads(capsys.readouterr().out)["approval"]["why"] == "not ordered"
    assert desk.hand_in() == "rejected"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def about_another_bundle(path: Path) -> None:
    report = json.loads(path.read_text())
    path.write_bytes(canonical(report | {"digest": f"sha256:{'0' * 64}"}))


@pytest.mark.parametrize(
    ("harm", "status", "said"),
    [
        (lambda desk: flip(desk.bundle.folder / "volumes/0001.7z"), 3, "volumes/0001.7z"),
        (lambda desk: flip(desk.bundle.folder / "manifest.json"), 3, "manifest.json"),
        (lambda desk: (desk.bundle.folder / "volumes/0002.7z").unlink(), 4, "volumes/0002.7z"),
        (lambda desk: (desk.folder / "report.json").write_bytes(b"{}"), 3, "not a report"),
        (lambda desk: about_another_bundle(desk.folder / "report.json"), 3, "report"),
        (lambda desk: (desk.folder / "report.json").unlink(), 1, "report.json"),
        (lambda desk: (desk.folder / "out.json").write_bytes(b""), 2, "the file exists"),
        (lambda desk: (desk.folder / "anna.pem").unlink(), 2, "anna.pem"),
    ],
    ids=["volume", "manifest", "missing volume", "no report", "another report", "report gone", "out", "key gone"],
)
def test_nothing_is_signed_where_anything_is_wrong(
    desk: Desk, capsys: pytest.CaptureFixture[str], harm: object, status: int, said: str
) -> None:
    harm(desk)  # type: ignore[operator]
    assert desk.run() == status
    err = capsys.readouterr().err
    assert said in err.splitlines()[-1]
    assert not desk.signature.exists()


@pytest.mark.parametrize(("field", "value"), [("site", "charlie"), ("bundle", "alpha.bravo-000002"), ("digest", "0")])
def test_a_report_about_something_else_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str], field: str, value: str
) -> None:
    path = desk.folder / "report.json"
    fields = json.loads(path.read_text())
    fields[field] = fields[field][:-1] + ("0" if fields[field][-1] != "0" else "1") if value == "0" else value
    path.write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")))
    assert desk.run() == 3
    assert f"the report is about another {field}" in capsys.readouterr().err
    assert desk.nothing_was_signed()


def test_a_report_that_the_station_did_not_make_is_signed_for_nothing(desk: Desk) -> None:
    """A report has no signature: what makes it the station's is the digest, which the approval holds."""
    path = desk.folder / "report.json"
    path.write_text(path.read_text().replace('"outcome":"note"', '"outcome":"ok"').replace("files", "filez"))
    assert desk.run() == 0
    with pytest.raises(RefusedError, match="another report"):
        desk.hand_in()


def test_a_key_that_is_not_pinned_for_releases_or_was_revoked_signs_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    save_private(desk.folder / "mine.pem", create_private(), None)
    words = [word.replace("anna.pem", "mine.pem") for word in desk.words()]
    assert program.main(words) == 3
    assert "not pinned for releases" in capsys.readouterr().err
    revoke_key(desk.folder / "trust", desk.key.public.keyid, why="lost", at="2026-01-01T00:00:00Z")
    assert desk.run() == 3
    assert "lost" in capsys.readouterr().err
    assert desk.nothing_was_signed()


def test_an_approval_for_longer_than_the_station_takes_is_refused_there(desk: Desk) -> None:
    assert desk.run("--hours", "100") == 0
    with pytest.raises(RefusedError, match="valid for too long"):
        desk.hand_in()


def test_without_a_terminal_nobody_is_asked_and_nothing_signed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(desk.words(yes=False)) == 2
    assert "nobody was asked" in capsys.readouterr().err
    assert desk.nothing_was_signed()


@pytest.mark.parametrize(("typed", "status"), [("approve", 0), ("yes", 3), ("", 3)])
def test_at_a_terminal_the_word_is_typed(desk: Desk, typed: str, status: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode() + b"\n")
    code = "import sys; from bundles.verifier.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *desk.words(yes=False)]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status, done.stderr
    assert (desk.folder / "out.json").exists() is (status == 0)


def test_a_passphrase_comes_through_a_descriptor(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.folder / "anna.pem").unlink()
    (desk.folder / "anna.pub.pem").unlink()
    save_private(desk.folder / "anna.pem", desk.key, b"correct horse")
    assert desk.run() == 2
    assert "a passphrase is needed" in capsys.readouterr().err
    for passphrase, status in ((b"wrong", 2), (b"correct horse", 0)):
        reading, writing = os.pipe()
        os.write(writing, passphrase + b"\n")
        os.close(writing)
        assert desk.run("--passphrase-fd", str(reading)) == status
        os.close(reading)


def test_the_one_file_approves_too(verifier: Path, desk: Desk, tmp_path: Path) -> None:
    environment = {"SHIV_ROOT": str(tmp_path / "unpacked"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", str(verifier), *desk.words()]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert desk.hand_in() == "quarantined"
    shutil.rmtree(tmp_path / "unpacked")
