"""What an upstream gets wrong is served to nobody as whole, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.store.reads.caches import tag_asked
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.caching.site import HERE, THERE, CacheSite
from tests.outgoing.small_registry import Handler, SmallRegistry
from tests.registry_server import Store

SMALL = b"layer" * 100
LARGE = bytes(range(256)) * 8192


def on_blobs(answer: Callable[[Handler], None]) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        if "/blobs/" not in handler.path or handler.command == "HEAD":
            return False
        answer(handler)
        return True

    return fault


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (lambda body: b"x" * len(body), 502),
        (lambda body: body + b"x", 502),
        (lambda body: body[:-1], 502),
        (lambda body: b"", 502),
    ],
    ids=["digest", "longer", "shorter", "nothing"],
)
def test_wrong_bytes_of_a_blob(site: CacheSite, body: bytes, wrong: Callable[[bytes], bytes], status: int) -> None:
    site.upstream.image(THERE, "1", body)
    assert site.manifest("1").status == 200
    site.upstream.fault = on_blobs(lambda handler: handler.answer(200, wrong(body)))
    digest = Digest.of(body)
    assert site.blob(digest).status == status
    assert not site.storing.blobs.has_blob(digest)
    assert [thing for act, thing in site.acts() if act == "cache.blob"] == []
    site.upstream.fault = lambda _: False
    site.pass_time(16)
    assert site.blob(digest).body == body


def test_a_blob_that_breaks_off_goes_on_where_it_was(site: CacheSite) -> None:
    site.upstream.image(THERE, "1", LARGE)
    assert site.manifest("1").status == 200
    cuts = [1_500_000, 200_000]

    def cut(handler: Handler) -> None:
        handler.send_blob(LARGE, cuts.pop(0) if cuts else None)

    site.upstream.fault = on_blobs(cut)
    assert site.blob(Digest.of(LARGE)).body == LARGE
    assert [asked for _, path, asked in site.upstream.asked if asked] != []


@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/vnd.oci.image.manifest.v1+json", b"{}"), ("text/html", b"<html>log in</html>"),
     ("application/vnd.oci.image.manifest.v1+json", b"\xff" * 1000)],
)  # fmt: skip
def test_garbage_for_a_manifest(site: CacheSite, by: str, kind: str, body: bytes) -> None:
    digest = site.upstream.image(THERE, "1", SMALL)

    def garbage(handler: Handler) -> bool:
        handler.answer(200, body, {"Content-Type": kind})
        return True

    site.upstream.fault = garbage
    assert site.manifest("1" if by == "tag" else digest).status == 502
    assert site.acts() == []
    assert not site.storing.blobs.has_blob(digest)


def test_a_manifest_that_is_too_large(site: CacheSite) -> None:
    site.upstream.manifests[f"{THERE}/1"] = ("application/vnd.oci.image.manifest.v1+json", b" " * (5 << 20))
    assert site.manifest("1").status == 502
    assert site.acts() == []


def test_a_head_that_lies_about_the_digest(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", SMALL)
    other = site.upstream.image(THERE, "2", LARGE)

    def lie(handler: Handler) -> bool:
        if handler.command == "HEAD":
            kind, raw = site.upstream.manifests[f"{THERE}/1"]
            handler.answer(200, raw, {"Content-Type": kind, "Docker-Content-Digest": str(other)})
            return True
        kind, raw = site.upstream.manifests[f"{THERE}/1"]
        handler.answer(200, raw, {"Content-Type": kind})
        return True

    site.upstream.fault = lie
    assert site.manifest("1").status == 502
    assert site.manifest(digest).status == 200  # these are the bytes of that digest, whoever sent them
    assert site.manifest(other).status == 502


def test_redirects_to_elsewhere_are_not_followed(site: CacheSite) -> None:
    digest = site.upstream.image(THERE, "1", SMALL)
    site.upstream.fault = on_blobs(lambda handler: handler.answer(307, b"", {"Location": "http://192.0.2.1/blob"}))
    assert site.manifest("1").status == 200
    assert site.blob(Digest.of(SMALL)).status == 502
    assert site.manifest(digest).status == 200


@pytest.mark.parametrize("status", [401, 403])
def test_an_upstream_that_refuses_the_station(site: CacheSite, status: int) -> None:
    site.upstream.image(THERE, "1", SMALL)
    site.upstream.fault = lambda handler: handler.answer(status) or True
    answer = site.manifest("1")
    assert answer.status == 502
    assert b"account" in answer.body
    assert site.answers() == {"manifest failed": 1}


def test_a_size_that_no_disk_has_room_for(site: CacheSite) -> None:
    described = site.upstream.blob(SMALL) | {"size": 10**15}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x", "config": described,
                "layers": [described]}  # fmt: skip
    site.upstream.manifest(THERE, "1", OCI_MANIFEST, document)
    assert site.manifest("1").status == 200
    assert site.blob(Digest.of(SMALL)).status == 507
    assert site.upstream.counted("GET", "/blobs/") == 0


def test_a_full_disk_is_said(store: Store, upstream: SmallRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundles.errors import NoSpaceError

    site = CacheSite(store, upstream)
    upstream.image(THERE, "1", LARGE)
    assert site.manifest("1").status == 200

    def full(size: int = 0) -> None:
        raise NoSpaceError("the disk is full", thing="store")

    monkeypatch.setattr(site.storing.blobs, "require_room", full)
    assert site.blob(Digest.of(LARGE)).status == 507
    assert tag_asked(site.storing.metadata.connection, HERE, "1") is not None
