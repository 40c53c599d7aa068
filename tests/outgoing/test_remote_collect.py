"""`collect` from registries on loopback: what is asked and how often, what goes on where it was cut off, and what a
registry that means no good gets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.outgoing.collect.collector import Collector
from appliance.store.partials import Partials
from bundles.errors import CancelledError, FailedError, LockgateError, RefusedError
from bundles.limits import MIB
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from tests.outgoing.outside import Context, Outside, PowerCut
from tests.outgoing.small_registry import Handler, SmallRegistry, serving

LAYER = os.urandom(3 * MIB)
SMALL = b"a small layer"


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as running:
        yield running


@pytest.fixture
def good() -> Iterator[SmallRegistry]:
    """Another registry, with which nothing is wrong."""
    with serving(SmallRegistry()) as running:
        running.image("team/good", "1", b"good")
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the usual back-off."""
    monkeypatch.setattr(limits, "REMOTE_BACK_OFF", 0.001)


def run(outside: Outside, *entries: dict[str, Any], **params: Any) -> tuple[dict[str, Any], Context]:
    context = outside.context("collect", {"sources": list(entries), **params})
    return outside.run(context, collect.run), context


def failing(outside: Outside, *entries: dict[str, Any]) -> tuple[PartlyDoneError, Context]:
    context = outside.context("collect", {"sources": list(entries)})
    with pytest.raises(PartlyDoneError) as caught:
        outside.run(context, collect.run)
    return caught.value, context


def partials(outside: Outside) -> list[Path]:
    folder = outside.station.paths.partials
    return sorted(folder.iterdir()) if folder.is_dir() else []


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


def bad_length(handler: Handler) -> bool:
    handler.answer(200, bytes(len(LAYER) + 1))
    return True


def short_length(handler: Handler) -> bool:
    handler.answer(200, LAYER[:-1])
    return True


def endless(handler: Handler) -> bool:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def other_bytes(handler: Handler) -> bool:
    handler.answer(200, bytes(len(LAYER)))
    return True


def other_range(handler: Handler) -> bool:
    handler.answer(206, LAYER[5:], {"Content-Range": f"bytes 5-{len(LAYER) - 1}/{len(LAYER)}"})
    return True


def drips(handler: Handler) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(LAYER)))
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.01)


def headers_without_end(handler: Handler) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")


def garbage(handler: Handler) -> bool:
    handler.wfile.write(b"\x00\xff\x1b[2Jgarbage\r\n\r\n")
    handler.close_connection = True
    return True


def hang_up(handler: Handler) -> bool:
    handler.close_connection = True
    return True


