"""A station that serves from a bucket: what is pushed is there, what rots is found, and what is away is not missing."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.serve.preflight import objections
from appliance.settings.blobs import BlobsSettings
from appliance.settings.standby import StandbySettings
from appliance.settings.station import Config
from appliance.store.s3.keys import aside_key, blob_key
from bundles.oci.digest import Digest
from tests.s3.station import Station
from tests.s3_server import S3Server

pytestmark = pytest.mark.s3

LAYER = bytes(range(256)) * 9000
_PATIENCE = 60.0
_IN_A_ROW = 30


def blob(digest: Digest) -> str:
    return f"/v2/team/app/blobs/{digest}"


@contextmanager
def stopped(server: S3Server) -> Iterator[None]:
    """The server hangs while the block runs: its connections stay open, and nothing answers."""
    process = server._process  # type: ignore[attr-defined]
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    while not all((one / "stat").read_text().rpartition(")")[2].split()[0] == "T" for one in threads.iterdir()):
        time.sleep(0.01)  # a signal stops a thread where it next looks
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def until_back(station: Station, digest: Digest) -> None:
    """Each worker knows that the server answers again: so many pulls in a row, on connections of their own, meet them
    all."""
    deadline, well = time.monotonic() + _PATIENCE, 0
    while well < _IN_A_ROW:
        assert time.monotonic() < deadline
        well = well + 1 if station.client.ask("GET", blob(digest)).status == 200 else 0
        time.sleep(0.02)


def test_what_was_pushed_is_in_the_bucket_and_is_pulled_from_there(station: Station) -> None:
    manifest, layer = station.push_image(LAYER, "v1")
    ask = station.client.ask
    assert ask("GET", blob(layer)).body == LAYER
    part = ask("GET", blob(layer), headers={"Range": "bytes=1000000-1999999"})
    assert (part.status, part.body) == (206, LAYER[1000000:2000000])
    assert part.headers["Content-Range"] == f"bytes 1000000-1999999/{len(LAYER)}"
    assert ask("HEAD", blob(layer)).headers["Content-Length"] == str(len(LAYER))
    assert ask("GET", blob(Digest.of(b"{}")), headers={"Range": "bytes=1-1"}).body == b"}"
    assert Digest.of(ask("GET", "/v2/team/app/manifests/v1").body) == manifest
    assert ask("POST", f"/v2/team/other/blobs/uploads/?mount={layer}&from=team/app", b"").status == 201
    assert {station.owner.size(blob_key(digest)) for digest in (layer, Digest.of(b"{}"))} == {len(LAYER), 2}
    assert [path.name for path in (station.root / "store" / "blobs").rglob("*") if path.is_file()] == ["store-id"]
    assert station.scrub() == {}


def test_what_its_owner_exchanged_is_given_out_by_nobody_and_is_healed_by_a_push(station: Station) -> None:
    data = bytes(reversed(LAYER))
    layer = station.client.push_blob("team/app", data)
    small = station.client.push_blob("team/app", b"a small one")
    for digest, whole in ((layer, data), (small, b"a small one")):
        station.owner.put_over(blob_key(digest), whole[:-1] + b"!", len(whole))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        station.client.ask("GET", blob(layer))
    assert station.client.ask("GET", blob(small)).status == 503
    assert station.scrub() == {str(layer): "rotted", str(small): "rotted"}
    assert station.owner.size(blob_key(layer)) is None
    assert station.owner.size(aside_key(blob_key(layer))) == len(data)
    station.client.push_blob("team/app", data)
    station.client.push_blob("team/app", b"a small one")
    assert station.client.ask("GET", blob(layer)).body == data
    assert station.scrub() == {}


def test_what_was_collected_waits_in_the_bucket_and_comes_back_where_it_is_named(station: Station) -> None:
    kept = station.client.push_blob("team/app", b"kept")
    gone = station.client.push_blob("team/app", b"gone")
    assert station.client.ask("DELETE", blob(gone)).status == 202
    assert station.json("gc")["blobs"] == 1
    (grave,) = station.owner.folders("graveyard")
    lies = f"graveyard/{grave}/blobs-sha256-{gone.hex}"
    assert station.owner.size(lies) == 4
    station.owner.move(blob_key(kept), f"graveyard/{grave}/blobs-sha256-{kept.hex}")
    assert station.scrub() == {}
    assert station.client.ask("GET", blob(kept)).body == b"kept"
    assert station.owner.size(lies) == 4


def test_a_server_that_hangs_is_away_and_nothing_is_called_missing(station: Station, s3: S3Server) -> None:
    layer = station.client.push_blob("team/app", b"held")
    with stopped(s3):
        for method, path in (("GET", blob(layer)), ("HEAD", blob(layer)), ("GET", blob(layer))):
            answer = station.client.ask(method, path)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        pushed = station.client.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'hung')}", b"hung")
        assert pushed.status == 503
    until_back(station, layer)
    assert station.client.ask("GET", blob(layer)).body == b"held"
    assert station.scrub() == {}


def test_a_bucket_whose_mark_is_gone_is_away(station: Station) -> None:
    layer = station.client.push_blob("team/app", b"marked")
    mark = station.owner.read_note("lockgate-store")
    assert mark is not None
    station.owner.remove("lockgate-store")
    station.owner.move(blob_key(layer), "elsewhere")
    assert station.client.ask("GET", blob(layer)).status == 503
    assert station.client.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'x')}", b"x").status == 503
    assert "not this station's" in station.call("scrub", expect=1)
    station.owner.put_new("lockgate-store", mark, len(mark))
    station.owner.move("elsewhere", blob_key(layer))
    until_back(station, layer)
    assert station.scrub() == {}


def test_init_leaves_nothing_where_the_bucket_or_the_key_is_wrong(station: Station, s3: S3Server) -> None:
    fresh = Station(station.root.with_name("beta"), s3.new_place())
    assert "chmod 600" in fresh.make(mode=0o644, expect=3)
    taken = Station(fresh.root, station.place)
    assert "not this station's" in taken.make(expect=1)
    assert not fresh.root.exists() or list(fresh.root.iterdir()) == []
    none = replace(fresh.place, bucket="nobucket")
    assert "no such bucket" in Station(fresh.root, none).make(expect=1)
    fresh.make()


def test_settings_and_folder_must_agree_on_the_bucket(station: Station) -> None:
    config = station.root / "config.toml"
    before = config.read_text()
    try:
        config.write_text(before.replace(f"url = {json.dumps(station.place.url)}", 'url = ""'))
        assert "blobs.url" in station.call("serve", expect=2)
    finally:
        config.write_text(before)
    assert station.call("config", "check")
    assert "bucket" in station.call("rebuild", expect=3)
    wanted = Config(
        site="alpha", side="inside", blobs=BlobsSettings(url=station.place.url),
        standby=StandbySettings(exchange="/mnt/x"),
    )  # fmt: skip
    assert {"[standby]", station.place.url} <= {error.thing for error in objections(StationPaths(station.root), wanted)}
