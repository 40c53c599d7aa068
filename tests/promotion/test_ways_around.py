"""Ways around the gates. Each is refused, leaves the stage as it was, and is in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.audit.acts import Act
from appliance.clock import now
from appliance.control import promoting as route
from appliance.control.api import CONTROL
from appliance.image_signatures.applied import sign
from appliance.limits import image_signatures as limits
from appliance.settings.gates import Gate, PolicyException, Stage
from appliance.settings.image_policy import PolicyRules
from appliance.store.writes.jobs import CreateJob, MoveJob
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.registry import DeleteManifest, PutTag
from bundles.errors import RefusedError
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private
from bundles.signing.pinning import trust_key
from tests.access.site import basic
from tests.conformance.shapes import Content, image, index
from tests.control.test_repository_acts import push
from tests.gates.known import critical, harmless, load, scan
from tests.image_signatures.pulling import Held
from tests.image_signatures.signer import Image
from tests.intake.inside import Inside, name_of
from tests.outgoing.outside import Outside
from tests.promotion.desk import RULES, Desk, record


def liar() -> Content:
    """An image with an image's configuration that calls its layers an attestation's and itself an SBOM."""
    honest = image()
    fields = json.loads(honest.manifest)
    fields["artifactType"] = "application/spdx+json"
    for layer in fields["layers"]:
        layer["mediaType"] = "application/vnd.in-toto+json"
    return Content(canonical(fields), honest.blobs)


def block(at: Desk, digest: object) -> None:
    record(at, Act.BLOCK, str(digest), Block(digest=str(digest), why="bad", actor="somebody", at=now()))


Answer = tuple[int, Any]


def not_scanned(at: Desk) -> Answer:
    at.image("1", scanned=False)
    return at.promote("dev:1", "staging")


def carried_evidence_alone(at: Desk) -> Answer:
    """An SBOM from elsewhere describes it, and says that nothing is in it."""
    from appliance.advisories.seals import index_key
    from appliance.outgoing.sbom.index import index_write
    from tests.scanning.exports import cyclonedx

    content = at.image("1", scanned=False)
    at.submit(
        index_write(
            index_key(at.paths), str(content.digest), str(Digest.of(b"other")), cyclonedx("pkg:pypi/x@1"), "carried"
        )
    )
    return at.promote("dev:1", "staging")


def vulnerable(at: Desk) -> Answer:
    at.image("1")
    load(at.submit, at.paths, harmless(), critical())
    try:
        return at.promote("dev:1", "staging")
    finally:
        load(at.submit, at.paths, harmless())


def an_index_with_a_blocked_child(at: Desk) -> Answer:
    content = at.push(index([image(), image()]), "1")
    block(at, content.children[1].digest)
    return at.promote("dev:1", "staging")


def an_index_with_a_blocked_layer(at: Desk) -> Answer:
    content = at.push(index([image(), image()]), "1")
    block(at, Digest.of(content.children[1].blobs[-1]))
    return at.promote("dev:1", "staging")


def an_index_with_a_child_that_nobody_scanned(at: Desk) -> Answer:
    content = at.push(index([image(), image()]), "1", scanned=False)
    scan(at.submit, at.paths, content.children[0].digest)
    return at.promote("dev:1", "staging")


def an_index_within_an_index(at: Desk) -> Answer:
    inner = index([image()])
    at.push(index([inner]), "1", scanned=False)
    return at.promote("dev:1", "staging")


def a_lying_kind(at: Desk) -> Answer:
    at.push(liar(), "1", scanned=False)
    return at.promote("dev:1", "staging")


def a_lying_kind_below_an_attached_tag(at: Desk) -> Answer:
    content = at.push(liar(), f"sha256-{'0' * 64}.att", scanned=False)
    return at.promote(f"dev@{content.digest}", "staging", tag="1")


def to_a_tag_by_which_evidence_is_attached(at: Desk) -> Answer:
    at.image("1")
    return at.promote("dev:1", "staging", tag=f"sha256-{'0' * 64}.sig")


def past_a_stage(at: Desk) -> Answer:
    at.image("1")
    return at.promote("dev:1", "production")


def from_outside_of_every_stage(at: Desk) -> Answer:
    at.image("1", stage="elsewhere")
    return at.promote("elsewhere:1", "staging")


def over_an_immutable_tag(at: Desk) -> Answer:
    for tag in ("1", "2"):
        at.image(tag)
        assert at.promote(f"dev:{tag}", "staging")[0] == 201
    assert at.promote("staging:1", "production", tag="fixed")[0] == 201
    return at.promote("staging:2", "production", tag="fixed")


def back_from_an_immutable_tag(at: Desk) -> Answer:
    at.image("1")
    at.promote("dev:1", "staging")
    at.promote("staging:1", "production", tag="fixed")
    return at.rollback(f"production/{at.name}:fixed")


def a_digest_that_nothing_shows(at: Desk) -> Answer:
    """As what is in quarantine: in the store, and in no repository."""
    content = image()
    station = at.app[CONTROL].station
    for body in (*content.blobs, content.manifest):
        station.blobs.put(body, Digest.of(body))
    scan(at.submit, at.paths, content.digest)
    return at.promote(f"dev@{content.digest}", "staging", tag="1")


def what_was_deleted_meanwhile(at: Desk) -> Answer:
    content, name = at.image("1"), f"dev/{at.name}"
    record(at, Act.DELETE_MANIFEST, f"{name}@{content.digest}",
           DeleteManifest(repository=name, digest=str(content.digest)))  # fmt: skip
    return at.promote(f"dev@{content.digest}", "staging", tag="1")


def what_lies_in_the_graveyard(at: Desk) -> Answer:
    content = at.image("1")
    station = at.app[CONTROL].station
    station.paths.blob(Digest.of(content.blobs[-1])).unlink()
    return at.promote("dev:1", "staging")


def during_a_scan(at: Desk) -> Answer:
    at.image("1")
    params = json.dumps({"references": [f"dev/{at.name}:1"]})
    at.submit(CreateJob(id=f"scan-{at.name[-6:]}", kind="scan", params=params, actor="somebody", at=now()))
    return at.promote("dev:1", "staging")


def an_exception_that_is_over(at: Desk) -> Answer:
    at.image("1", scanned=False)
    over = [
        PolicyException(id=f"over-{rule}", owner="Anna", reason="x", repositories=["**"], rule=rule, until=now())
        for rule in ("severity", "inspected")
    ]
    at.apply(msgspec.structs.replace(RULES, exception=over))
    try:
        return at.promote("dev:1", "staging")
    finally:
        at.apply(RULES)


def a_policy_that_somebody_loosened_by_hand(at: Desk) -> Answer:
    at.image("1", scanned=False)
    file = at.root / "image-policy" / "policy.json"
    before = file.read_bytes()
    file.write_bytes(before.replace(b'"medium"', b'"high"'))
    try:
        return at.promote("dev:1", "staging")
    finally:
        file.write_bytes(before)


def a_copy_into_the_stage(at: Desk) -> Answer:
    at.image("1")
    return at.post("/v1/copies", source=f"dev/{at.name}:1", target=f"staging/{at.name}:1")


def a_copy_over_an_immutable_tag(at: Desk) -> Answer:
    for tag in ("1", "2"):
        at.image(tag)
    return at.post("/v1/copies", source=f"dev/{at.name}:2", target=f"dev/{at.name}:1")


def a_tag_of_an_immutable_stage_deleted(at: Desk) -> Answer:
    at.image("1")
    return at.post(f"/v1/repositories/dev/{at.name}/delete", tags="1")


def a_manifest_of_an_immutable_stage_deleted(at: Desk) -> Answer:
    content = at.image("1")
    return at.post(f"/v1/repositories/dev/{at.name}/delete", digest=str(content.digest))


WAYS: list[Callable[[Desk], Answer]] = [
    not_scanned, carried_evidence_alone, vulnerable, an_index_with_a_blocked_child, an_index_with_a_blocked_layer,
    an_index_with_a_child_that_nobody_scanned, an_index_within_an_index, a_lying_kind,
    a_lying_kind_below_an_attached_tag, to_a_tag_by_which_evidence_is_attached, past_a_stage,
    from_outside_of_every_stage, over_an_immutable_tag, back_from_an_immutable_tag, a_digest_that_nothing_shows,
    what_was_deleted_meanwhile, what_lies_in_the_graveyard, during_a_scan, an_exception_that_is_over,
    a_policy_that_somebody_loosened_by_hand, a_copy_into_the_stage, a_copy_over_an_immutable_tag,
    a_tag_of_an_immutable_stage_deleted, a_manifest_of_an_immutable_stage_deleted,
]  # fmt: skip
ACTS = (Act.PROMOTE, Act.ROLLBACK, Act.COPY_MANIFEST, Act.DELETE_TAG)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_way_around_the_gates_is_refused_and_recorded(at: Desk, way: Callable[[Desk], Answer]) -> None:
    before = {(stage, tag): at.target(stage, tag) for stage in ("staging", "production") for tag in ("1",)}
    status, refused = way(at)
    assert status in (400, 403, 404, 409), refused
    assert refused["remedy"]
    assert any(at.events(act, outcome) for act in ACTS for outcome in ("refused", "failed"))
    if way not in (over_an_immutable_tag, back_from_an_immutable_tag):
        assert {(stage, tag): at.target(stage, tag) for stage, tag in before} == before
        assert at.links("staging") == set()
    if way in (over_an_immutable_tag, back_from_an_immutable_tag):
        assert at.target("production", "fixed") == at.target("staging", "1")


def test_a_referrer_that_somebody_swapped_stays_behind(at: Desk) -> None:
    """An image that refers to a good one, under an SBOM's type, would be pulled by its digest."""
    content = at.image("1")
    swapped = liar()
    fields = json.loads(swapped.manifest) | {"subject": content.described()}
    at.push(Content(canonical(fields), swapped.blobs), scanned=False)
    status, done = at.promote("dev:1", "staging")
    bad = str(Digest.of(canonical(fields)))
    assert (status, done["left"], bad in at.links("staging")) == (201, [bad], False)