@pytest.mark.parametrize(
    "fault",
    [bad_length, short_length, endless, other_bytes, other_range, drips, headers_without_end, garbage, hang_up],
    ids=lambda fault: fault.__name__,
)
def test_a_registry_that_lies_is_one_line_and_the_rest_goes_on(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(limits, "REMOTE_STALL", 0.05)
    monkeypatch.setattr(limits, "REMOTE_ATTEMPTS", 2)
    registry.image("team/app", "1", LAYER)
    registry.fault = lambda handler: str(Digest.of(LAYER)) in handler.path and bool(fault(handler))
    error, context = failing(outside, registry.entry("team/app", "1"), good.entry("team/good", "1"))
    assert (error.exit_status, error.result["failed"], error.result["references"]) == (4, [0], ["team/good:1"])
    assert registry.host in error.thing
    assert outside.shows("team/good:1") is not None
    assert outside.shows("team/app:1") is None
    said = [line for line in context.lines if "not collected" in line]
    assert len(said) == 1
    assert said[0].isprintable()
    assert [event["outcome"] for event in outside.events("collect")].count("done") == 1
    if fault in (bad_length, short_length, other_range):
        assert registry.counted("GET", str(Digest.of(LAYER))) == 1, "a wrong length is no matter of trying again"
    assert registry.counted("GET", str(Digest.of(LAYER))) <= 4, (
        "two attempts; aiohttp repeats what a kept connection lost"
    )


def test_bytes_of_another_digest_are_fetched_twice_and_nothing_of_them_stays(
    outside: Outside, registry: SmallRegistry
) -> None:
    registry.image("team/app", "1", LAYER)
    registry.fault = lambda handler: str(Digest.of(LAYER)) in handler.path and other_bytes(handler)
    with pytest.raises(RefusedError):
        run(outside, registry.entry("team/app", "1"))
    assert registry.counted("GET", str(Digest.of(LAYER))) == 2
    assert partials(outside) == []


def test_a_limit_of_an_hour_is_told_with_its_end_and_others_go_on(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry
) -> None:
    def limited(handler: Handler) -> bool:
        handler.answer(429, b"", {"Retry-After": "3600"})
        return True

    for number in range(5):
        registry.image(f"team/app{number}", "1", SMALL)
    registry.fault = limited
    entries = [registry.entry(f"team/app{number}", "1") for number in range(5)]
    error, context = failing(outside, *entries, good.entry("team/good", "1"))
    assert (error.result["failed"], error.result["references"]) == ([0, 1, 2, 3, 4], ["team/good:1"])
    assert len([line for line in context.lines if "try again after 2" in line]) == 5
    assert len(registry.asked) == 1, "a registry that said when to come back is left alone"


def test_a_host_that_never_answers_is_given_up_for_its_other_references(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REMOTE_ATTEMPTS", 2)
    registry.fault = hang_up
    entries = [registry.entry(f"team/app{number}", "1") for number in range(20)]
    error, _ = failing(outside, *entries, good.entry("team/good", "1"))
    assert (error.result["failed"], error.result["references"]) == (list(range(20)), ["team/good:1"])
    assert len(registry.asked) < 30, "twenty references of two attempts each, which aiohttp may repeat, would be 40"


def test_one_registry_that_holds_its_references_up_leaves_room_for_others(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry
) -> None:
    over, waited_out = threading.Event(), threading.Event()

    def holds(_: Handler) -> bool:
        if not over.wait(20):
            waited_out.set()
        return True

    registry.fault = holds
    context = outside.context(
        "collect",
        {"sources": [*(registry.entry(f"a{number}", "1") for number in range(12)), good.entry("team/good", "1")]},
    )

    def seen(*_: object) -> None:
        if any("collected team/good:1" in line for line in context.lines):
            raise CancelledError("the job was cancelled", thing="job")

    context.on_progress = seen
    with pytest.raises(CancelledError):
        collect.run(context)
    over.set()
    assert not waited_out.is_set()
    assert outside.shows("team/good:1") is not None


def test_a_short_limit_is_waited_for_once_by_all(outside: Outside, registry: SmallRegistry) -> None:
    refused = threading.Event()

    def once(handler: Handler) -> bool:
        if refused.is_set():
            return False
        refused.set()
        handler.answer(429, b"", {"Retry-After": "0"})
        return True

    registry.image("team/app", "1", SMALL)
    registry.fault = once
    run(outside, registry.entry("team/app", "1"))
    assert registry.counted("HEAD", "manifests/1") == 2


def test_a_budget_of_requests_ends_a_registry_that_is_asked_without_end(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REMOTE_REQUESTS", 9)
    children = [registry.image("team/app", "", bytes([number])) for number in range(30)]
    registry.index("team/app", "1", *children)
    error, context = failing(outside, registry.entry("team/app", "1"), good.entry("team/good", "1"))
    assert error.result["references"] == ["team/good:1"]
    assert len(registry.asked) <= 9
    assert any("asked too often" in line for line in context.lines)


def test_few_pulls_left_are_said_once(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", SMALL)

    def counts(handler: Handler) -> bool:
        handler.send_header = _with_limit(handler)  # type: ignore[method-assign]
        return False

    registry.fault = counts
    _, context = run(outside, registry.entry("team/app", "1"))
    assert len([line for line in context.lines if "3 pulls are left" in line]) == 1


def _with_limit(handler: Handler) -> Any:
    plain = type(handler).send_header

    def send(name: str, value: str) -> None:
        if name == "Content-Length":
            plain(handler, "ratelimit-remaining", "3;w=21600")
        plain(handler, name, value)

    return send


def test_a_single_source_that_fails_ends_with_its_own_error(outside: Outside, registry: SmallRegistry) -> None:
    with pytest.raises(LockgateError) as caught:
        run(outside, registry.entry("team/none", "1"))
    assert (caught.value.exit_status, isinstance(caught.value, PartlyDoneError)) == (1, False)
    assert f"{registry.host}/team/none" in caught.value.thing


def test_evidence_that_shares_a_missing_layer_is_left_out_each_and_the_image_is_taken(
    outside: Outside, registry: SmallRegistry
) -> None:
    digest = registry.image("team/app", "1", SMALL)
    gone = [registry.image("team/app", "", b"gone", name, subject=digest) for name in (b"1", b"2")]
    here = registry.image("team/app", "", b"here", subject=digest)
    registry.index("team/app", f"sha256-{digest.hex}", *gone, here)
    del registry.blobs[str(Digest.of(b"gone"))]
    _, context = run(outside, registry.entry("team/app", "1"))
    assert outside.referrers("team/app", digest) == [here]
    assert len([line for line in context.lines if "which refers to" in line]) == 2


def test_a_child_that_is_not_there_makes_nothing_visible_also_where_it_is_evidence_of_its_sibling(
    outside: Outside, registry: SmallRegistry
) -> None:
    first = registry.image("team/app", "", SMALL)
    second = registry.image("team/app", "", b"gone", subject=first)
    registry.index("team/app", f"sha256-{first.hex}", second)
    registry.index("team/app", "1", first, second)
    del registry.blobs[str(Digest.of(b"gone"))]
    with pytest.raises(LockgateError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None


def test_nothing_stays_of_a_referrer_that_is_not_there_whole(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.outgoing.collect.collector._AT_ONCE", 1)  # what is there is taken first
    digest = registry.image("team/app", "1", SMALL)
    first, second = registry.image("team/app", "", b"here"), registry.image("team/app", "", b"gone")
    children = [
        {"mediaType": OCI_MANIFEST, "digest": str(one), "size": len(registry.manifests[f"team/app/{one}"][1])}
        for one in (first, second)
    ]
    subject = {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": len(registry.manifests["team/app/1"][1])}
    referrer = registry.manifest(
        "team/app", "", OCI_INDEX,
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, "subject": subject},
    )  # fmt: skip
    registry.index("team/app", f"sha256-{digest.hex}", referrer)
    del registry.blobs[str(Digest.of(b"gone"))]
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    assert outside.shows(f"team/app@{first}") is None
    assert outside.station.metadata.shown_anywhere(Digest.of(b"here")) == []


def test_nothing_becomes_visible_where_a_branch_left_a_part_to_another_that_lost_it(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.image("team/app", "1", SMALL, b"lost")
    whole = Collector._take_blob

    async def loses(collector: Collector, blob: Descriptor) -> None:
        if blob.digest != Digest.of(b"lost"):
            await whole(collector, blob)

    monkeypatch.setattr(Collector, "_take_blob", loses)
    with pytest.raises(FailedError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None


def test_cosigns_tags_that_lead_in_a_circle_end(outside: Outside, registry: SmallRegistry) -> None:
    first, second = registry.image("team/app", "1", b"1"), registry.image("team/app", "2", b"2")
    for subject, tagged in ((first, second), (second, first), (second, second)):
        registry.manifests[f"team/app/sha256-{subject.hex}.sig"] = registry.manifests[f"team/app/{tagged}"]
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == first
    assert outside.shows(f"team/app:sha256-{first.hex}.sig") == second


def test_an_index_lists_a_manifest_of_another_type(outside: Outside, registry: SmallRegistry) -> None:
    child = registry.image("team/app", "", SMALL)
    _, raw = registry.manifests[f"team/app/{child}"]
    listed = [{"mediaType": OCI_INDEX, "digest": str(child), "size": len(raw)}]
    registry.manifest("team/app", "1", OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
    with pytest.raises(LockgateError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None
