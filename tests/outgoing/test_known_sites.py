"""A mistyped destination takes no number: a station's first is free, any further one is named on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import clock
from appliance.lifecycle.restored_copy import enter_heads
from appliance.outgoing import build
from appliance.store.reads.sites import known_sites
from appliance.store.writes.outgoing import TakeSequence
from appliance.store.writes.sites import ListSite, RemoveSite
from appliance.store.writes.write import under_event
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


@pytest.fixture
def reference(outside: Outside, layout: Layout) -> str:
    layout.tag("1", layout.artifact({"a": b"content"}))
    return outside.collect_layout(layout.folder)[0]


def known(outside: Outside) -> list[str]:
    return [one.site for one in known_sites(outside.station.reader)]


def streams(outside: Outside) -> dict[str, int]:
    return dict(outside.station.reader.execute("SELECT stream, last_sequence FROM streams_out"))


def listed(outside: Outside, site: str) -> bool:
    with under_event():
        new: bool = outside.writer.submit(ListSite(site=site, actor="tester", at=clock.now()))
    return new


def removed(outside: Outside, site: str) -> None:
    with under_event():
        outside.writer.submit(RemoveSite(site=site, actor="tester", at=clock.now()))


def refuse(_: object) -> None:
    raise FailedError("nobody signs")


def test_a_first_destination_needs_nothing_and_a_mistyped_one_takes_no_number(
    outside: Outside, medium: Path, reference: str
) -> None:
    outside.build(medium, reference)
    for site in ("brav0", "bravo-", "brvao"):
        with pytest.raises(UsageError, match=r"did you mean bravo\? For a new site add --new-site") as told:
            outside.build(medium, reference, to=site)
        assert (told.value.thing, f"lockgate site add {site}" in told.value.remedy) == (site, True)
    with pytest.raises(UsageError, match="known: bravo; for a new site"):
        outside.build(medium, reference, to="xyz")
    assert streams(outside) == {"alpha.bravo": 1}
    assert outside.build(medium, reference)["id"] == "alpha.bravo-000002"


def test_a_new_site_is_named_once_and_known_from_then_on(outside: Outside, medium: Path, reference: str) -> None:
    outside.build(medium, reference)
    outside.build(medium, reference, to="charlie", new_site=True)
    assert outside.build(medium, reference, to="charlie")["id"] == "alpha.charlie-000002"
    assert known(outside) == ["bravo", "charlie"]


def test_the_list_alone_makes_a_site_known_and_every_other_one_new(
    outside: Outside, medium: Path, reference: str
) -> None:
    assert (listed(outside, "bravo"), listed(outside, "bravo")) == (True, False)
    with pytest.raises(UsageError, match="did you mean bravo"):
        outside.build(medium, reference, to="brav0")
    assert outside.build(medium, reference)["id"] == "alpha.bravo-000001"


def test_a_site_that_was_removed_is_asked_for_again(outside: Outside, medium: Path, reference: str) -> None:
    outside.build(medium, reference)
    outside.build(medium, reference, to="brav0", new_site=True)
    removed(outside, "brav0")
    assert known(outside) == ["bravo"]
    with pytest.raises(UsageError, match="did you mean bravo"):
        outside.build(medium, reference, to="brav0")
    with pytest.raises(NotFoundError, match="site list"):
        removed(outside, "brav0")
    assert outside.build(medium, reference, to="brav0", new_site=True)["id"] == "alpha.brav0-000002"


def test_a_first_destination_that_nobody_signed_for_is_not_known(
    outside: Outside, medium: Path, reference: str
) -> None:
    context = outside.building(medium, reference, to="brav0")
    context.on_sign = refuse
    with pytest.raises(FailedError):
        outside.run(context, build.run)
    assert known(outside) == []
    outside.build(medium, reference)
    with pytest.raises(UsageError):
        outside.build(medium, reference, to="brav0")


def test_two_first_destinations_at_once_are_not_both_taken(outside: Outside) -> None:
    """The transaction that takes the number asks: what a build looked at before may have changed."""
    waiting = outside.context("build", {})
    outside.writer.submit(TakeSequence(stream="alpha.bravo", job_id=waiting.job_id, at=clock.now()))
    with pytest.raises(UsageError, match="did you mean bravo"):
        outside.writer.submit(TakeSequence(stream="alpha.brav0", job_id="other", at=clock.now()))


def test_a_restore_asks_for_no_head_of_a_removed_name_that_nothing_was_signed_for(
    outside: Outside, medium: Path, reference: str
) -> None:
    context = outside.building(medium, reference, to="brav0", new_site=True)
    context.on_sign = refuse
    with pytest.raises(LockgateError):
        outside.run(context, build.run)
    with pytest.raises(UsageError, match=r"alpha\.brav0"):
        enter_heads(outside.station.paths, [])
    removed(outside, "brav0")
    assert enter_heads(outside.station.paths, []) == []
    outside.build(medium, reference, to="brav0", new_site=True)
    removed(outside, "brav0")
    with pytest.raises(UsageError, match=r"alpha\.brav0"):
        enter_heads(outside.station.paths, [])
