"""Recall: of a key or content, the bundles that held it, on both sides, and everything that stands above it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import msgspec
import pytest

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.custody.recall import recall
from appliance.outgoing.delta_base import take_files
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.registry import PutTag
from appliance.store.writes.workloads import SawWorkloads, WorkloadRow
from appliance.store.writes.write import under_event
from bundles.documents.statement import read_statement
from bundles.errors import NotFoundError
from bundles.oci.digest import Digest
from tests.deltas.conftest import Road
from tests.intake.inside import Inside
from tests.outgoing.outside import Outside


def found(station: Inside | Outside, thing: str) -> dict[str, list[dict[str, str]]]:
    return dict(msgspec.to_builtins(recall(station.station.reader, station.station.paths, thing)))


def test_a_layer_is_recalled_with_the_artifacts_that_name_it_and_no_others(road: Road) -> None:
    bad, good = road.make("bad", a=b"evil", b=b"shared"), road.make("good", a=b"fine", b=b"other")
    name = road.release(road.build(bad, good))
    seen = found(road.inside, str(Digest.of(b"evil")))
    assert [(one["id"], one["as"], one["direction"]) for one in seen["bundles"]] == [(name, "blob", "in")]
    assert [(one["reference"], one["shown"]) for one in seen["tags"]] == [(bad, "yes")]


def test_a_delta_that_stands_on_it_is_recalled_too(road: Road) -> None:
    first = road.release(road.build(road.make("1", a=b"evil")))
    second = road.release(road.build(road.make("2", a=b"evil", b=b"more"), since=str(road.receipt())))
    assert [one["id"] for one in found(road.inside, str(Digest.of(b"evil")))["bundles"]] == [first, second]


def test_who_pulled_what_stands_above_it_is_named(road: Road) -> None:
    reference = road.make("1", a=b"evil")
    road.release(road.build(reference))
    (tag,) = found(road.inside, str(Digest.of(b"evil")))["tags"]
    for actor, count in (("cluster", 2), ("cluster", 1), ("laptop", 1)):
        event = AuditEvent("pull", actor, f"tools@{tag['digest']}", "done", {"from": f"host-{actor}", "count": count})
        road.inside.station.audit.record(event)
    seen = found(road.inside, str(Digest.of(b"evil")))
    assert [(one["actor"], one["count"], one["from"]) for one in seen["pulls"]] == [
        ("cluster", 3, ("host-cluster",)), ("laptop", 1, ("host-laptop",)),
    ]  # fmt: skip
    assert seen["pulls_since"] <= seen["pulls"][0]["last"]
    assert found(road.inside, reference)["pulls"] == seen["pulls"]


def test_the_workloads_that_were_admitted_with_it_are_named(road: Road) -> None:
    reference = road.make("1", a=b"evil")
    road.release(road.build(reference))
    (tag,) = found(road.inside, str(Digest.of(b"evil")))["tags"]
    pushed = str(Digest.of(b"pushed by a client"))
    for digest in (tag["digest"], pushed):
        row = WorkloadRow(cluster="robot", namespace="shop", workload="Pod/a", repository="tools", digest=digest)
        road.inside.writer.submit(SawWorkloads(rows=(row,), at=clock.now()))
    (seen,) = found(road.inside, str(Digest.of(b"evil")))["workloads"]
    assert (seen["cluster"], seen["workload"], seen["reference"]) == ("robot", "Pod/a", f"tools@{tag['digest']}")
    only = found(road.inside, pushed)  # no bundle brought it
    assert (list(only["bundles"]), [one["namespace"] for one in only["workloads"]]) == ([], ["shop"])


def test_the_outside_names_the_bundles_it_sent_and_what_became_of_them(road: Road) -> None:
    reference = road.make("1", a=b"evil")
    name = road.release(road.build(reference))
    key = road.outside.key.public.keyid
    for thing, how in ((str(Digest.of(b"evil")), "carried it"), (key, "signed it")):
        seen = found(road.outside, thing)
        assert [(one["id"], one["as"], one["direction"], one["state"]) for one in seen["bundles"]] == [
            (name, how, "out", "written")
        ]
        assert [one["reference"] for one in seen["tags"]] == [reference]
    take_files(road.outside.station, read_statement(road.receipt()), "tester(0)")
    (bundle,) = found(road.outside, key)["bundles"]
    assert bundle["state"] == "bravo says released"


def test_an_officers_key_is_recalled_with_what_they_decided_also_after_a_withdrawal(road: Road) -> None:
    name = road.release(road.build(road.make("1", a=b"one")))
    road.inside.withdraw(name)
    (bundle,) = found(road.inside, road.officer.public.keyid)["bundles"]
    assert (bundle["id"], bundle["as"], bundle["state"]) == (name, "decided about it", "withdrawn")


@pytest.mark.parametrize("thing", ["*", "0" * 16, "sha256:" + "0" * 64, "tools:none", "a@b", "' OR 1"])
def test_what_nobody_brought_is_said_so(road: Road, thing: str) -> None:
    road.release(road.build(road.make("1", a=b"one")))
    with pytest.raises(NotFoundError, match="no bundle"):
        found(road.inside, thing)


def seen_tags(road: Road, thing: str) -> list[tuple[str, str, str]]:
    return [(one["reference"], one["shown"], one["bundle"]) for one in found(road.inside, thing)["tags"]]


def test_a_tag_is_from_the_bundle_whose_release_put_it_there_and_no_other(road: Road) -> None:
    reference = road.make("1", a=b"evil")
    waits = road.bring(road.build(reference))
    thing = str(Digest.of(b"evil"))
    assert [one["id"] for one in found(road.inside, thing)["bundles"]] == [waits]
    assert seen_tags(road, thing) == [], "it became no tag yet"
    second = road.release(road.build(reference))
    assert seen_tags(road, thing) == [(reference, "yes", second)]
    third = road.bring(road.build(reference))
    assert [one["id"] for one in found(road.inside, thing)["bundles"]] == [waits, second, third]
    assert seen_tags(road, thing) == [(reference, "yes", second)], "a bundle that waits put it nowhere"
    road.inside.withdraw(second)
    assert seen_tags(road, thing) == [(reference, "no", second)], "it was there"


def test_a_tag_that_a_client_set_is_from_no_bundle(road: Road) -> None:
    first, second = road.make("1", a=b"evil"), road.make("2", a=b"evil")
    name = road.release(road.build(first))
    waits = road.bring(road.build(second))
    repository, _, tag = second.rpartition(":")
    digest = found(road.inside, first)["tags"][0]["digest"]
    with under_event():
        road.inside.station.writer.submit(PutTag(repository=repository, tag=tag, digest=digest, at=clock.now()))
    assert waits not in {bundle for _, _, bundle in seen_tags(road, digest)}
    assert seen_tags(road, digest) == [(first, "yes", name), (second, "yes", "")]


def test_what_is_blocked_is_not_called_shown(road: Road) -> None:
    reference = road.make("1", a=b"evil")
    name = road.release(road.build(reference))
    (tag,) = found(road.inside, reference)["tags"]
    assert tag["shown"] == "yes"
    for blocked, asked in ((tag["digest"], reference), (str(Digest.of(b"evil")), str(Digest.of(b"evil")))):
        with under_event():
            road.inside.station.writer.submit(Block(digest=blocked, why="bad", actor="tester", at=clock.now()))
        assert seen_tags(road, asked) == [(reference, "blocked", name)]


def test_a_bundle_made_here_of_what_another_brought_takes_no_tag_from_it(road: Road) -> None:
    """An inside builds on: what it sent further is named among the bundles, and put no tag here."""
    reference = road.make("1", a=b"evil")
    name = road.release(road.build(reference))
    for table in ("bundles_out", "carried_out"):
        rows = road.outside.station.reader.execute(f"SELECT * FROM {table}").fetchall()
        with closing(sqlite3.connect(road.inside.station.paths.database)) as db, db:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    shutil.copytree(road.outside.station.paths.jobs, road.inside.station.paths.jobs, dirs_exist_ok=True)
    seen = found(road.inside, str(Digest.of(b"evil")))
    assert [one["direction"] for one in seen["bundles"]] == ["in", "out"]
    assert [(one["reference"], one["bundle"]) for one in seen["tags"]] == [(reference, name)]