@pytest.mark.parametrize("meanwhile", ["the tag moves", "a block", "a policy", "advisories"])
def test_what_changes_between_the_judging_and_the_moving_does_not_slip_through(
    at: Desk, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    good = at.image("latest")
    bad = at.image(scanned=False)
    name, signed, calls = f"dev/{at.name}", route.sign_summary, list[int]()

    def moved(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            if meanwhile == "the tag moves":
                put = PutTag(repository=name, tag="latest", digest=str(bad.digest), at=now())
                record(at, Act.COPY_MANIFEST, f"{name}@{bad.digest}", put, source=name, tags="latest")
            elif meanwhile == "a block":
                block(at, good.digest)
            elif meanwhile == "a policy":
                shut = Stage(name="staging", sources=["production"])
                at.apply(msgspec.structs.replace(RULES, stage=[RULES.stage[0], shut, RULES.stage[2]]))
            else:
                load(at.submit, at.paths, harmless(), critical())
        return signed(*args)

    monkeypatch.setattr(route, "sign_summary", moved)
    status, refused = at.promote("dev:latest", "staging")
    at.apply(RULES)
    load(at.submit, at.paths, harmless())
    assert (status, len(calls)) == (403, 1), refused
    assert at.target("staging", "latest") is None
    assert at.links("staging") == set()
    assert at.events(Act.PROMOTE, "refused")


def test_a_promotion_takes_the_right_to_push_where_it_goes(at: Desk) -> None:
    at.image("1")
    try:
        at.be(("reader", "**"), ("writer", "dev/**"))
        assert at.promote("dev:1", "staging")[0] == 403
        at.be(("reader", "dev/**"), ("writer", "staging/**"))
        assert at.promote("dev:1", "staging")[0] == 201
        assert at.rollback(f"staging/{at.name}:1")[0] == 403
    finally:
        at.callers.now = type(at.callers.now)("owner", everything=True)


def test_a_scan_that_has_yet_to_begin_is_waited_for_where_the_station_begins_them(at: Desk) -> None:
    content = at.image("1", scanned=False)
    at.new()
    at.push(content, "1", stage="free", scanned=False)
    shared = at.app[CONTROL].station
    sbom = msgspec.structs.replace(shared.config.sbom, on_push=True)
    at.app[CONTROL].station = replace(shared, config=msgspec.structs.replace(shared.config, sbom=sbom))
    try:
        refused = at.promote("free:1", "dev")[1]
        assert (refused["code"], refused["thing"]) == ("scan", str(content.digest))
        scan(at.submit, at.paths, content.digest)
        assert at.promote("free:1", "dev")[0] == 201
    finally:
        at.app[CONTROL].station = shared


def test_a_running_scan_is_waited_for_and_then_it_goes(at: Desk) -> None:
    at.image("1")
    params = json.dumps({"references": [f"dev/{at.name}:1"]})
    at.submit(CreateJob(id="scan-late", kind="scan", params=params, actor="somebody", at=now()))
    assert at.promote("dev:1", "staging")[1]["code"] == "scan"
    at.submit(MoveJob(id="scan-late", state="done", phase="", done=0, total=0, at=now()))
    assert at.promote("dev:1", "staging")[0] == 201


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "PULL_POLICY_LOOK", 3600.0)
        with Held(tmp_path_factory.mktemp("held")) as opened:
            fixed = Stage(name="fixed", entry="any", immutable=True)
            opened.apply(stage=[Stage(name="production", immutable=True), fixed])
            yield opened


def test_a_client_gets_nothing_into_a_stage_by_whichever_worker(held: Held) -> None:
    image = Image()
    digest = held.push(image, "1", repository="free/app")
    config = next(one for one in image.store.blobs if one != digest)
    sent = basic("dev") | {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    asked = [
        ("PUT", "/v2/production/app/manifests/1", image.subject.raw),
        ("PUT", f"/v2/production/app/manifests/{digest}", image.subject.raw),
        ("PUT", f"/v2/production/app/manifests/{digest}?tag=1", image.subject.raw),
        ("POST", f"/v2/production/app/blobs/uploads/?digest={config}", image.store.blobs[config]),
        ("POST", "/v2/production/app/blobs/uploads/", b""),
        ("POST", f"/v2/production/app/blobs/uploads/?mount={config}&from=free/app", b""),
    ]
    before = len(held.refusals())
    for worker in held.workers:
        for method, path, body in asked:
            assert worker.ask(method, path, body, sent).status == 403, path
    assert len(held.refusals()) > before
    assert held.workers[0].ask("GET", "/v2/production/app/tags/list", headers=basic("dev")).status == 404


def test_a_client_moves_and_deletes_nothing_in_an_immutable_stage(held: Held) -> None:
    first, second = Image(text="first"), Image(text="second")
    digest = held.push(first, "1", repository="fixed/app")
    other = held.push(second, repository="fixed/app")
    sent = basic("dev") | {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    for worker in held.workers:
        assert worker.ask("PUT", "/v2/fixed/app/manifests/1", first.subject.raw, sent).status == 201  # the same
        assert worker.ask("PUT", "/v2/fixed/app/manifests/1", second.subject.raw, sent).status == 403
        assert worker.ask("PUT", f"/v2/fixed/app/manifests/{other}?tag=1", second.subject.raw, sent).status == 403
        for path in ("manifests/1", f"manifests/{digest}", f"blobs/{next(iter(first.store.blobs))}"):
            assert worker.ask("DELETE", f"/v2/fixed/app/{path}", headers=basic("dev")).status == 403, path
    assert held.pull("manifests/1", repository="fixed/app").headers["Docker-Content-Digest"] == str(digest)


def test_a_release_moves_no_tag_of_an_immutable_stage(tmp_path: Path) -> None:
    from tests.gates.test_gates import quarantined

    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        anna, boris = inside.officer("Anna"), inside.officer("Boris")
        digest = quarantined(inside, tmp_path / "stick")
        inside.decide(name_of(), anna)
        for key in (anna, boris):
            sign(inside.root, PolicyRules(stage=[Stage(name="production", immutable=True)]), key)
        standing = push(inside, "production/app", image(), "1")
        with pytest.raises(RefusedError, match="immutable"):
            inside.release(name_of())
        metadata = inside.station.metadata
        assert metadata.tag_target("production/app", "1") == str(standing)
        assert metadata.linked_manifest("production/app", digest) is None


def test_a_collect_brings_nothing_into_a_stage(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside:
        keys = [create_private(), create_private()]
        for key, owner in zip(keys, ("Anna", "Boris"), strict=True):
            trust_key(outside.station.paths.trust, key.public, purpose="release", owner=owner)
            sign(outside.root, PolicyRules(stage=[Stage(name="production")]), key)
        (tmp_path / "plain.bin").write_bytes(b"content")
        source = {"kind": "file", "path": str(tmp_path / "plain.bin")}
        with pytest.raises(RefusedError, match="by promotion and by release alone"):
            outside.collect(source | {"as": "production/plain:1"})
        assert outside.station.metadata.tag_target("production/plain", "1") is None
        outside.collect(source | {"as": "dev/plain:1"})


HELD = Gate(repositories=["held/**"], at=["pull"], max_severity="medium")


@pytest.fixture
def holding(at: Desk) -> Iterator[Desk]:
    """The repositories of `held` are gated at pulls, and their images are given to who may push there alone."""
    at.apply(msgspec.structs.replace(RULES, gate=[*RULES.gate, HELD]))
    yield at
    at.apply(RULES)
    at.callers.now = type(at.callers.now)("owner", everything=True)


def test_a_copy_is_no_way_around_a_gate_at_pulls(holding: Desk) -> None:
    """An image that passes, one that nobody scanned, and one that calls itself a referrer of the first."""
    at = holding
    good, bad = at.image("good", stage="held"), at.image("bad", scanned=False, stage="held")
    lie = liar()
    swapped = Content(canonical(json.loads(lie.manifest) | {"subject": good.described()}), lie.blobs)

    def copy(what: str) -> int:
        return at.post("/v1/copies", source=f"held/{at.name}{what}", target=f"free/{at.name}:1")[0]

    at.be(("reader", "held/**"), ("writer", "free/**"))
    assert (copy(":good"), copy(":bad"), copy(f"@{bad.digest}")) == (201, 403, 403)
    at.push(swapped, scanned=False, stage="held")
    assert copy(":good") == 403
    assert at.links("free") & {str(bad.digest), str(swapped.digest)} == set()
    assert len(at.events(Act.COPY_MANIFEST, "refused")) == 3
    at.be(("writer", "held/**"), ("writer", "free/**"))
    assert copy(":bad") == 201


def test_a_promotion_is_no_way_around_a_gate_at_pulls_where_it_comes_from(holding: Desk) -> None:
    at = holding
    at.apply(
        msgspec.structs.replace(RULES, gate=[HELD], stage=[Stage(name="open"), Stage(name="shut", sources=["open"])])
    )
    content = at.image("1", scanned=False, stage="held")
    assert at.promote("held:1", "open")[0] == 403
    assert at.promote(f"held@{content.digest}", "open", tag="2")[0] == 403
    scan(at.submit, at.paths, content.digest)
    assert at.promote("held:1", "open")[0] == 201
