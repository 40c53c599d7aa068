"""What a cache does not hold is fetched, checked and kept; what it holds asks nobody; who may not pull asks nobody."""

from __future__ import annotations

import threading
import time

import pytest
from aiohttp import web

from appliance.limits import caching as limits
from appliance.registry.errors import WireError
from appliance.registry.services import OpenAccess
from appliance.settings.caches import CacheSettings
from appliance.store.reads.caches import is_cached
from appliance.store.writes.lifecycle import Block
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.caching.site import HERE, THERE, CacheSite
from tests.outgoing.small_registry import Handler, SmallRegistry
from tests.registry_server import Store

LARGE = bytes(range(256)) * 8192
"""2 MiB: above what is kept in memory until it is whole."""


def test_a_miss_is_fetched_and_a_hit_asks_nobody(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", b"layer", LARGE)
    first = site.manifest("1")
    assert (first.status, Digest.of(first.body)) == (200, digest)
    assert first.headers["Docker-Content-Digest"] == str(digest)
    for body in (b"layer", LARGE):
        answer = site.blob(Digest.of(body))
        assert (answer.status, answer.body) == (200, body)
    asked = len(site.upstream.asked)
    assert site.answers() == {"manifest miss": 1, "blob miss": 2}
    assert site.manifest("1").body == first.body
    assert site.manifest(digest, "HEAD").headers["Content-Length"] == str(len(first.body))
    assert site.blob(Digest.of(LARGE)).body == LARGE
    assert site.blob(Digest.of(b"layer"), "HEAD").status == 200
    assert len(site.upstream.asked) == asked
    assert site.answers() == {"manifest hit": 2, "blob hit": 2}
    assert site.acts() == [
        ("cache.manifest", f"{HERE}@{digest}"),
        ("cache.blob", f"{HERE}@{Digest.of(b'layer')}"),
        ("cache.blob", f"{HERE}@{Digest.of(LARGE)}"),
    ]
    assert is_cached(site.storing.metadata.connection, HERE)
    assert site.server.ask("GET", f"/v2/{HERE}/tags/list").json["tags"] == ["1"]


def test_the_upstream_is_told_the_trace_of_who_asks_and_of_nobody_else(site: CacheSite) -> None:
    trace, told = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", list[str | None]()
    site.upstream.image(THERE, "1", LARGE)

    def listen(handler: Handler) -> bool:
        told.append(handler.headers.get("traceparent"))
        return False

    site.upstream.fault = listen
    asked: list[tuple[str, dict[str, str], str | None]] = [
        (f"blobs/{Digest.of(LARGE)}", {"traceparent": trace}, trace),
        ("manifests/1", {"traceparent": "junk"}, None),
        ("manifests/none", {}, None),
    ]
    for path, sent, expected in asked:
        told.clear()
        site.server.ask("GET", f"/v2/{HERE}/{path}", None, sent)
        assert set(told) == {expected}


def test_by_digest_alone_and_of_an_index_its_children_when_asked(site: CacheSite) -> None:
    child = site.upstream.image(THERE, "", b"one")
    other = site.upstream.image(THERE, "", b"two")
    index = site.upstream.index(THERE, "all", child, other)
    assert site.manifest(index).status == 200
    assert site.manifest(child).status == 200
    assert site.upstream.counted(str(other)) == 0
    assert site.blob(Digest.of(b"one")).body == b"one"  # of a size that no manifest here said: asked for upstream
    assert {thing for act, thing in site.acts()} == {f"{HERE}@{one}" for one in (index, child, Digest.of(b"one"))}


def test_nothing_of_another_repository_is_shown(site: CacheSite) -> None:
    digest = site.upstream.image("other/app", "1", b"private")
    assert site.manifest("1", repository="cache/hub/other/app").status == 200
    assert site.manifest(digest).status == 404
    site.upstream.blobs.clear()
    assert site.blob(Digest.of(b"private")).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_upstream_does_not_have(site: CacheSite, method: str) -> None:
    absent = Digest.of(b"absent")
    assert site.manifest("none", method).status == 404
    assert site.manifest(absent, method).status == 404
    assert site.blob(absent, method).status == 404
    assert site.manifest("-", method).status == 404  # no tag can be called so: nobody is asked
    asked = len(site.upstream.asked)
    assert site.manifest("none", method).status == 404
    assert site.blob(absent, method).status == 404
    assert len(site.upstream.asked) == asked
    site.pass_time(61)
    site.upstream.image(THERE, "none", b"now")
    assert site.manifest("none", method).status == 200


def test_what_is_not_offered_is_not_asked_for(store: Store, upstream: SmallRegistry) -> None:
    site = CacheSite(store, upstream, repositories=("library/*",))
    upstream.image(THERE, "1", b"layer")
    upstream.image("library/app", "1", b"layer")
    assert site.manifest("1").status == 404
    assert upstream.asked == []
    assert site.manifest("1", repository="cache/hub/library/app").status == 200


def test_below_a_prefix_upstream(store: Store, upstream: SmallRegistry) -> None:
    more = {"team": CacheSettings(upstream=f"{upstream.host}/team", prefix="mirror")}
    site = CacheSite(store, upstream, more=more)
    upstream.image(THERE, "1", b"layer")
    assert site.manifest("1", repository="mirror/app").status == 200


class Deny(OpenAccess):
    """Nobody may pull."""

    def check(self, request: web.Request, action: str, repository: str) -> WireError | None:
        return WireError(403, "DENIED", "not yours")


def test_who_may_not_pull_asks_nobody(store: Store, upstream: SmallRegistry) -> None:
    site = CacheSite(store, upstream, access=Deny())
    digest = upstream.image(THERE, "1", b"layer")
    for method in ("GET", "HEAD"):
        assert site.manifest("1", method).status == 403
        assert site.manifest(digest, method).status == 403
        assert site.blob(Digest.of(b"layer"), method).status == 403
    assert upstream.asked == []


def test_what_is_blocked_is_not_fetched(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", b"layer")
    for one in (digest, Digest.of(b"layer")):
        site.store.writer.submit(Block(digest=str(one), why="bad", actor="t", at="2026-01-01T00:00:00Z"))
    assert site.manifest(digest).status == 403
    assert site.blob(Digest.of(b"layer")).status == 403
    assert site.upstream.asked == []
    assert site.manifest("1").status == 403


def test_nobody_pushes_into_a_cache_and_its_content_may_go(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    assert site.server.ask("POST", f"/v2/{HERE}/blobs/uploads/?digest={Digest.of(b'x')}", b"x").status == 403
    assert site.server.ask("POST", "/v2/cache/hub/blobs/uploads/").status == 403
    held = {"Content-Type": OCI_MANIFEST}
    body = site.manifest("1").body
    assert site.server.ask("PUT", f"/v2/{HERE}/manifests/2", body, held).status == 403
    assert site.server.ask("DELETE", f"/v2/{HERE}/manifests/{digest}").status == 202
    assert not is_cached(site.storing.metadata.connection, HERE)
    assert site.manifest("1").status == 200


def test_one_fetch_for_all_who_ask_and_none_for_who_went(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", LARGE)
    begun, go = threading.Event(), threading.Event()

    def slow(handler: Handler) -> bool:
        if "/blobs/" in handler.path and handler.command == "GET":
            begun.set()
            go.wait(20)
        return False

    assert site.manifest("1").status == 200
    site.upstream.fault = slow
    gone = site.server.connect()
    gone.request("GET", f"/v2/{HERE}/blobs/{Digest.of(LARGE)}")
    assert begun.wait(20)
    gone.close()
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(site.blob(Digest.of(LARGE)).body)) for _ in range(5)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert found == [LARGE] * 5
    assert site.upstream.counted("GET", "/blobs/") == 1


def test_a_slow_upstream_keeps_no_other_cache_out(
    store: Store, upstream: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CACHE_AT_ONCE", 2)
    more = {"team": CacheSettings(upstream=f"{upstream.host}/team", prefix="mirror")}
    site = CacheSite(store, upstream, more=more)
    upstream.image(THERE, "1", LARGE)
    begun, go = threading.Event(), threading.Event()

    def slow(handler: Handler) -> bool:
        if "/manifests/slow" in handler.path:
            begun.set()
            go.wait(20)
        return False

    upstream.fault = slow
    asking = threading.Thread(target=lambda: site.manifest("slow"))
    asking.start()
    assert begun.wait(20)
    try:
        assert site.manifest("1").status in (502, 503)
        assert site.manifest("1", repository="mirror/app").status == 200
    finally:
        go.set()
        asking.join()
    assert site.manifest("1").status == 200


def test_a_fetch_goes_on_when_its_only_client_leaves(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", LARGE)
    assert site.manifest("1").status == 200
    begun, go = threading.Event(), threading.Event()

    def slow(handler: Handler) -> bool:
        if "/blobs/" in handler.path:
            begun.set()
            go.wait(20)
        return False

    site.upstream.fault = slow
    client = site.server.connect()
    client.request("GET", f"/v2/{HERE}/blobs/{Digest.of(LARGE)}")
    assert begun.wait(20)
    client.close()
    go.set()
    deadline = time.monotonic() + 20
    while not site.storing.blobs.has_blob(Digest.of(LARGE)) and time.monotonic() < deadline:
        time.sleep(0.01)
    site.upstream.fault = lambda _: False
    assert site.blob(Digest.of(LARGE)).body == LARGE
    assert site.upstream.counted("GET", "/blobs/") == 1
