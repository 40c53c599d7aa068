"""`collect` from registries on loopback: what is asked and how often, what goes on where it was cut off, and what a
registry that means no good gets."""

from __future__ import annotations

import threading
import time

import pytest

from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.store.partials import Partials
from bundles.errors import CancelledError, LockgateError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX
from tests.outgoing.collecting import LAYER, SMALL, failing, partials, run
from tests.outgoing.outside import Outside, PowerCut
from tests.outgoing.small_registry import Handler, SmallRegistry

pytestmark = pytest.mark.usefixtures("soon")


# What is asked.


def test_a_first_collect_asks_for_each_manifest_and_blob_once(outside: Outside, registry: SmallRegistry) -> None:
    children = [registry.image("team/app", "", SMALL, name) for name in (b"amd64", b"arm64")]
    digest = registry.index("team/app", "1", *children)
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    asked = [f"{method} {path}" for method, path, _ in registry.asked if method == "GET"]
    assert len(asked) == len(set(asked))
    assert registry.counted("HEAD", "manifests/1") == 1
    assert registry.counted("GET", "manifests/1") == 0


def test_an_unchanged_digest_costs_one_head(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", SMALL)
    run(outside, registry.entry("team/app", "1"))
    registry.asked.clear()
    run(outside, registry.entry("team/app", "1"))
    assert [(method, path) for method, path, _ in registry.asked] == [("HEAD", "/v2/team/app/manifests/1")]


def test_what_refers_to_a_digest_is_asked_again_with_update_or_after_an_hour(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = registry.image("team/app", "1", SMALL)
    run(outside, registry.entry("team/app", "1"))
    signature = registry.image("team/app", f"sha256-{digest.hex}.sig", b"signed")
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows(f"team/app:sha256-{digest.hex}.sig") is None
    run(outside, registry.entry("team/app", "1"), update=True)
    assert outside.shows(f"team/app:sha256-{digest.hex}.sig") == signature
    attested = registry.image("team/app", f"sha256-{digest.hex}.att", b"attested")
    monkeypatch.setattr(limits, "REMOTE_EVIDENCE_TTL", 0)
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows(f"team/app:sha256-{digest.hex}.att") == attested


def test_what_was_found_to_refer_to_a_digest_goes_along_under_another_name_too(
    outside: Outside, registry: SmallRegistry
) -> None:
    digest = registry.image("team/app", "1", SMALL)
    referrer = registry.image("team/app", "", b"sbom", subject=digest)
    registry.index("team/app", f"sha256-{digest.hex}", referrer)
    run(outside, registry.entry("team/app", "1"))
    registry.asked.clear()
    run(outside, registry.entry("team/app", "1", "other/app:2"))
    assert outside.referrers("other/app", digest) == [referrer]
    assert registry.counted(f"manifests/sha256-{digest.hex}") == registry.counted("referrers") == 0


def test_a_registry_that_names_what_another_repository_shows_must_have_it(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry
) -> None:
    run(outside, good.entry("team/good", "1", "private/app:1"))
    kind, raw = good.manifests["team/good/1"]

    def names(handler: Handler) -> bool:
        if handler.command == "HEAD":
            handler.answer(200, raw, {"Content-Type": kind, "Docker-Content-Digest": str(Digest.of(raw))})
        return handler.command == "HEAD"

    registry.fault = names
    with pytest.raises(LockgateError):
        run(outside, registry.entry("mine/app", "1"))
    assert outside.shows("mine/app:1") is None


def test_an_answer_that_was_kept_and_cannot_be_read_is_asked_for_again(
    outside: Outside, registry: SmallRegistry
) -> None:
    digest = registry.image("team/app", "1", SMALL)
    run(outside, registry.entry("team/app", "1"))
    signature = registry.image("team/app", f"sha256-{digest.hex}.sig", b"signed")
    for answer in ("{", "[]", '{"referrers": 5, "tags": {}}', '{"referrers": [], "tags": {"x": {}}}'):
        with outside.writer_connection() as db:
            db.execute("UPDATE upstream_asked SET answer = ?", (answer,))
        run(outside, registry.entry("team/app", "1"))
        assert outside.shows(f"team/app:sha256-{digest.hex}.sig") == signature


def test_a_layer_that_images_share_is_fetched_once(outside: Outside, registry: SmallRegistry) -> None:
    for number in range(8):
        registry.image(f"team/app{number}", "1", LAYER, str(number).encode())
    result, _ = run(outside, *(registry.entry(f"team/app{number}", "1") for number in range(8)))
    assert result["references"] == [f"team/app{number}:1" for number in range(8)]
    assert registry.counted("GET", str(Digest.of(LAYER))) == 1
    assert registry.counted("GET", "/blobs/") == 10


def test_a_tag_that_moves_between_head_and_get_is_what_head_said(outside: Outside, registry: SmallRegistry) -> None:
    first = registry.image("team/app", "1", SMALL)

    def moves(handler: Handler) -> bool:
        if handler.command == "GET" and "manifests" in handler.path:
            registry.image("team/app", "1", b"moved")
        return False

    registry.fault = moves
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == first


@pytest.mark.parametrize("said", ["no HEAD", "no digest", "another type", "sha512"])
def test_a_head_that_says_too_little_is_followed_by_one_get(
    outside: Outside, registry: SmallRegistry, said: str
) -> None:
    digest = registry.image("team/app", "1", SMALL)

    def little(handler: Handler) -> bool:
        if handler.command != "HEAD" or not handler.path.endswith("/1"):
            return False
        kind, raw = registry.manifests["team/app/1"]
        headers = {"Content-Type": kind, "Docker-Content-Digest": str(digest)}
        changed = {
            "no digest": {"Docker-Content-Digest": ""}, "another type": {"Content-Type": "text/html"},
            "sha512": {"Docker-Content-Digest": str(Digest.of(raw, "sha512"))},
        }  # fmt: skip
        handler.answer(405 if said == "no HEAD" else 200, raw, headers | changed.get(said, {}))
        return True

    registry.fault = little
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    assert registry.counted("GET", "manifests/1") == 1
    assert registry.counted("GET", f"manifests/{digest}") == 0


def test_parts_show_blobs_while_they_arrive_and_the_sources_that_failed(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COLLECT_PART", MIB)
    registry.image("team/app", "1", LAYER)
    _, context = failing(outside, registry.entry("team/app", "1"), good.entry("team/none", "1"))
    part = context.parts[str(Digest.of(LAYER))]
    assert (part[1], part[2], part[3]) == ("gone", len(LAYER), len(LAYER))
    _, state, _, _, about = context.parts[f"{good.host}/team/none:1"]
    assert (state, "no such thing" in about) == ("failed", True)
    done = [(done, total) for phase, done, total in context.progressed if phase == "collect"]
    assert all(done <= total for done, total in done)
    assert done[-1][0] == len(LAYER) + 2


# What goes on.


def test_a_killed_collect_goes_on_where_the_layer_was_cut_off(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", LAYER)
    context = outside.context("collect", {"sources": [registry.entry("team/app", "1")]})

    def cut(_: str, done: int, __: int) -> None:
        if done >= MIB:
            raise PowerCut

    context.on_progress = cut
    with pytest.raises(PowerCut):
        collect.run(context)
    (left,) = partials(outside)
    held = left.stat().st_size
    assert (left == Partials(outside.station.blobs).path(Digest.of(LAYER), "team/app"), held >= MIB) == (True, True)
    registry.asked.clear()
    run(outside, registry.entry("team/app", "1"))
    assert [asked for _, path, asked in registry.asked if "blobs" in path and asked] == [f"bytes={held}-"]
    assert outside.station.blobs.is_whole(Digest.of(LAYER))
    assert partials(outside) == []


def test_a_connection_that_breaks_goes_on_with_a_range(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", LAYER)

    def breaks(handler: Handler) -> bool:
        if "blobs" not in handler.path or "Range" in handler.headers or handler.path.endswith(str(Digest.of(b"{}"))):
            return False
        handler.send_blob(LAYER, cut=2 * MIB + 7)
        return True

    registry.fault = breaks
    run(outside, registry.entry("team/app", "1"))
    assert [asked for _, path, asked in registry.asked if asked] == [f"bytes={2 * MIB + 7}-"]


def test_a_registry_that_knows_no_ranges_begins_again(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", LAYER)
    registry.ranges = False
    leave(outside, LAYER[: 2 * MIB])
    _, context = run(outside, registry.entry("team/app", "1"))
    assert outside.station.blobs.is_whole(Digest.of(LAYER))
    assert context.progressed[-1][1] == context.progressed[-1][2]


def test_a_registry_that_refuses_the_range_is_asked_for_all(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", LAYER)
    leave(outside, LAYER[:MIB])

    def refuses(handler: Handler) -> bool:
        if "Range" not in handler.headers:
            return False
        handler.answer(416)
        return True

    registry.fault = refuses
    run(outside, registry.entry("team/app", "1"))
    assert outside.station.blobs.is_whole(Digest.of(LAYER))


@pytest.mark.parametrize("left", [2 * MIB, len(LAYER), len(LAYER) + 1])
def test_what_was_left_and_is_wrong_is_thrown_away_and_fetched_once_more(
    outside: Outside, registry: SmallRegistry, left: int
) -> None:
    registry.image("team/app", "1", LAYER)
    leave(outside, bytes(left))
    run(outside, registry.entry("team/app", "1"))
    assert outside.station.blobs.is_whole(Digest.of(LAYER))
    assert partials(outside) == []


def test_what_was_left_whole_is_not_fetched(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", LAYER)
    leave(outside, LAYER)
    run(outside, registry.entry("team/app", "1"))
    assert registry.counted("GET", str(Digest.of(LAYER))) == 0


def leave(outside: Outside, body: bytes) -> None:
    """What an earlier collect into team/app would have left of the layer."""
    outside.station.paths.partials.mkdir()
    Partials(outside.station.blobs).path(Digest.of(LAYER), "team/app").write_bytes(body)


def test_a_cancel_ends_at_once_while_a_registry_says_nothing(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", SMALL)
    asked, over = threading.Event(), threading.Event()

    def silent(_: Handler) -> bool:
        asked.set()
        return over.wait(20)

    registry.fault = silent
    context = outside.context("collect", {"sources": [registry.entry("team/app", "1")]})

    def cancelled(*_: object) -> None:
        if asked.is_set():
            raise CancelledError("the job was cancelled", thing="job")

    context.on_progress = cancelled
    started = time.monotonic()
    with pytest.raises(CancelledError):
        collect.run(context)
    over.set()
    assert time.monotonic() - started < 10
    assert [event["outcome"] for event in outside.events("collect")] == ["failed"]


# What a bad registry gets.


def test_a_single_source_that_fails_ends_with_its_own_error(outside: Outside, registry: SmallRegistry) -> None:
    with pytest.raises(LockgateError) as caught:
        run(outside, registry.entry("team/none", "1"))
    assert (caught.value.exit_status, isinstance(caught.value, PartlyDoneError)) == (1, False)
    assert f"{registry.host}/team/none" in caught.value.thing


def test_an_index_lists_a_manifest_of_another_type(outside: Outside, registry: SmallRegistry) -> None:
    child = registry.image("team/app", "", SMALL)
    _, raw = registry.manifests[f"team/app/{child}"]
    listed = [{"mediaType": OCI_INDEX, "digest": str(child), "size": len(raw)}]
    registry.manifest("team/app", "1", OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
    with pytest.raises(LockgateError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None
