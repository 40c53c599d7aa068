"""What a withdrawal takes: tags go back to the newest release that stands; what clients set meanwhile stays theirs."""

from __future__ import annotations

import pytest

from appliance import clock
from appliance.lifecycle import gc
from appliance.release_check.unexplained import unexplained
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import DeleteBlob, DeleteTag, LinkBlob, PutTag
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.intake.inside import name_of
from tests.release.standing import (
    BASE,
    BOTH,
    ONE,
    REPOSITORY,
    THREE,
    TWO,
    Released,
    blobs,
    put_tag,
    tags,
)


def test_a_tag_that_a_later_release_set_to_the_same_digest_stays(released: Released) -> None:
    inside = released(1, 2)
    assert inside.withdraw(name_of(1)) == [f"{REPOSITORY}:2", f"{REPOSITORY}@{TWO.digest}"]
    assert tags(inside) == {"1": "one", "latest": "one"}
    assert inside.withdraw(name_of(2)) == [
        f"{REPOSITORY}:1", f"{REPOSITORY}:latest", f"{REPOSITORY}@{ONE.digest}",
    ]  # fmt: skip
    assert tags(inside) == {}
    assert blobs(inside) == set()


def test_a_tag_goes_back_to_the_newest_release_that_still_stands(released: Released) -> None:
    inside = released(1, 3, 5)
    assert tags(inside)["1"] == "two"
    inside.withdraw(name_of(3))
    assert tags(inside)["1"] == "two"
    inside.withdraw(name_of(5))
    assert tags(inside)["1"] == "one"


def test_a_delta_keeps_the_base_that_it_stands_on_when_the_bases_release_is_withdrawn(released: Released) -> None:
    inside = released(1, 3)
    inside.withdraw(name_of(1))
    assert blobs(inside) == THREE.named
    assert unexplained(inside.station) == []
    gc.run(inside.context())  # type: ignore[arg-type]
    assert blobs(inside) == THREE.named


def test_a_tag_that_a_client_deleted_is_not_set_again_by_a_withdrawal(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    inside = released(3)
    inside.withdraw(name_of(3))
    assert "1" not in tags(inside)


def test_a_tag_that_a_client_deleted_and_set_again_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    put_tag(inside, "1", ONE)
    assert f"{REPOSITORY}:1" not in inside.withdraw(name_of(1))
    assert tags(inside) == {"1": "one"}


def test_a_tag_that_a_client_moved_away_and_back_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    put_tag(inside, "1", TWO)
    put_tag(inside, "1", ONE)
    inside.withdraw(name_of(1))
    assert tags(inside) == {"1": "one"}


def test_a_tag_that_a_client_sets_to_where_it_stands_is_still_the_releases(released: Released) -> None:
    inside = released(1)
    put_tag(inside, "1", ONE)
    inside.withdraw(name_of(1))
    assert tags(inside) == {}


def test_a_clients_tag_between_two_releases_is_where_it_goes_back_to(released: Released) -> None:
    """The client's own setting stands between the releases, also where it is to the older one's digest."""
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    put_tag(inside, "1", ONE)
    put_tag(inside, "mine", ONE)
    released(3)
    inside.withdraw(name_of(1))
    inside.withdraw(name_of(3))
    assert tags(inside) == {"1": "one", "mine": "one"}


def test_a_blob_that_a_client_deleted_and_brought_again_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    digest = str(Digest.of(BASE))
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=digest))
    row = BlobRow(digest=digest, size=len(BASE), crc32=0)
    inside.writer.submit(LinkBlob(repository=REPOSITORY, blob=row, at=clock.now()))
    inside.withdraw(name_of(1))
    assert blobs(inside) == {digest}


def test_a_blob_that_stayed_for_an_earlier_release_goes_with_that_one(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=str(Digest.of(BASE))))
    released(2)
    inside.withdraw(name_of(2))
    assert blobs(inside) >= ONE.named
    inside.withdraw(name_of(1))
    assert blobs(inside) == set()
    assert unexplained(inside.station) == []


def test_a_delta_is_not_released_once_the_bundle_that_it_stands_on_is_rejected(released: Released) -> None:
    inside = released()
    inside.decide(name_of(6), inside.officer("Second"), "reject", "not wanted")
    with pytest.raises(FailedError, match=r"alpha\.bravo-000006, which brought it, was rejected"):
        released(7)
    assert inside.visible()["links"] == []


def test_what_a_clients_tag_keeps_is_kept_whole(released: Released) -> None:
    inside = released(4)
    inside.writer.submit(PutTag(repository=REPOSITORY, tag="mine", digest=BOTH.digest, at=clock.now()))
    inside.withdraw(name_of(4))
    assert tags(inside) == {"mine": "index"}
    assert {row[1] for row in inside.visible()["links"]} == {
        BOTH.digest,
        ONE.digest,
        TWO.digest,
    } | ONE.named | TWO.named


def test_a_release_after_a_withdrawal_counts_as_the_newest(released: Released) -> None:
    inside = released(1, 3)
    inside.withdraw(name_of(1))
    released(1)
    assert tags(inside)["1"] == "one"
    inside.withdraw(name_of(1))
    assert tags(inside)["1"] == "three"
