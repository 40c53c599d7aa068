"""The epoch that processes share: set with every commit that moves it, before anybody hears of the commit."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.store.epoch import SharedEpoch, epoch_file, tell_of_files
from appliance.store.writer import WriterService
from appliance.store.writes.registry import BumpEpoch, PutTag
from bundles.errors import LockgateError


def test_who_hears_of_a_commit_finds_the_epoch_moved(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    with WriterService(database) as writer:
        seen = SharedEpoch(database)
        for _ in range(50):
            before = seen.seen()
            writer.submit(BumpEpoch())
            assert seen.seen() != before


def test_a_write_that_is_refused_moves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    with WriterService(database) as writer:
        seen = SharedEpoch(database)
        before = seen.seen()
        with contextlib.suppress(LockgateError):
            writer.submit(PutTag(repository="a", tag="1", digest=f"sha256:{'0' * 64}", at="2026-01-01T00:00:00Z"))
        assert seen.seen() == before


def test_a_writer_that_starts_again_tells_what_its_predecessor_could_not(tmp_path: Path) -> None:
    """Killed between the commit and the telling: the file still says the old number, to a worker that lived on."""
    database = tmp_path / "metadata.sqlite"
    with WriterService(database) as writer:
        writer.submit(BumpEpoch())
    survivor = SharedEpoch(database)
    before = survivor.seen()
    with WriterService(database):
        assert survivor.seen() != before


@pytest.mark.parametrize("when", ["before it moves", "behind"])
@pytest.mark.parametrize("edit", ["value = value - 1", "value = 1", "value = 9223372036854775807", "DELETE"])
def test_a_number_that_was_set_back_by_hand_shows_nothing_that_was_shown_before(
    tmp_path: Path, edit: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "metadata.sqlite"
    with WriterService(database) as writer:
        seen, shown = SharedEpoch(database), set()
        for number in range(1, 6):
            writer.submit(BumpEpoch())
            shown.add(seen.seen())
            assert len(shown) == number
        kept = [] if when == "before it moves" else [writer.submit(BumpEpoch())]
        shown.add(seen.seen())
        with contextlib.closing(sqlite3.connect(database)) as intruder:
            intruder.execute("DELETE FROM epoch" if edit == "DELETE" else f"UPDATE epoch SET {edit}")
            intruder.commit()
        kept.append(writer.submit(BumpEpoch()))
        assert seen.seen() not in shown
        assert kept[-1] > 5
        assert "changed by hand" in caplog.text


@pytest.mark.parametrize("edit", ["UPDATE epoch SET value = 9223372036854775807", "DELETE FROM epoch"])
def test_a_number_that_cannot_be_counted_up_refuses_no_revocation_after_a_start(tmp_path: Path, edit: str) -> None:
    database = tmp_path / "metadata.sqlite"
    WriterService(database).close()
    with contextlib.closing(sqlite3.connect(database)) as intruder:
        intruder.execute(edit)
        intruder.commit()
    with WriterService(database) as writer:
        seen = SharedEpoch(database)
        before = seen.seen()
        assert writer.submit(BumpEpoch()) > 1
        assert seen.seen() != before


def test_another_process_sees_it_and_another_account_does_not(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    script = (
        "import sys; from pathlib import Path; from appliance.store.epoch import SharedEpoch\n"
        "e = SharedEpoch(Path(sys.argv[1])); print(e.seen().hex(), flush=True); input(); print(e.seen().hex())"
    )
    with WriterService(database) as writer:
        command = [sys.executable, "-c", script, database]
        root = str(Path(__file__).resolve().parents[2])
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}
        ) as other:
            assert other.stdout is not None
            first = other.stdout.readline()
            writer.submit(BumpEpoch())
            second = other.communicate("\n", timeout=60)[0]
        assert second.strip() == SharedEpoch(database).seen().hex() != first.strip()
    assert epoch_file(database).stat().st_mode & 0o077 == 0


def test_what_is_said_of_files_moves_it_and_no_later_commit_takes_that_back(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    tell_of_files(database)
    assert not epoch_file(database).exists()
    with WriterService(database) as writer:
        seen, found = SharedEpoch(database), set()
        for number in range(9):
            found.add(seen.seen())
            if number % 2:
                tell_of_files(database)
            else:
                writer.submit(BumpEpoch())
        assert len(found) == 9


def test_a_file_of_an_earlier_version_grows(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    epoch_file(database).write_bytes((7).to_bytes(8, "little"))
    tell_of_files(database)
    raw = epoch_file(database).read_bytes()
    assert (len(raw), raw[:8]) == (24, (7).to_bytes(8, "little"))
    assert SharedEpoch(database).seen() == raw[:16]
