"""A real station with a cache: what its processes fetch together, what its log explains, and what a rebuild keeps."""

from __future__ import annotations

import http.client
import sqlite3
from pathlib import Path

import pytest

from appliance.artifact_choice import choose
from appliance.paths import StationPaths
from appliance.serve.preflight import objections, require_apart_from_caches
from appliance.settings.caches import CacheSettings
from appliance.store.database import open_reader
from appliance.store.reads.caches import in_the_way, is_cached
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.oci.digest import Digest
from tests.caching.site import HERE, THERE, CacheSite
from tests.intake.inside import Inside, name_of, small_bundle
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry
from tests.peers.stock import Layout
from tests.registry_server import Store
from tests.stage import Station

LARGE = bytes(range(256)) * 8192


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def get(station: Station, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(station.base.removeprefix("http://"), timeout=60)
    connection.request("GET", f"/v2/{path}", headers={"traceparent": TRACE})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def add_cache(station: Station, upstream: SmallRegistry) -> None:
    config = station.folder / "config.toml"
    text = config.read_text().replace("[caches]\n", f'[caches.hub]\nupstream = "{upstream.host}"\n')
    config.write_text(text)


@pytest.mark.parametrize("side", ["outside", "inside"])
def test_a_station_with_a_cache(tmp_path: Path, upstream: SmallRegistry, side: str) -> None:
    upstream.image(THERE, "1", LARGE)
    traces = set()
    upstream.fault = lambda handler: traces.add(handler.headers.get("traceparent")) is not None
    station = Station(tmp_path / "alpha", "alpha", side)
    add_cache(station, upstream)
    with station:
        status, manifest = get(station, f"{HERE}/manifests/1")
        assert status == 200
        assert get(station, f"{HERE}/blobs/{Digest.of(LARGE)}") == (200, LARGE)
        assert traces == {TRACE}
        asked = len(upstream.asked)
        for _ in range(6):  # by whichever worker
            assert get(station, f"{HERE}/manifests/1") == (200, manifest)
        assert len(upstream.asked) == asked
        if side == "inside":
            said = "[ok] all that is shown was released, but for 1 repository that caches fill"
            assert station.run("intake", "check").last_line == said
            partly = station.run("warm", f"{HERE}:1", f"{HERE}:9", expect=4)
            assert (partly.last_line, f"{HERE}:9" in partly.stderr) == (f"{HERE}:1", True)
            return
    paths = StationPaths(station.folder)
    paths.database.unlink()
    for beside in station.folder.glob("metadata.sqlite-*"):
        beside.unlink()
    station.run("rebuild", "--yes")
    reader = open_reader(paths.database)
    assert is_cached(reader, HERE)
    reader.close()
    with station:
        assert get(station, f"{HERE}/blobs/{Digest.of(LARGE)}") == (200, LARGE)
        assert get(station, f"{HERE}/manifests/{Digest.of(manifest)}") == (200, manifest)
        assert len(upstream.asked) == asked


def test_a_prefix_that_covers_other_content_is_refused_at_the_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "tools")
    layout.tag("1", layout.artifact({"a": b"a"}))
    with Outside(tmp_path / "alpha") as outside:
        outside.collect_layout(layout.folder, as_="cache/hub/a:1")
        paths, config = outside.station.paths, outside.station.config
        require_apart_from_caches(paths, config)
        config.caches["hub"] = CacheSettings(upstream="registry.example")
        with pytest.raises(UsageError) as refused:
            require_apart_from_caches(paths, config)
        assert "cache/hub/a" in refused.value.thing
        assert refused.value.diagnostics() in [error.diagnostics() for error in objections(paths, config)]


def test_no_pattern_takes_what_a_cache_brought(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    metadata = site.storing.metadata
    with pytest.raises(NotFoundError) as told:
        choose(["cache/**"], metadata)
    assert HERE in told.value.remedy
    for named in (HERE, f"{HERE}:1", f"{HERE}:*"):
        assert [one.reference for one in choose([named], metadata)] == [f"{HERE}:1"]
    site.store.serve().push_blob("mine", b"x")
    with pytest.raises(NotFoundError):
        choose(["**"], metadata)


def test_what_stands_in_the_way_of_a_prefix(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", b"layer")
    reader = site.storing.metadata.connection
    assert site.manifest("1").status == 200
    assert in_the_way(reader, ("cache/hub/", "other/")) is None
    site.store.serve().push_blob("other", b"x")
    assert in_the_way(reader, ("cache/hub/", "other/")) == ("other", "held")
    assert in_the_way(reader, ("othe/",)) is None


def test_what_no_cache_brought_is_left_alone(store: Store, upstream: SmallRegistry) -> None:
    store.serve().push_blob(HERE, b"mine")
    site = CacheSite(store, upstream)
    upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 502
    assert not is_cached(site.storing.metadata.connection, HERE)


@pytest.mark.parametrize("by", ["config", "mark"])
def test_nothing_is_released_into_a_cache(tmp_path: Path, by: str) -> None:
    made = small_bundle(tmp_path / "carried")
    repository = made.manifest.artifacts[0].repository
    caches = {"one": CacheSettings(upstream="registry.example", prefix=repository)} if by == "config" else {}
    with Inside(tmp_path / "bravo", open_=False) as inside:
        inside.trust(made.key.public, owner="Builder")
        inside.bring(made.folder)
        for owner in ("Anna", "Boris"):
            inside.decide(name_of(), inside.officer(owner))
        if by == "mark":
            with sqlite3.connect(inside.station.paths.database) as db:
                db.execute("INSERT INTO cached_repositories VALUES (?, ?, ?)", (repository, "registry.example/x", "x"))
            db.close()
        else:
            inside.station.config.caches.update(caches)
        with pytest.raises(RefusedError) as refused:
            inside.release(name_of())
        assert refused.value.thing == repository
