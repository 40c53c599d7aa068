"""What a collection takes waits in the graveyard for its time of grace, and comes back where the metadata names it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings
from appliance.lifecycle.graves import Graves
from appliance.lifecycle.upkeep import look_after
from appliance.store import grave_age as waiting
from appliance.store.files import OsFiles
from appliance.store.graveyard import made
from appliance.store.reading import unattended
from appliance.store.writes.ledger import ShutImports
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private
from tests.conformance.shapes import image
from tests.faults.test_kill import pull_whole
from tests.lifecycle.conftest import Kept

_BODY = b"collected by mistake"


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the test has room enough, whatever else lies on it."""
    monkeypatch.setattr(Graves.make_room, "__defaults__", (0, 0))


def forgotten(kept: Kept, body: bytes) -> Digest:
    digest = kept.server.push_blob("team/app", body)
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    return digest


def graves(kept: Kept) -> list[Path]:
    return sorted(kept.paths.graveyard.iterdir()) if kept.paths.graveyard.exists() else []


def age(kept: Kept, hours: float) -> None:
    """Every grave is so many hours old."""
    for grave in graves(kept):
        grave.rename(grave.with_name(clock.after(-int(hours * 3600)).replace(":", "")))


@contextlib.contextmanager
def put_back(kept: Kept) -> Iterator[None]:
    """The rows of the database are as they were before the block, as after a backup was put back."""
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
        tables = ("repositories", "blobs", "manifests", "links", "tags")
        rows = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    yield
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
        for table, before in rows.items():
            for row in before:
                values = ",".join("?" * len(row))
                database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({values})", row)
        database.commit()


def test_what_is_collected_waits_for_its_time_and_is_removed_after_it(kept: Kept) -> None:
    digest = forgotten(kept, _BODY)
    result = kept.gc()
    assert (result["blobs"], result["emptied"]) == (1, {"blobs": 0, "bytes": 0})
    assert (result["graveyard"]["blobs"], result["graveyard"]["bytes"]) == (1, len(_BODY))
    assert made(graves(kept)[0].name) == result["graveyard"]["oldest"]
    assert kept.held(digest) == (False, False)
    assert kept.inside.station.blobs.graveyard.find(digest) is not None
    age(kept, 7 * 24 - 1)
    assert kept.gc()["emptied"]["blobs"] == 0
    age(kept, 7 * 24 + 1)
    dry = kept.gc(dry_run=True)
    assert (dry["emptied"], dry["graveyard"]["blobs"]) == ({"blobs": 1, "bytes": len(_BODY)}, 1)
    look_after(kept.inside.station)
    assert graves(kept) == []
    assert [event["thing"] for event in kept.inside.events("gc.empty")] == ["graveyard"]


def test_now_removes_for_good_what_it_takes_and_what_waits(kept: Kept) -> None:
    forgotten(kept, _BODY)
    kept.gc()
    forgotten(kept, b"more")
    would = kept.gc(dry_run=True, now=True)["emptied"]
    assert would == {"blobs": 2, "bytes": len(_BODY) + 4}
    result = kept.gc(now=True)
    assert (result["emptied"], result["graveyard"]["blobs"]) == (would, 0)
    assert graves(kept) == []
    with pytest.raises(UsageError):
        kept.gc(now="yes")


def test_without_a_time_of_grace_nothing_waits(kept: Kept) -> None:
    forgotten(kept, _BODY)
    config = msgspec.structs.replace(kept.inside.station.config, gc_grace_hours=0)
    object.__setattr__(kept.inside.station, "config", config)
    assert kept.gc()["emptied"]["blobs"] == 1
    assert graves(kept) == []


