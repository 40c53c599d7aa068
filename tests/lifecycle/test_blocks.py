"""Blocked content is shown to nobody from the next request on, through whichever worker."""

from __future__ import annotations

import pytest

from appliance import clock
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.lifecycle.conftest import Kept


def block(kept: Kept, digest: Digest) -> None:
    kept.inside.writer.submit(Block(digest=str(digest), why="CVE-2026-1", actor="officer(0)", at=clock.now()))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blocked_manifest_is_denied_by_tag_and_digest_and_comes_back(kept: Kept, method: str) -> None:
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    paths = [f"/v2/team/app/manifests/{reference}" for reference in ("v1", digest)]
    for worker in kept.workers:
        assert [worker.ask("GET", path).status for path in paths] == [200, 200], "in every worker's memory"
    block(kept, digest)
    for worker in kept.workers:
        assert [worker.ask(method, path).status for path in paths] == [403, 403]
    assert kept.server.ask("GET", paths[0]).code == "DENIED"
    assert kept.inside.writer.submit(Unblock(digest=str(digest)))
    for worker in kept.workers:
        assert [worker.ask(method, path).status for path in paths] == [200, 200]


def test_a_blocked_blob_is_neither_read_mounted_nor_pushed(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", b"bad")
    block(kept, digest)
    for method in ("GET", "HEAD"):
        assert kept.workers[1].ask(method, f"/v2/team/app/blobs/{digest}").status == 403
    assert kept.server.ask("POST", f"/v2/other/app/blobs/uploads/?mount={digest}&from=team/app").status == 403
    assert kept.server.ask("POST", f"/v2/other/app/blobs/uploads/?digest={digest}", b"bad").status == 403


def test_a_blocked_manifest_is_not_pushed(kept: Kept) -> None:
    content = image()
    for body in content.blobs:
        kept.server.push_blob("team/app", body)
    block(kept, content.digest)
    put = kept.server.ask("PUT", "/v2/team/app/manifests/v1", content.manifest, {"Content-Type": content.media_type})
    assert (put.status, put.code) == (403, "DENIED")


def test_who_may_not_see_it_is_not_told_that_it_is_blocked(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", b"bad")
    block(kept, digest)
    assert kept.server.ask("GET", f"/v2/other/app/blobs/{digest}").status == 404


@pytest.mark.parametrize("source", ["&from=nowhere/app", ""])
def test_a_mount_of_what_is_not_shown_does_not_tell_that_it_is_blocked(kept: Kept, source: str) -> None:
    hidden, unblocked = Digest.of(b"in quarantine"), Digest.of(b"in quarantine too")
    block(kept, hidden)
    answers = [
        kept.server.ask("POST", f"/v2/other/app/blobs/uploads/?mount={digest}{source}")
        for digest in (hidden, unblocked)
    ]
    assert [answer.status for answer in answers] == [202, 202]
    assert all(b"CVE" not in answer.body for answer in answers)


def test_a_block_bumps_the_epoch(kept: Kept) -> None:
    metadata = kept.inside.station.metadata
    before = metadata.epoch()
    block(kept, Digest.of(b"anything"))
    assert metadata.epoch() == before + 1
    assert not kept.inside.writer.submit(Unblock(digest=str(Digest.of(b"never blocked"))))
