"""Rot beneath the file system changes nothing but the bytes: the station reads again by itself, within a time."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import time
from pathlib import Path

import pytest

from appliance.control.health import checks
from appliance.lifecycle import damage
from appliance.lifecycle.rereading import Rereading
from appliance.limits import lifecycle as limits
from appliance.registry.services import RegistrySettings
from appliance.registry.verified_files import VerifiedFiles, identity_of
from appliance.store.reading import Verdict
from bundles.oci.digest import Digest
from tests.faults.fuse import FailingFile, failing, needs_fuse
from tests.lifecycle.conftest import Kept
from tests.registry_server import Store

BODY = os.urandom(300_000)
DIGEST = Digest.of(BODY)
HOUR = 3600.0


class Time:
    """Time that passes only while somebody waits; it stops who waits once `limit` is over."""

    def __init__(self, limit: float) -> None:
        self.now, self._limit = 0.0, limit

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self._limit


def reread(kept: Kept, limit: float = 100.0, interval: float = 24 * HOUR) -> Time:
    """Let the station reread for so many seconds."""
    clock = Time(limit)
    Rereading(kept.inside.station, interval, clock.pause, lambda _: None, clock).run()
    return clock


def store_detail(kept: Kept) -> str:
    return next(str(check["detail"]) for check in checks(kept.inside.station) if check["name"] == "store")


def test_what_rots_is_withdrawn_although_nobody_scrubs_or_pulls(kept: Kept) -> None:
    kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/app", b"whole")
    kept.rot(DIGEST, 1000)
    reread(kept)
    assert [blob.digest for blob in damage.damages(kept.inside.station)] == [str(DIGEST)]
    for worker in kept.workers:
        assert worker.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
    assert [event["actor"] for event in kept.inside.events("withdraw-damaged")] == ["station"]


def test_a_pass_keeps_to_its_rate_and_the_next_waits_for_its_time(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/app", BODY[1:])
    monkeypatch.setattr(limits, "REREAD_RATE", 10_000)
    done = 2 * len(BODY) / 10_000
    reread(kept, done - 5)
    assert "a rereading began" in store_detail(kept)
    reread(kept, done + 5)
    assert ", reread " in store_detail(kept)
    kept.rot(DIGEST)
    reread(kept, limit=HOUR)
    assert damage.damages(kept.inside.station) == [], "the next pass is not due for a day"


def test_a_store_too_large_for_the_least_rate_is_read_within_its_interval(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.server.push_blob("team/app", BODY)
    monkeypatch.setattr(limits, "REREAD_RATE", 1)
    reread(kept, limit=HOUR, interval=HOUR)
    assert ", reread " in store_detail(kept)


def test_a_pass_goes_on_where_the_station_stopped(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = sorted((os.urandom(50_000) for _ in range(4)), key=lambda body: str(Digest.of(body)))
    for body in bodies:
        kept.server.push_blob("team/app", body)
    monkeypatch.setattr(limits, "REREAD_RATE", 1_000)
    monkeypatch.setattr(limits, "REREAD_LOOK", 40.0)
    reread(kept, limit=120.0)
    kept.rot(Digest.of(bodies[0]))
    kept.rot(Digest.of(bodies[3]))
    reread(kept, limit=110.0)
    found = [blob.digest for blob in damage.damages(kept.inside.station)]
    assert found == [str(Digest.of(bodies[3]))], "the first was read before the stop, and waits for the next pass"


def test_a_disk_that_cannot_be_read_is_reported_and_withdraws_nothing(kept: Kept) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    kept.server.push_blob("team/app", BODY)

    def fail() -> None:
        raise failing(errno.EIO)

    with FailingFile(kept.paths.blob(DIGEST), BODY) as file:
        file.on_open = fail
        reread(kept)
        assert [row.digest for row in damage.unread(kept.inside.station)] == [str(DIGEST)]
    assert damage.damages(kept.inside.station) == []


def test_a_worker_relies_on_a_file_for_a_time_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(BODY)
    clock = Time(0)
    known = VerifiedFiles(24 * HOUR, clock)
    with path.open("rb") as file:
        assert known.check(file.fileno(), DIGEST) is Verdict.WHOLE
        clock.now = 24 * HOUR - 1
        assert known.knows(identity_of(file.fileno()), DIGEST)
        clock.now += 1
        assert not known.knows(identity_of(file.fileno()), DIGEST)
        assert known.check(file.fileno(), DIGEST) is Verdict.WHOLE
        assert known.knows(identity_of(file.fileno()), DIGEST)


@needs_fuse
@pytest.mark.parametrize("size", [1000, len(BODY)])
@pytest.mark.parametrize("header", [{}, {"Range": "bytes=0-99"}])
def test_once_it_must_look_again_a_worker_gives_no_rot_from_beneath_the_file_system(
    store: Store, size: int, header: dict[str, str]
) -> None:
    body = BODY[:size]
    at_once = store.serve(settings=RegistrySettings(reverify=0.0))
    digest = at_once.push_blob("team/app", body)
    path = f"/v2/team/app/blobs/{digest}"
    with FailingFile(store.paths.blob(digest), body) as file:
        assert at_once.ask("GET", path).body == body
        before = file.path.stat()
        file.body = bytes([body[0] ^ 1]) + body[1:]
        after = file.path.stat()
        assert (before.st_mtime_ns, before.st_ctime_ns, before.st_ino) == (
            after.st_mtime_ns, after.st_ctime_ns, after.st_ino,
        )  # fmt: skip
        begun = time.monotonic()
        with contextlib.suppress(http.client.IncompleteRead, ConnectionResetError):
            assert at_once.ask("GET", path, headers=header).status == 404
        assert time.monotonic() - begun < 10