def test_nothing_is_removed_for_good_while_imports_are_shut_since_a_restore(kept: Kept) -> None:
    """The metadata forgot what came in since its copy was made: the newest copy may be put back."""
    station = kept.inside.station
    kept.inside.trust(create_private().public)
    kept.inside.writer.submit(ShutImports(actor="restore", at=clock.now()))
    digest = forgotten(kept, _BODY)
    for dry_run in (False, True):
        with pytest.raises(RefusedError, match="nothing is removed for good"):
            kept.gc(now=True, dry_run=dry_run)
    assert kept.gc()["blobs"] == 1
    age(kept, 10_000)
    assert kept.gc()["emptied"]["blobs"] == 0
    look_after(station)
    assert station.blobs.graveyard.find(digest) is not None
    Graves(station, "station").make_room(1 << 60)
    assert graves(kept) == [], "a full disk is freed all the same"


def test_a_push_brings_it_back_and_the_waiting_copy_goes_in_its_time(kept: Kept) -> None:
    content = image()
    content.push(kept.server, "team/app", "v1")
    kept.server.ask("DELETE", f"/v2/team/app/manifests/{Digest.of(content.manifest)}")
    assert kept.gc()["blobs"] == 1
    content.push(kept.server, "team/app", "v1")
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest
    assert kept.gc(now=True)["emptied"]["blobs"] == 1
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest


@pytest.mark.parametrize("how", ["scrub", "reread", "asked", "withdrawn"])
def test_a_blob_that_the_metadata_names_comes_back_from_the_graveyard(kept: Kept, how: str) -> None:
    """The database was put back from a backup that was made before the collection."""
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    with put_back(kept):
        kept.server.ask("DELETE", f"/v2/team/app/manifests/{digest}")
        assert kept.gc()["blobs"] == 1
    assert kept.held(digest) == (False, True)
    station, lines = kept.inside.station, list[str]()
    findings, looker = Findings(station, "station", lines.append), BlobExaminer(station.blobs)
    if how == "scrub":
        result = kept.scrub()
        assert (result["damaged"], result["healed"]) == ([], 1)
    elif how == "reread":
        looked = looker.look(digest, len(content.manifest), unattended)
        assert findings.take(digest, looked)
    elif how == "asked":
        assert kept.server.ask("GET", "/v2/team/app/manifests/v1").status == 503
        look_after(station)
        assert station.reader.execute("SELECT count(*) FROM unread").fetchone() == (0,)
    else:
        grave = station.blobs.graveyard.find(digest)
        assert grave is not None
        hidden = grave.rename(kept.paths.root / "hidden")
        assert len(kept.scrub()["damaged"]) == 1
        shutil.move(hidden, grave)
        result = kept.scrub()
        assert (result["damaged"], result["healed"]) == ([], 1)
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest


