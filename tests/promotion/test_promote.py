"""Promotion moves what was judged, by digest, and says who, why and by which policy; rollback goes back."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from appliance.audit.acts import Act
from appliance.clock import now
from appliance.control.api import CONTROL
from appliance.control.threads import on_own_station
from appliance.promotion.prepare import previous
from appliance.promotion.summary import PREDICATE
from appliance.release_check.moved_tags import moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.settings.gates import PolicyException
from appliance.store.reads.promotions import Promoted
from appliance.store.writes.lifecycle import Block, Unblock
from appliance.store.writes.registry import DeleteTag
from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Subject
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.signing.keys import load_public
from bundles.signing.trust import TrustRecord
from tests.conformance.shapes import artifact, image, index
from tests.control.test_recorded_first import FullLog
from tests.gates.known import critical, harmless, load
from tests.promotion.desk import RULES, Desk, record


def checked(at: Desk) -> list[dict[str, str]]:
    """What `intake check` finds about the test's repositories."""
    shared = at.app[CONTROL].station
    found = on_own_station(shared, lambda own: [*unexplained(own), *moved_tags(own)])
    return [one for one in found if at.name in one["repository"]]


def test_a_promotion_moves_a_digest_with_its_evidence_and_the_station_signs_what_it_found(at: Desk) -> None:
    content = at.push(index([image(), image()]), "1.0")
    sbom = artifact(subject=content.described())
    at.push(sbom, scanned=False)
    status, done = at.promote("dev:1.0", "staging", reason="tested")
    assert (status, done["reference"], done["before"]) == (201, f"staging/{at.name}:1.0", "")
    assert {one["rule"] for one in done["gates"]} == {"inspected", "severity"}
    links = at.links("staging")
    assert {str(one.digest) for one in (content, *content.children)} < links
    assert at.target("staging", "1.0") == str(content.digest)
    (event,) = at.events(Act.PROMOTE)
    said = {"digest": str(content.digest), "source": f"dev/{at.name}:1.0", "reason": "tested", "policy": 1}
    assert said.items() <= event["detail"].items()
    assert event["thing"] == f"staging/{at.name}:1.0"

    station = at.app[CONTROL].station
    carrier = Digest.parse(done["summary"])
    assert done["summary"] in links
    with station.blobs.open_blob(carrier) as file:
        manifest = parse_manifest(file.read())
    public = load_public(station.paths.keys / "verdict.pub.pem")
    pinned = TrustRecord(public, "station", ("image",), (), None, None, None)
    subject = Subject.of(content.manifest, content.media_type, content.digest)
    (verdict,) = verify_all(subject, [Carrier(carrier, manifest)], station.blobs, Pins((pinned,), (), now()))
    assert (verdict.verified, verdict.predicate_type, verdict.keyid) == (True, PREDICATE, done["keyid"])
    assert checked(at) == []
    assert done["left"] == [str(sbom.digest)]  # a referrer that is no document
    assert str(sbom.digest) not in links


def test_a_channel_has_its_history_and_goes_back_step_by_step(at: Desk) -> None:
    first, second, third = (at.image(tag) for tag in ("1", "2", "3"))
    for tag in ("1", "2", "3"):
        at.promote(f"dev:{tag}", "staging")
        assert at.promote(f"staging:{tag}", "production", tag="stable")[0] == 201
    channel = f"production/{at.name}"
    assert at.target("production", "stable") == str(third.digest)
    assert at.rollback(channel, reason="errors")[1]["digest"] == str(second.digest)
    assert at.rollback(f"{channel}:stable")[1]["digest"] == str(first.digest)
    status, refused = at.rollback(channel)
    assert (status, refused["what"]) == (404, "nothing stood there before")
    items = at.history(channel)["items"]
    assert [one["act"] for one in items] == ["rollback", "rollback", "promote", "promote", "promote"]
    assert (items[1]["reason"], items[1]["before"]) == ("errors", str(third.digest))
    page = at.history("production", limit="2")
    assert [one["number"] for one in page["items"]] == [one["number"] for one in items[:2]]
    assert len(at.history("production", after=page["next"])["items"]) >= 3
    assert checked(at) == []


