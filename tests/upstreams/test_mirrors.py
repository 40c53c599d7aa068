"""A mirror that knows less than its registry, that lies, or that is not to blame: what `collect` makes of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.jobs.kinds import JobContext
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.outgoing.collect.access import HostAccess
from appliance.store.files import OsFiles
from bundles.errors import CancelledError, FailedError, LockgateError, RefusedError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from tests.outgoing.outside import Context, Outside
from tests.outgoing.small_registry import Handler, SmallRegistry, serving

SMALL, LARGE = os.urandom(100), os.urandom(3 * MIB)


class Mirrored:
    """Accesses with one mirror, of each registry."""

    def __init__(self, mirror: SmallRegistry) -> None:
        self._mirror = mirror

    def for_repository(self, host: str, repository: str) -> HostAccess:
        return HostAccess(host)

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        return ((self._mirror.host, repository),)

    def located(self, host: str, repository: str) -> tuple[str, str]:
        return host, repository


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with Outside(tmp_path / "alpha") as station:
        yield station


@pytest.fixture
def home() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as running:
        yield running


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    """The mirror of every registry. No test waits for the usual back-off."""
    monkeypatch.setattr(limits, "REMOTE_BACK_OFF", 0.001)
    with serving(SmallRegistry()) as running:

        def accesses(_: JobContext) -> Mirrored:
            return Mirrored(running)

        monkeypatch.setattr(collect, "accesses_of", accesses)
        yield running


def run(outside: Outside, *entries: dict[str, Any]) -> tuple[dict[str, Any], Context]:
    context = outside.context("collect", {"sources": list(entries)})
    return outside.run(context, collect.run), context


def copied(home: SmallRegistry, mirror: SmallRegistry) -> None:
    """The mirror holds what the registry holds now."""
    mirror.manifests.update(home.manifests)
    mirror.blobs.update(home.blobs)


def down(handler: Handler) -> bool:
    handler.answer(503)
    return True


# What refers to an image.


def test_an_answer_without_the_registry_is_told_and_not_remembered(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    digest = home.image("team/app", "1", SMALL)
    copied(home, mirror)
    signature = home.image("team/app", f"sha256-{digest.hex}.sig", b"signed")
    home.fault = down
    result, context = run(outside, home.entry("team/app", "1"))
    (note,) = result["notes"]
    assert str(digest) in note
    assert home.host in note
    assert any(line == f"[!!] {note}" for line in context.lines)
    assert list(outside.station.reader.execute("SELECT * FROM upstream_asked")) == []
    home.fault = lambda _: False
    result, _ = run(outside, home.entry("team/app", "1"))
    assert result["notes"] == []
    assert outside.shows(f"team/app:sha256-{digest.hex}.sig") == signature


def test_of_an_index_one_note_tells_how_many_were_not_asked_for(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    home.index("team/app", "1", *(home.image("team/app", "", bytes([number])) for number in range(3)))
    copied(home, mirror)
    home.fault = down
    result, _ = run(outside, home.entry("team/app", "1"))
    (note,) = result["notes"]
    assert "of 3 more" in note


def test_what_a_mirror_knows_hides_nothing_that_the_registry_knows(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    digest = home.image("team/app", "1", SMALL)
    copied(home, mirror)
    tags = {suffix: f"sha256-{digest.hex}.{suffix}" for suffix in ("sig", "sbom", "att")}
    signature = home.image("team/app", tags["sig"], b"signed")
    attested = home.image("team/app", tags["att"], b"attested")
    mirror.image("team/app", tags["att"], b"attested long ago")
    listed = mirror.image("team/app", tags["sbom"], b"listed")
    referrers = [place.image("team/app", "", body, subject=digest) for place, body in ((home, b"1"), (mirror, b"2"))]
    for place, referrer in zip((home, mirror), referrers, strict=True):
        place.index("team/app", f"sha256-{digest.hex}", referrer)
    result, _ = run(outside, home.entry("team/app", "1"))
    assert result["notes"] == []
    found = {suffix: outside.shows(f"team/app:{tag}") for suffix, tag in tags.items()}
    assert found == {"sig": signature, "sbom": listed, "att": attested}
    assert set(outside.referrers("team/app", digest)) == set(referrers)


def test_what_a_mirror_knows_comes_with_a_note_where_the_registry_fails(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    digest = home.image("team/app", "1", SMALL)
    copied(home, mirror)
    listed = mirror.image("team/app", f"sha256-{digest.hex}.sbom", b"listed")
    home.fault = down
    result, _ = run(outside, home.entry("team/app", "1"))
    assert outside.shows(f"team/app:sha256-{digest.hex}.sbom") == listed
    assert len(result["notes"]) == 1


def test_where_no_place_says_what_refers_to_an_image_it_is_not_collected(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    home.image("team/app", "1", SMALL)
    copied(home, mirror)
    home.fault = mirror.fault = lambda handler: "/referrers/" in handler.path and down(handler)
    with pytest.raises(FailedError):
        run(outside, home.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None


# Bytes.


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_a_mirror_with_wrong_bytes_is_named_and_the_registry_asked(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry, body: bytes
) -> None:
    digest = home.image("team/app", "1", body)
    copied(home, mirror)
    mirror.blobs[str(Digest.of(body))] = bytes(len(body))
    _, context = run(outside, home.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    assert outside.station.blobs.is_whole(Digest.of(body))
    blamed = [line for line in context.lines if "other bytes" in line]
    assert len(blamed) == 1
    assert mirror.host in blamed[0]
    assert home.host not in blamed[0]
    assert mirror.counted("GET", str(Digest.of(body))) == home.counted("GET", str(Digest.of(body))) == 1
    assert context.progressed[-1][1] == context.progressed[-1][2] == len(body) + 2


def test_a_mirror_that_breaks_off_behind_wrong_bytes_puts_no_blame_on_the_registry(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry
) -> None:
    digest = home.image("team/app", "1", LARGE)
    copied(home, mirror)
    name = str(Digest.of(LARGE))

    def breaks(handler: Handler) -> bool:
        if name not in handler.path:
            return False
        if handler.headers.get("Range"):
            return down(handler)
        handler.send_blob(bytes(len(LARGE)), cut=2 * MIB)
        return True

    mirror.fault = breaks
    _, context = run(outside, home.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    assert not any("other bytes" in line for line in context.lines)
    ranges = [asked.partition("-")[0] for _, path, asked in home.asked if name in path]
    assert len(ranges) == 2
    assert ranges[0].startswith("bytes=")
    assert ranges[1] == ""


def test_where_every_place_lies_nothing_stays(outside: Outside, home: SmallRegistry, mirror: SmallRegistry) -> None:
    home.image("team/app", "1", LARGE)
    home.blobs[str(Digest.of(LARGE))] = bytes(len(LARGE))
    copied(home, mirror)
    with pytest.raises(RefusedError) as caught:
        run(outside, home.entry("team/app", "1"))
    assert home.host in caught.value.thing
    assert list(outside.station.paths.partials.iterdir()) == []


def test_a_full_disk_is_no_mirrors_fault(
    outside: Outside, home: SmallRegistry, mirror: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.image("team/app", "1", LARGE)
    copied(home, mirror)
    write = OsFiles.write

    def full(self: OsFiles, fd: int, data: bytes | memoryview) -> None:
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, fd, data)

    monkeypatch.setattr(OsFiles, "write", full)
    context = outside.context("collect", {"sources": [home.entry("team/app", "1")]})
    with pytest.raises(LockgateError, match="disk is full"):
        outside.run(context, collect.run)
    assert not any("mirror" in line for line in context.lines)
    assert home.counted("/blobs/", Digest.of(LARGE).hex) == 0


def test_a_cancel_is_no_mirrors_fault(outside: Outside, home: SmallRegistry, mirror: SmallRegistry) -> None:
    home.image("team/app", "1", LARGE)
    copied(home, mirror)
    context = outside.context("collect", {"sources": [home.entry("team/app", "1")]})

    def cancelled(*_: object) -> None:
        if mirror.counted("/blobs/", Digest.of(LARGE).hex):
            raise CancelledError("the job was cancelled")

    context.on_progress = cancelled
    with pytest.raises(CancelledError):
        outside.run(context, collect.run)
    assert not any("mirror" in line or "not asked" in line for line in context.lines)
    assert home.counted("/blobs/") == 0


def test_the_list_of_tags_is_the_registrys_own(outside: Outside, home: SmallRegistry, mirror: SmallRegistry) -> None:
    """A mirror may know a part of it, and the newest of these would be taken for the newest."""
    mirror.image("team/app", "1.0.0", SMALL)
    home.image("team/app", "1.0.0", SMALL)
    home.image("team/app", "2.0.0", SMALL)
    entry = {"kind": "tags", "reference": f"{home.host}/team/app:*", "as": None, "select": {"newest": 1}}
    result = outside.run(outside.context("collect", {"sources": [entry]}), collect.run)
    assert result["references"] == ["team/app:2.0.0"]
    assert mirror.counted("tags/list") == 0
