"""What was pushed into a repository with a gate at pulls is stored, and shown to who may push there alone until the
gate has passed: every way around fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from appliance.limits import image_signatures as limits
from appliance.settings.gates import Gate
from appliance.store.writes.lifecycle import Block
from bundles.oci.digest import Digest
from tests.gates.known import harmless, load, scan
from tests.image_signatures.pulling import Held, basic, blobs_of, index_of
from tests.image_signatures.signer import Image

NUMBERS = itertools.count(1)
AT_PULL = Gate(repositories=["team/**"], at=["pull"], max_severity="medium", scan_days=7, sbom="own")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "PULL_POLICY_LOOK", 3600.0)
        patched.setattr(limits, "PULL_OBJECTION_KEPT", 0.0)
        with Held(tmp_path_factory.mktemp("pending")) as opened:
            load(opened.submit, opened.paths, harmless())
            opened.apply(gate=[AT_PULL])
            yield opened


@pytest.fixture
def held(station: Held) -> Held:
    station.team = f"team/pending{next(NUMBERS)}"
    return station


def passed(held: Held) -> Image:
    image = Image(text=f"{held.team} good")
    scan(held.submit, held.paths, held.push(image, "good"))
    assert held.statuses("manifests/good") == {200}
    return image


def by_tag(held: Held, image: Image) -> set[int]:
    return held.statuses("manifests/1")


def by_digest(held: Held, image: Image) -> set[int]:
    return held.statuses(f"manifests/{image.subject.digest}")


def by_condition(held: Held, image: Image) -> set[int]:
    mark = f'"{image.subject.digest}"'
    return held.statuses("manifests/1", If_None_Match=mark) | held.statuses("manifests/1", If_Match='"x"')


def by_blob(held: Held, image: Image) -> set[int]:
    return {status for blob in blobs_of(image.subject.raw) for status in held.statuses(f"blobs/{blob}")}


def by_range(held: Held, image: Image) -> set[int]:
    return {
        status
        for blob in blobs_of(image.subject.raw)
        for part in ("bytes=0-0", "bytes=-1", "bytes=90000-")
        for status in held.statuses(f"blobs/{blob}", Range=part)
    }


def by_another_tag_of_it(held: Held, image: Image) -> set[int]:
    held.put(image.subject.raw, "other")
    return held.statuses("manifests/other")


def by_a_tag_that_is_moved_to_it(held: Held, image: Image) -> set[int]:
    passed(held)
    held.put(image.subject.raw, "good")
    return held.statuses("manifests/good")


def by_an_index_above_it(held: Held, image: Image) -> set[int]:
    good = passed(held)
    held.put(index_of(good.subject.raw, image.subject.raw), "all")
    assert held.pull("manifests/all").status == 200  # it holds names and digests
    own = set(blobs_of(image.subject.raw)) - set(blobs_of(good.subject.raw))
    assert own
    return by_digest(held, image) | {held.pull(f"blobs/{blob}").status for blob in own}


def by_an_index_with_a_blocked_child(held: Held, image: Image) -> set[int]:
    good = passed(held)
    held.put(index_of(good.subject.raw), "all")
    held.submit(Block(digest=str(good.subject.digest), why="bad", actor="x", at="2026-01-01T00:00:00Z"))
    return held.statuses(f"manifests/{good.subject.digest}")


def by_a_manifest_that_passed_and_shares_its_layers(held: Held, image: Image) -> set[int]:
    """A blob is given out with what passed; what it alone has is not."""
    good = passed(held)
    own = set(blobs_of(image.subject.raw)) - set(blobs_of(good.subject.raw))
    return by_digest(held, image) | {held.pull(f"blobs/{blob}").status for blob in own}


def by_what_its_list_of_referrers_names(held: Held, image: Image) -> set[int]:
    """The lists hold names and digests; what they name is asked for like anything else."""
    answer = held.pull(f"referrers/{image.subject.digest}")
    named = [one["digest"] for one in answer.json.get("manifests", [])] if answer.status == 200 else []
    return {held.pull(f"manifests/{one}").status for one in named} | by_digest(held, image)


def by_the_list_of_tags(held: Held, image: Image) -> set[int]:
    return {held.pull(f"manifests/{tag}").status for tag in held.pull("tags/list").json["tags"]}


def by_a_mount(held: Held, image: Image) -> set[int]:
    for blob in blobs_of(image.subject.raw):
        path = f"/v2/free/app/blobs/uploads/?mount={blob}&from={held.team}"
        for worker in held.workers:
            assert worker.ask("POST", path, headers=basic("mover")).status == 202  # an upload begins, and no mount
    return by_blob(held, image)


def by_a_token_for_something_else(held: Held, image: Image) -> set[int]:
    """A token for a repository where one may push gives nothing here."""
    sent = held.headers("mover", "pull,push", "free/app")
    return {held.workers[0].ask("GET", f"/v2/{held.team}/manifests/1", headers=sent).status}


def while_it_is_scanned_again(held: Held, image: Image) -> set[int]:
    """What another image's scan says is of that image."""
    scan(held.submit, held.paths, Digest.of(b"another image"))
    return by_digest(held, image)


WAYS: list[Callable[[Held, Image], set[int]]] = [
    by_tag, by_digest, by_condition, by_blob, by_range, by_another_tag_of_it, by_a_tag_that_is_moved_to_it,
    by_an_index_above_it, by_an_index_with_a_blocked_child, by_a_manifest_that_passed_and_shares_its_layers,
    by_what_its_list_of_referrers_names, by_the_list_of_tags, by_a_mount, by_a_token_for_something_else,
    while_it_is_scanned_again,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_nobody_but_who_may_push_gets_what_is_pending(held: Held, way: Callable[[Held, Image], set[int]]) -> None:
    image = Image(text=held.team)
    held.push(image, "1")  # 201
    assert way(held, image) <= {401, 403}
    assert held.statuses("manifests/1", name="dev", actions="pull,push") == {200}


def test_the_refusal_names_everything_that_is_pending_and_a_scan_opens_it(held: Held) -> None:
    image = Image(text=held.team)
    digest = held.push(image, "1")
    (error,) = held.pull("manifests/1").json["errors"]
    assert (error["code"], error["detail"]["digest"]) == ("DENIED", str(digest))
    pending = error["detail"]["pending"].split("; ")
    assert [one.partition(":")[0] for one in pending] == ["gate 1"] * len(pending)
    assert {"scan", "sbom", "inspected", "severity"} <= {one.split(": ")[1] for one in pending}
    scan(held.submit, held.paths, digest)
    assert by_tag(held, image) | by_blob(held, image) == {200}