def test_what_the_metadata_names_is_not_removed_while_its_file_is_missing(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", _BODY)
    with put_back(kept):
        kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
        kept.gc()
    assert kept.gc(now=True)["emptied"]["blobs"] == 0
    age(kept, 10_000)
    look_after(kept.inside.station)
    Graves(kept.inside.station, "station").make_room(1 << 60)
    kept.scrub()
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{digest}").body == _BODY


def test_a_waiting_file_that_has_rotted_is_not_given_back(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", _BODY)
    with put_back(kept):
        kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
        kept.gc()
    waiting = kept.inside.station.blobs.graveyard.find(digest)
    assert waiting is not None
    waiting.write_bytes(b"rot" + _BODY[3:])
    assert [found["why"] for found in kept.scrub()["damaged"]] == ["missing"]
    assert kept.held(digest)[0] is False


def test_room_is_made_with_the_oldest_first(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in (30, 20, 10):
        forgotten(kept, b"%d" % hours)
        kept.gc()
        newest = graves(kept)[-1]
        newest.rename(newest.with_name(clock.after(-hours * 3600).replace(":", "")))
    yard, seen = kept.inside.station.blobs.graveyard, list[bytes]()
    monkeypatch.setattr(Graves, "_is_free", lambda *_: len(seen) >= 2)
    monkeypatch.setattr(yard, "remove", lambda buried: seen.append(buried.digest.hex.encode()))
    Graves(kept.inside.station, "station").make_room()
    assert seen == [Digest.of(b"30").hex.encode(), Digest.of(b"20").hex.encode()]


class _KilledError(BaseException):
    pass


def test_killed_at_each_of_its_steps_a_collection_loses_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown stays whole, and the next collection goes on."""
    content = image()
    content.push(kept.server, "team/app", "v1")
    steps = ("make_folder", "rename", "sync_folder", "remove")
    for number, step in enumerate(steps * 2):
        for after in (False, True):
            digest = forgotten(kept, b"garbage %d" % number)
            with monkeypatch.context() as patch:
                real = getattr(OsFiles, step)

                def killed(self: OsFiles, *args: Path, real=real, after=after) -> None:  # type: ignore[no-untyped-def]
                    if after:
                        real(self, *args)
                    raise _KilledError

                patch.setattr(OsFiles, step, killed)
                with contextlib.suppress(_KilledError, FailedError):
                    kept.gc(now=number >= len(steps))
            kept.gc()
            assert kept.held(digest) == (False, False), (step, after)
    assert kept.gc(now=True)["graveyard"]["blobs"] == 0
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest


class Kernel:
    """The kernel's uptime, and the wall clock, as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot, self.up, self.wall = "one", 1000.0, clock.seconds(clock.now())
        monkeypatch.setattr(waiting, "uptime", lambda: (self.boot, self.up))
        monkeypatch.setattr(clock, "now", lambda: clock.at(self.wall))

    def passes(self, hours: float) -> None:
        """Time passes."""
        self.up += hours * 3600
        self.wall += int(hours * 3600)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


GRACE = 7 * 24


def test_a_clock_that_is_set_years_ahead_ends_no_grave(kept: Kept, kernel: Kernel) -> None:
    forgotten(kept, _BODY)
    kept.gc()
    kernel.wall += 10 * 365 * 86_400
    assert kept.gc()["emptied"]["blobs"] == 0
    look_after(kept.inside.station)
    assert len(graves(kept)) == 1
    said = [event["detail"] for event in kept.inside.events("clock.set-ahead")]
    assert said == [{"seconds": 10 * 365 * 86_400, "graves": 1}], "once"
    kernel.passes(GRACE - 1)
    assert kept.gc()["emptied"]["blobs"] == 0
    kernel.passes(1.1)
    assert kept.gc()["emptied"]["blobs"] == 1


def test_a_clock_that_was_ahead_when_a_grave_was_made_does_not_keep_it_for_years(kept: Kept, kernel: Kernel) -> None:
    forgotten(kept, _BODY)
    kernel.wall += 10 * 365 * 86_400
    kept.gc()
    kernel.wall -= 10 * 365 * 86_400
    kernel.passes(GRACE - 1)
    assert kept.gc()["emptied"]["blobs"] == 0
    kernel.passes(1.1)
    assert kept.gc()["emptied"]["blobs"] == 1
    assert kept.inside.events("clock.set-ahead") == []


def test_after_a_boot_the_uptime_counts_alone(kept: Kept, kernel: Kernel) -> None:
    forgotten(kept, _BODY)
    kept.gc()
    kernel.boot, kernel.up = "two", 60.0
    kernel.wall += 400 * 86_400
    assert kept.gc()["emptied"]["blobs"] == 0
    kernel.passes(GRACE + 0.1)
    assert kept.gc()["emptied"]["blobs"] == 1


def test_where_the_record_of_waiting_is_lost_every_grave_begins_anew(kept: Kept, kernel: Kernel) -> None:
    forgotten(kept, _BODY)
    kept.gc()
    for lost in (b"", b"{}", b"\xff", None):
        kernel.passes(GRACE + 1)
        if lost is None:
            kept.paths.graves_waited.unlink()
        else:
            kept.paths.graves_waited.write_bytes(lost)
        assert kept.gc()["emptied"]["blobs"] == 0
    kernel.passes(GRACE + 0.1)
    assert kept.gc()["emptied"]["blobs"] == 1
