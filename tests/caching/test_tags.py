"""A tag stands for its time, moves when it moved upstream, and stands on while the upstream cannot be asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bundles.oci.digest import Digest
from tests.caching.site import HERE, THERE, CacheSite
from tests.outgoing.small_registry import Handler, SmallRegistry
from tests.registry_server import Store

HOUR = 3600.0


def answering(status: int, **headers: str) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        handler.answer(status, b"", {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return fault


def test_a_tag_that_moved_is_seen_after_its_time(site: CacheSite) -> None:
    old = site.upstream.image(THERE, "1", b"old")
    assert Digest.of(site.manifest("1").body) == old
    new = site.upstream.image(THERE, "1", b"new")
    asked = len(site.upstream.asked)
    assert Digest.of(site.manifest("1").body) == old
    assert len(site.upstream.asked) == asked
    site.pass_time(HOUR, "1")
    assert Digest.of(site.manifest("1").body) == new
    assert Digest.of(site.manifest(old).body) == old  # digests are kept


def test_a_tag_that_stands_costs_one_question(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    site.pass_time(HOUR, "1")
    site.answers()
    asked = len(site.upstream.asked)
    assert [site.manifest("1", "HEAD").status, site.manifest("1").status] == [200, 200]
    assert [method for method, _, _ in site.upstream.asked[asked:]] == ["HEAD"]
    assert site.answers() == {"manifest hit": 2}


def test_a_tag_of_a_time_to_come_is_asked_for(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    site.pass_time(-HOUR, "1")
    asked = len(site.upstream.asked)
    assert site.manifest("1").status == 200
    assert len(site.upstream.asked) == asked + 1


def test_without_a_time_each_pull_asks(store: Store, upstream: SmallRegistry) -> None:
    site = CacheSite(store, upstream, tag_minutes=0)
    upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    new = upstream.image(THERE, "1", b"new")
    assert Digest.of(site.manifest("1").body) == new


@pytest.mark.parametrize(
    "fault",
    [answering(429), answering(429, Retry_After="3000"), answering(500), answering(503)],
    ids=["429", "429 for an hour", "500", "503"],
)
def test_stale_is_served_and_said_while_the_upstream_cannot_be_asked(
    site: CacheSite, fault: Callable[[Handler], bool]
) -> None:
    old = site.upstream.image(THERE, "1", b"old")
    assert site.manifest("1").status == 200
    site.pass_time(HOUR, "1")
    new = site.upstream.image(THERE, "1", b"new")
    site.upstream.fault = fault
    site.answers()
    for method in ("GET", "HEAD"):
        answer = site.manifest("1", method)
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (200, str(old))
        assert answer.headers["Warning"].startswith('110 - "stale: ')
    asked = len(site.upstream.asked)
    assert site.manifest("1").status == 200
    assert len(site.upstream.asked) == asked  # it is left alone for a while
    assert site.answers() == {"manifest stale": 3}
    assert site.manifest("other").status == 503
    site.upstream.fault = lambda _: False
    site.pass_time(3001)
    assert Digest.of(site.manifest("1").body) == new
    assert "Warning" not in site.manifest("1").headers


def test_an_upstream_that_wants_to_be_left_alone_is_asked_by_nobody(site: CacheSite) -> None:
    site.upstream.fault = answering(429, Retry_After="100")
    first = site.manifest("1")
    assert (first.status, first.code) == (503, "UNAVAILABLE")
    asked = len(site.upstream.asked)
    second = site.manifest("2", repository="cache/hub/other")
    assert second.status == 503
    assert 80 < int(second.headers["Retry-After"]) <= 101
    assert len(site.upstream.asked) == asked
    site.upstream.fault = lambda _: False
    site.upstream.image("other", "2", b"layer")
    site.pass_time(101)
    assert site.manifest("2", repository="cache/hub/other").status == 200


def test_stale_is_served_when_the_upstream_takes_too_long(store: Store, upstream: SmallRegistry) -> None:
    site = CacheSite(store, upstream, stale_wait=0.05)
    upstream.image(THERE, "1", b"old")
    assert site.run(site.fetcher.manifest(HERE, "1")).state == "brought"
    site.pass_time(HOUR, "1")
    new = upstream.image(THERE, "1", b"new")
    go = threading.Event()
    upstream.fault = lambda _: not go.wait(20)
    answer = site.manifest("1")
    assert (answer.status, "Warning" in answer.headers) == (200, True)
    go.set()  # what was asked goes on, and the next client has what came of it
    site.run(site.fetcher.settle())
    assert Digest.of(site.manifest("1").body) == new
    assert upstream.counted("HEAD", "/manifests/1") == 2


def test_what_is_stale_for_want_of_an_account_is_not_served(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    site.pass_time(HOUR, "1")
    site.upstream.fault = answering(401)
    assert site.manifest("1").status == 502


def test_a_tag_that_went_upstream_goes_here_and_its_digest_stays(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", b"layer")
    assert site.manifest("1").status == 200
    del site.upstream.manifests[f"{THERE}/1"]
    site.pass_time(HOUR, "1")
    assert site.manifest("1").status == 404
    assert ("delete-tag", f"{HERE}:1") in site.acts()
    assert site.manifest(digest).status == 200
    assert site.server.ask("GET", f"/v2/{HERE}/tags/list").json["tags"] == []


def test_a_tag_back_at_what_is_here_fetches_nothing(site: CacheSite) -> None:
    old = site.upstream.image(THERE, "1", b"old")
    kept = site.upstream.manifests[f"{THERE}/1"]
    assert site.manifest("1").status == 200
    site.upstream.image(THERE, "1", b"new")
    site.pass_time(HOUR, "1")
    assert site.manifest("1").status == 200
    site.upstream.manifests[f"{THERE}/1"] = kept
    site.pass_time(HOUR, "1")
    asked = len(site.upstream.asked)
    assert Digest.of(site.manifest("1").body) == old
    assert [method for method, _, _ in site.upstream.asked[asked:]] == ["HEAD"]


def test_a_moved_tag_whose_manifest_is_garbage_moves_nothing(site: CacheSite) -> None:
    old = site.upstream.image(THERE, "1", b"old")
    assert site.manifest("1").status == 200
    site.upstream.image(THERE, "1", b"new")
    site.pass_time(HOUR, "1")

    def fault(handler: Handler) -> bool:
        if handler.command == "HEAD":
            return False
        handler.answer(200, b"{}", {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
        return True

    site.upstream.fault = fault
    assert site.manifest("1").status == 502
    assert [act for act, _ in site.acts()] == ["cache.manifest"]
    site.upstream.fault = lambda _: False
    assert site.manifest(old).status == 200


def test_failures_that_are_remembered_are_bounded(site: CacheSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.limits.caching.CACHE_MEMORY", 3)
    for number in range(6):
        assert site.manifest(f"none{number}").status == 404
    assert len(site.fetcher._remembered) == 3
