"""What a look at the station costs: every console asks for it every few seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.access import certificates
from appliance.control.health import checks
from appliance.control.store_totals import StoreTotals
from appliance.limits import access as access_limits
from appliance.limits import station as limits
from appliance.paths import StationPaths
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import LinkBlob
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.intake.inside import Inside, small_bundle

_WATCHED: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED:
        _WATCHED[-1].append(str(arguments[0]))


sys.addaudithook(_hook)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The paths that this process opens in the block."""
    _WATCHED.append([])
    try:
        yield _WATCHED[-1]
    finally:
        _WATCHED.pop()


@contextmanager
def statements(inside: Inside) -> Iterator[list[str]]:
    """The statements that the station's own connection runs in the block."""
    found: list[str] = []
    connection: Any = inside.station.metadata.connection
    connection.set_trace_callback(found.append)
    try:
        yield found
    finally:
        connection.set_trace_callback(None)


def put(inside: Inside, body: bytes) -> None:
    digest = Digest.of(body)
    row = BlobRow(digest=str(digest), size=len(body), crc32=inside.station.blobs.put(body, digest))
    inside.writer.submit(LinkBlob(repository="team/app", blob=row, at=clock.now()))


def test_the_blobs_are_counted_again_where_something_was_written_alone(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        totals = StoreTotals()
        put(inside, b"first")
        assert totals.of(inside.station) == inside.station.metadata.totals()
        with statements(inside) as asked:
            totals.of(inside.station)
        assert [text for text in asked if "FROM blobs" in text] == []
        blobs, size = totals.of(inside.station)
        put(inside, b"second")
        assert totals.of(inside.station) == (blobs + 1, size + len(b"second"))


def test_a_slow_count_is_kept_while_content_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOTALS_QUICK", -1.0)
    monkeypatch.setattr(limits, "TOTALS_SHARE", 10**9)
    with Inside(tmp_path / "bravo") as inside:
        totals = StoreTotals()
        before = totals.of(inside.station)
        put(inside, b"later")
        assert totals.of(inside.station) == before


def test_a_certificate_is_read_again_where_its_file_is_another_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StationPaths(tmp_path)
    paths.tls.mkdir(parents=True)
    certificates.make_ca(paths, "bravo")
    made = certificates.make_server(paths, ["localhost"])
    file = paths.tls / certificates.SERVER
    with opened() as read:
        assert certificates.expiry_of(file, "server").not_after == made.not_after
    assert str(file) in read, "a file that was just written may change and have the same time"
    monkeypatch.setattr(certificates, "_SETTLED", 0)
    certificates.expiry_of(file, "server")
    with opened() as read:
        assert certificates.expiry_of(file, "server").not_after == made.not_after
    assert read == []
    monkeypatch.setattr(access_limits, "SERVER_DAYS", 3)
    certificates.make_server(paths, ["localhost"])
    assert certificates.expiry_of(file, "server").not_after < made.not_after
    file.unlink()
    with pytest.raises(FailedError):
        certificates.expiry_of(file, "server")


def test_health_reads_the_trust_folder_once(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        inside.trust(small_bundle(tmp_path / "carried").key.public)
        checks(inside.station)
        folder = str(inside.station.paths.trust)
        with opened() as read:
            checks(inside.station)
        assert [path for path in read if path.startswith(folder) and read.count(path) > 1] == []