def test_a_rollback_passes_the_gate_again(at: Desk) -> None:
    old = at.image("1")
    at.image("2")
    for tag in ("1", "2"):
        at.promote(f"dev:{tag}", "staging", tag="next")
    record(at, Act.BLOCK, str(old.digest), Block(digest=str(old.digest), why="bad", actor="x", at=now()))
    status, refused = at.rollback(f"staging/{at.name}:next")
    assert (status, "blocked" in refused["what"]) == (403, True)
    record(at, Act.UNBLOCK, str(old.digest), Unblock(digest=str(old.digest)))
    load(at.submit, at.paths, harmless(), critical())
    assert at.rollback(f"staging/{at.name}:next")[0] == 403
    allowed = PolicyException(id="one", owner="Anna", reason="no fix", repositories=["staging/**"], rule="severity",
                              until="2099-01-01T00:00:00Z")  # fmt: skip
    at.apply(msgspec.structs.replace(RULES, exception=[allowed]))
    status, done = at.rollback(f"staging/{at.name}:next")
    assert (status, done["digest"]) == (201, str(old.digest))
    assert at.events(Act.ROLLBACK)[-1]["detail"]["exceptions"] == ["one"]
    load(at.submit, at.paths, harmless())
    at.apply(RULES)


@pytest.mark.parametrize(
    ("acts", "stands", "expected"),
    [
        ("", "a", ""), ("+a", "a", ""), ("+a+b", "b", "a"), ("+a+b-a", "a", ""), ("+a+b+c-b", "b", "a"),
        ("+a+b-a+c", "c", "a"), ("+a+b+b", "b", "a"), ("+a+b", "x", "b"), ("+a+b+a", "a", "b"),
    ],
)  # fmt: skip
def test_promotions_are_a_stack_that_rollbacks_take_from(acts: str, stands: str, expected: str) -> None:
    rows = [
        Promoted(
            number, "promote" if acts[at] == "+" else "rollback", "r", "t", acts[at + 1], "", "", "", "", 1, "", ""
        )
        for number, at in enumerate(range(0, len(acts), 2))
    ]
    assert previous(rows, stands) == expected


def test_a_promotion_that_cannot_be_recorded_shows_nothing(at: Desk) -> None:
    for tag in ("1", "2"):
        at.image(tag)
    assert at.promote("dev:1", "staging", tag="next")[0] == 201
    assert at.promote("dev:2", "staging", tag="next")[0] == 201
    before, links, control = at.target("staging", "next"), at.links("staging"), at.app[CONTROL]
    station, control.station = control.station, replace(control.station, audit=FullLog())
    try:
        assert at.promote("dev:1", "staging", tag="next")[1]["what"] == "the audit log cannot be written"
        assert at.rollback(f"staging/{at.name}:next")[1]["what"] == "the audit log cannot be written"
    finally:
        control.station = station
    assert (at.target("staging", "next"), at.links("staging")) == (before, links)


def test_one_channel_does_what_a_model_of_it_does(at: Desk) -> None:
    """Promotions, rollbacks, blocks and moved and deleted source tags, in a random order, against a stack."""
    made = {str(content.digest): content for content in (at.image() for _ in range(3))}
    digests, dice = list(made), random.Random(20)
    stack, blocked, channel = list[str](), set[str](), f"staging/{at.name}"
    for step in range(36):
        digest, act = dice.choice(digests), dice.choice("ppprrbudk")
        if act == "p":
            status, _ = at.promote(f"dev@{digest}", "staging", tag="next")
            assert status == (403 if digest in blocked else 201), step
            if status == 201 and (not stack or stack[-1] != digest):
                stack.append(digest)
        elif act == "r":
            status, _ = at.rollback(f"{channel}:next")
            allowed = len(stack) > 1 and stack[-2] not in blocked
            assert status == (201 if allowed else 404 if len(stack) < 2 else 403), step
            if allowed:
                stack.pop()
        elif act == "b" and digest not in blocked:
            blocked.add(digest)
            record(at, Act.BLOCK, digest, Block(digest=digest, why="x", actor="x", at=now()))
        elif act == "u" and digest in blocked:
            blocked.discard(digest)
            record(at, Act.UNBLOCK, digest, Unblock(digest=digest))
        elif act == "d":
            record(at, Act.DELETE_TAG, f"dev/{at.name}:latest", DeleteTag(repository=f"dev/{at.name}", tag="latest"))
        elif act == "k":
            at.push(made[digest], "latest", scanned=False)
        assert at.target("staging", "next") == (stack[-1] if stack else None), step
    for digest in blocked:
        record(at, Act.UNBLOCK, digest, Unblock(digest=digest))
    assert checked(at) == []
    assert len(stack) > 1
