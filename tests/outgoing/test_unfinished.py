"""A bundle that was signed and is not on its media is finished first, or given up; no number is left behind unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.jobs.documents import Job
from appliance.jobs.end import Ended, cancelled, wire
from appliance.jobs.unfinished_numbers import with_numbers
from appliance.outgoing import build, recut
from appliance.store.reads.bundles_out import listed, unfinished
from appliance.store.writes.deltas import HeadRow, TakeReceipt, VoidBundle
from appliance.store.writes.write import under_event
from bundles.errors import FailedError, LockgateError
from bundles.format import manifest_codec
from bundles.format.manifest import BundleManifest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

FIRST, SECOND, THIRD = (f"alpha.bravo-{number:06}" for number in (1, 2, 3))


@pytest.fixture
def tools(outside: Outside, tmp_path: Path) -> Tools:
    return Tools(outside, tmp_path)


class Tools:
    """`tools:1`, which moves."""

    def __init__(self, outside: Outside, root: Path) -> None:
        self._outside, self._root = outside, root
        self.reference = self.moves(b"first")

    def moves(self, content: bytes) -> str:
        layout = Layout(self._root / content.decode() / "tools")
        layout.tag("1", layout.artifact({"a": content}))
        return self._outside.collect_layout(layout.folder)[0]


def fails(outside: Outside, medium: Path, reference: str, **changes: Any) -> str:
    """A build whose medium fails after the signature; its job."""
    context = outside.building(medium, reference, **changes)

    def failing(phase: str, done: int, total: int) -> None:
        if phase == "write":
            raise FailedError("the medium was pulled out")

    context.on_progress = failing
    with pytest.raises(FailedError, match="pulled out"):
        outside.run(context, build.run)
    return context.job_id


def manifest_on(folder: str) -> BundleManifest:
    return manifest_codec.decode((Path(folder) / "manifest.json").read_bytes())


def ended(outside: Outside, job_id: str, end: Ended, site: str = "bravo") -> str:
    """The remedy that a build's end has."""
    job = Job(job_id, "build", {"to": site}, "running", "tester", clock.now())
    error = with_numbers(outside.station.reader, "alpha", job, end).error
    assert error is not None
    return str(error["remedy"])


def failure(what: str = "the medium was pulled out", thing: str = "usb") -> Ended:
    return Ended("failed", error=wire(FailedError(what, thing=thing, remedy="put it back")))


def test_the_same_command_finishes_what_was_signed_though_its_tag_moved_and_says_what_it_left(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    fails(outside, medium, tools.reference)
    digest = outside.shows(tools.reference)
    tools.moves(b"second")
    result = outside.build(medium, tools.reference)
    assert (result["id"], result["finished"], result["moved"]) == (FIRST, True, [tools.reference])
    assert str(digest) in [artifact.digest for artifact in manifest_on(result["path"]).artifacts]
    again = outside.build(medium, tools.reference)
    assert (again["id"], again["finished"], again["moved"], again["unfinished"]) == (SECOND, False, [], [])
    assert manifest_on(again["path"]).previous == result["digest"]


def test_another_build_of_the_stream_is_refused_and_named_two_ways_out_that_work(
    outside: Outside, medium: Path, tmp_path: Path, tools: Tools
) -> None:
    fails(outside, medium, tools.reference)
    for changes in ({"purpose": "another"}, {"volume": "2MiB"}, {"cosigners": ["0" * 16]}):
        with pytest.raises(FailedError) as told:
            outside.build(medium, tools.reference, **changes)
        assert told.value.thing == FIRST
        assert f"lockgate bundle recut {FIRST} --medium 1 --out DIR, or" in told.value.remedy
        assert f"lockgate bundle void {FIRST} --why TEXT" in told.value.remedy
    assert outside.bundles() == {FIRST: "signed"}
    context = outside.context("recut", {"id": FIRST, "media": [1], "out": [str(medium)]})
    outside.run(context, recut.run)
    assert outside.bundles() == {FIRST: "written"}
    assert outside.build(medium, tools.reference, purpose="another")["id"] == SECOND


def test_a_bundle_that_was_given_up_is_named_void_by_the_next(outside: Outside, medium: Path, tools: Tools) -> None:
    fails(outside, medium, tools.reference)
    with under_event():
        outside.writer.submit(VoidBundle(id=FIRST, at="2026-01-02T03:04:05Z", why="the stick is lost"))
    result = outside.build(medium, tools.reference)
    assert (result["id"], result["finished"], result["voided"], result["unfinished"]) == (SECOND, False, [1], [])
    assert outside.build(medium, tools.reference)["voided"] == [], "said once"
    first = listed(outside.station.reader, 10)[0]
    assert (first.standing, first.voided, first.why, first.by) == (
        "voided", "2026-01-02T03:04:05Z", "the stick is lost", SECOND,
    )  # fmt: skip


def test_a_job_that_is_still_at_an_earlier_bundle_is_told_at_the_end(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    context = outside.building(medium, tools.reference)
    context.on_progress = lambda phase, *_: _stop(phase)
    with pytest.raises(KeyboardInterrupt):
        build.run(context)  # its process hangs: nobody says that it has ended
    result = outside.build(medium, tools.reference, purpose="another")
    assert [one["id"] for one in result["unfinished"]] == [FIRST]
    assert context.job_id in result["unfinished"][0]["text"]


def _stop(phase: str) -> None:
    if phase == "write":
        raise KeyboardInterrupt


def test_every_end_of_a_build_but_a_good_one_names_the_numbers_that_it_leaves(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    job = fails(outside, medium, tools.reference)
    for end in (failure(), cancelled(Job(job, "build", {}, "running", "tester", clock.now()))):
        assert f"give it up: lockgate bundle void {FIRST} --why TEXT" in ended(outside, job, end)
    assert FIRST in ended(outside, "another-job", failure())
    assert ended(outside, "another-job", failure(thing=FIRST)) == "put it back", "once is enough"
    assert ended(outside, "another-job", failure(), site="charlie") == "put it back"
    outside.build(medium, tools.reference)
    unsigned = outside.building(medium, tools.reference, purpose="another")
    unsigned.on_sign = lambda _: (_ for _ in ()).throw(FailedError("nobody signs"))
    with pytest.raises(LockgateError):
        outside.run(unsigned, build.run)
    assert f"the number of {SECOND} is void" in ended(outside, unsigned.job_id, failure("nobody signs"))


def test_the_inside_s_receipt_says_that_a_bundle_came_whatever_its_job_said(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    fails(outside, medium, tools.reference)
    (row,) = outside.station.reader.execute("SELECT digest FROM bundles_out").fetchone()
    receipt = TakeReceipt(
        site="bravo", number=1, digest="sha256:" + "1" * 64, previous=None, created=clock.now(), at=clock.now(),
        heads=(HeadRow("alpha.bravo", 1, row),), blobs=None,
    )  # fmt: skip
    with under_event():
        outside.writer.submit(receipt)
    assert unfinished(outside.station.reader) == []
    assert outside.build(medium, tools.reference, purpose="another")["id"] == SECOND


def test_the_list_says_of_each_bundle_where_it_stands_since_when_and_where_it_is(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    outside.build(medium, tools.reference)
    tools.moves(b"second")
    outside.build(medium, tools.reference)
    fails(outside, medium, tools.reference)
    first, second, third = listed(outside.station.reader, 10)
    assert (first.standing, first.by, first.why) == ("superseded", SECOND, f"by {SECOND}")
    assert (second.standing, second.places) == ("written", (str(medium / SECOND),))
    assert (third.standing, third.places, third.written) == ("unfinished", (), None)
    for entry in (first, second, third):
        assert [len(time) for time in (entry.signed, entry.since)] == [len("2026-01-01T00:00:00Z")] * 2


def test_a_bundle_that_is_given_up_while_it_is_written_does_not_end_well(
    outside: Outside, medium: Path, tools: Tools
) -> None:
    context = outside.building(medium, tools.reference)

    def given_up(phase: str, *_: int) -> None:
        if phase == "write" and outside.bundles() == {FIRST: "signed"}:
            with under_event():
                outside.writer.submit(VoidBundle(id=FIRST, at=clock.now(), why="changed our mind"))

    context.on_progress = given_up
    with pytest.raises(FailedError, match="given up while it was written"):
        outside.run(context, build.run)
    assert listed(outside.station.reader, 10)[0].standing == "voided"
    assert outside.build(medium, tools.reference)["voided"] == [1]
