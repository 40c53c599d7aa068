"""What may be pulled where a policy for images is in force, and the ways around it, by two workers of one station."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from appliance import clock
from appliance.control import policy_watch
from appliance.image_signatures.attaching import Attaching, HandedIn, by_key_alone, write_of
from appliance.image_signatures.judge import Judge
from appliance.image_signatures.naming import Remembered
from appliance.image_signatures.policy_in_force import look
from appliance.limits import audit as audit_limits
from appliance.limits import image_signatures as limits
from appliance.store.reads.registry import Metadata
from appliance.trust_acts import revoke
from bundles.image_signatures.making import Form, sign_image
from bundles.image_signatures.verdict import Subject
from bundles.oci.digest import Digest
from bundles.oci.kinds import SPDX
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from bundles.signing.keys import create_private
from tests.access.site import basic
from tests.image_signatures.pulling import SIGNER, Held, blobs_of, index_of, rule, signed
from tests.image_signatures.signer import Image

HOUR = 3600.0
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "PULL_POLICY_LOOK", HOUR)  # acts alone say when files are looked at
        with Held(tmp_path_factory.mktemp("held")) as opened:
            yield opened


@pytest.fixture
def held(station: Held) -> Held:
    """The station with a repository of its own for each test, below team/**, where images must be signed."""
    station.team = f"team/app{next(NUMBERS)}"
    if station.rules != (rule(),):
        station.apply(rule())
    return station


@pytest.fixture
def looking(held: Held, monkeypatch: pytest.MonkeyPatch) -> Held:
    """The station, whose workers look at the files for every pull."""
    monkeypatch.setattr(limits, "PULL_POLICY_LOOK", 0.0)
    held.pin(create_private(), "image", "Somebody")  # what was looked at before counts no longer
    return held


def signed_index(*children: bytes) -> Image:
    """An index as an image that can be signed."""
    index = Image()
    raw = index_of(*children)
    index.subject = Subject.of(raw, OCI_INDEX, index.store.add(raw))
    return index


def push_index(held: Held, index: Image, *children: Image, tag: str = "") -> None:
    for child in children:
        held.push(child)
    held.put(index.subject.raw, tag)
    held.attach(index)


def test_an_image_that_nobody_signed_is_refused_however_it_is_asked_for(held: Held) -> None:
    digest = held.push(Image(), "1")
    mark = f'"{digest}"'
    for path in ("manifests/1", f"manifests/{digest}"):
        assert held.statuses(path) == {403}
        assert held.statuses(path, If_None_Match=mark) == {403}
    answer = held.pull("manifests/1")
    (error,) = answer.json["errors"]
    assert error["code"] == "DENIED"
    assert error["detail"] == {
        "digest": str(digest), "policy": "1", "rule": "1", "why": "signed by 0 of 1 that count",
        "asks": "signed by 1 distinct owner",
    }  # fmt: skip
    assert held.pull("manifests/1", method="HEAD").body == b""


def test_neither_its_configuration_nor_its_layers_are_given_out(held: Held) -> None:
    image = Image()
    held.push(image, "1")
    for blob in blobs_of(image.subject.raw):
        path = f"blobs/{blob}"
        assert held.statuses(path) == {403}
        for sent in (
            {"Range": "bytes=0-3"}, {"Range": "bytes=90000-"}, {"If_None_Match": f'"{blob}"'},
            {"If_Match": '"sha256:0"'}, {"If_Match": f'"{blob}"'},
        ):  # fmt: skip
            assert held.statuses(path, **sent) == {403}
    held.attach(signed())
    assert held.statuses(f"blobs/{blobs_of(image.subject.raw)[0]}") == {200}


def test_a_blob_that_no_manifest_names_is_given_to_nobody_who_may_not_push(held: Held) -> None:
    digest = held.put_blob(b"a layer that was pushed first")
    assert held.statuses(f"blobs/{digest}") == {403}
    assert held.statuses(f"blobs/{digest}", name="dev", actions="pull,push") == {200}


def test_its_blobs_are_not_mounted_from_there(held: Held) -> None:
    image = Image(text=held.team)
    held.push(image, "1")
    blob = blobs_of(image.subject.raw)[1]

    def mount(sender: str, source: str = f"&from={held.team}") -> int:
        path = f"/v2/free/app/blobs/uploads/?mount={blob}{source}"
        return held.workers[1].ask("POST", path, headers=basic(sender)).status

    assert (mount("mover"), mount("mover", "")) == (202, 202)
    assert held.pull(f"blobs/{blob}", repository="free/app", name="mover").status == 404
    assert ("mover", held.team) in {(event["actor"], event["thing"]) for event in held.refusals()}
    assert mount("dev") == 201
    held.attach(signed(held.team))
    assert mount("mover") == 201


def test_a_signed_image_is_pulled_whole_and_so_is_what_is_said_about_it(held: Held) -> None:
    image = signed()
    image.cosign_by(SIGNER)
    sbom = image.carry(SPDX, b'{"spdxVersion": "SPDX-2.3"}', artifact_type=SPDX)
    digest = held.push(image, "1")
    fallback = f"sha256-{digest.hex}"
    held.put(index_of(image.store.blobs[sbom.digest]), fallback)
    assert held.statuses("manifests/1") == held.statuses(f"manifests/{digest}") == {200}
    assert held.statuses(f"manifests/{digest}", If_None_Match=f'"{digest}"') == {304}
    evidence = [image.store.blobs[one.digest] for one in image.carriers]
    for blob in {*blobs_of(image.subject.raw), *(blob for raw in evidence for blob in blobs_of(raw))}:
        assert held.statuses(f"blobs/{blob}") == {200}
    for name in (
        f"manifests/{fallback}.sig",
        f"manifests/{fallback}",
        *(f"manifests/{Digest.of(raw)}" for raw in evidence),
    ):
        assert held.statuses(name) == {200}
    listed = held.pull(f"referrers/{digest}").json["manifests"]
    assert {one["digest"] for one in listed} == {str(one.digest) for one in image.carriers if not one.tag}


def test_evidence_of_an_image_that_is_not_signed_enough_can_be_read(held: Held) -> None:
    """So that whoever verifies it elsewhere sees why."""
    image = signed(key=create_private())
    held.push(image, "1")
    (carrier,) = image.carriers
    assert held.statuses("manifests/1") == {403}
    assert held.statuses(f"manifests/{carrier.digest}") == {200}
    assert [one["digest"] for one in held.pull(f"referrers/{image.subject.digest}").json["manifests"]]


def test_who_may_push_there_sees_it_before_it_is_signed_by_a_token_for_that(held: Held) -> None:
    digest = held.push(Image(), "1")
    assert held.statuses("manifests/1", name="dev", actions="pull,push") == {200}
    assert held.statuses("manifests/1", name="dev") == {401}
    answer = held.pull("manifests/1", name="dev")
    assert answer.code == "DENIED"
    asked = answer.headers["WWW-Authenticate"]
    assert f'scope="repository:{held.team}:pull,push"' in asked
    assert 'error="insufficient_scope"' in asked
    assert held.pull("manifests/1").headers["WWW-Authenticate"] is None
    assert held.workers[1].ask("GET", f"/v2/{held.team}/manifests/{digest}", headers=basic("dev")).status == 200
    assert held.workers[1].ask("GET", f"/v2/{held.team}/manifests/{digest}", headers=basic("node")).status == 403


def test_a_signature_that_comes_later_counts_at_once(held: Held) -> None:
    held.push(Image(), "1")
    assert held.statuses("manifests/1") == {403}
    held.attach(signed())
    assert held.statuses("manifests/1") == {200}


def test_a_known_verdict_asks_the_database_nothing_until_somebody_commits(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.push(signed(), "1")
    asked, really = list[str](), Metadata.change_of

    def counting(metadata: Metadata, repository: str) -> int:
        asked.append(repository)
        return really(metadata, repository)

    assert [held.pull("manifests/1").status for _ in range(3)] == [200] * 3
    monkeypatch.setattr(Metadata, "change_of", counting)
    assert [held.pull("manifests/1").status for _ in range(20)] == [200] * 20
    assert len(asked) <= 1
    held.push(Image(text="elsewhere"), "1", repository="free/app")
    before = len(asked)
    assert [held.pull("manifests/1").status for _ in range(3)] == [200] * 3
    assert held.team in asked[before:]


def test_a_signature_that_goes_counts_no_more(held: Held) -> None:
    for image, path in ((signed(), ""), (Image(text="other"), "tag")):
        if path:
            image.cosign_by(SIGNER)
        digest = held.push(image, "1")
        assert held.statuses("manifests/1") == {200}
        held.delete(f"manifests/{image.sig if path else image.carriers[0].digest}")
        assert held.statuses("manifests/1") == held.statuses(f"manifests/{digest}") == {403}


def test_another_images_signature_put_in_its_place_counts_not(held: Held) -> None:
    image, other = Image(), Image(text="another image")
    image.cosign_by(SIGNER)
    held.push(image, "1")
    assert held.statuses("manifests/1") == {200}
    other.cosign_by(SIGNER)
    held.push(other, "2")
    held.put(other.store.blobs[other.carriers[0].digest], image.sig)
    assert held.statuses("manifests/1") == {403}
    assert held.statuses("manifests/2") == {200}


def test_a_tag_that_is_moved_to_another_image_leads_to_a_refusal(held: Held) -> None:
    held.push(signed(), "1")
    assert held.statuses("manifests/1") == {200}
    held.push(Image(text="another image"), "1")
    assert held.statuses("manifests/1") == {403}


def test_a_manifest_put_together_of_signed_images_blobs_is_refused(held: Held) -> None:
    first, second = signed(), signed("another image")
    held.push(first, "1")
    held.push(second, "2")
    mixed = json.loads(first.subject.raw)
    mixed["layers"] += json.loads(second.subject.raw)["layers"]
    held.put(json.dumps(mixed).encode(), "3")
    assert held.statuses("manifests/3") == {403}
    by_other_digest = Digest.of(first.subject.raw, "sha512")
    path = f"/v2/{held.team}/manifests/{by_other_digest}"
    sent = basic("dev") | {"Content-Type": OCI_MANIFEST}
    assert held.workers[0].ask("PUT", path, first.subject.raw, sent).status == 201
    assert held.statuses(f"manifests/{by_other_digest}") == {403}
    assert held.statuses("manifests/1") == {200}


def test_a_signed_index_answers_for_what_it_names_and_an_unsigned_one_for_nothing(held: Held) -> None:
    first, second = Image(), Image(text="another image")
    index, unsigned = signed_index(first.subject.raw), signed_index(first.subject.raw, second.subject.raw)
    index.bundle_by(SIGNER)
    push_index(held, unsigned, first, second, tag="2")
    child = f"manifests/{first.subject.digest}"
    assert held.statuses("manifests/2") == held.statuses(child) == {403}
    push_index(held, index, tag="1")
    assert held.statuses("manifests/1") == held.statuses(child) == {200}
    assert held.statuses(f"blobs/{blobs_of(first.subject.raw)[1]}") == {200}
    assert held.statuses("manifests/2") == held.statuses(f"manifests/{second.subject.digest}") == {403}
    assert held.statuses(f"blobs/{blobs_of(second.subject.raw)[1]}") == {403}
    held.delete(f"manifests/{index.subject.digest}")
    assert held.statuses(child) == {403}


def test_an_index_above_an_index_answers_too(held: Held) -> None:
    child = Image()
    inner = index_of(child.subject.raw)
    above = json.loads(index_of(inner))
    above["manifests"][0]["mediaType"] = OCI_INDEX
    outer = Image()
    raw = json.dumps(above).encode()
    outer.subject = Subject.of(raw, OCI_INDEX, outer.store.add(raw))
    outer.bundle_by(SIGNER)
    held.push(child)
    held.put(inner)
    assert held.statuses(f"manifests/{child.subject.digest}") == {403}
    push_index(held, outer)
    for digest in (outer.subject.digest, Digest.of(inner), child.subject.digest):
        assert held.statuses(f"manifests/{digest}") == {200}


def test_an_index_of_signed_images_needs_a_signature_itself(held: Held) -> None:
    first, second = signed(), signed("another image")
    push_index(held, signed_index(first.subject.raw, second.subject.raw), first, second, tag="1")
    assert held.statuses("manifests/1") == {403}
    assert held.statuses(f"manifests/{first.subject.digest}") == {200}


def test_each_image_needs_its_own_signature_where_the_rule_says_so(held: Held) -> None:
    held.apply(rule(children="own"))
    bare, own = Image(), signed("another image")
    index = signed_index(bare.subject.raw, own.subject.raw)
    index.bundle_by(SIGNER)
    push_index(held, index, bare, own, tag="1")
    assert held.statuses("manifests/1") == held.statuses(f"manifests/{own.subject.digest}") == {200}
    assert held.statuses(f"manifests/{bare.subject.digest}") == {403}


@pytest.mark.parametrize("tag", ["sha256-{}.sig", "sha256-{}.att", "sha256-{}.sbom", "sha256-{}"])
def test_an_image_at_the_tag_of_a_signature_is_no_evidence(held: Held, tag: str) -> None:
    hidden, index = Image(text="another image"), Image()
    named = tag.format(signed().subject.digest.hex)
    held.push(hidden, named)
    assert held.statuses(f"manifests/{named}") == {403}
    raw = index_of(hidden.subject.raw)
    index.subject = Subject.of(raw, OCI_INDEX, index.store.add(raw))
    push_index(held, index, tag=named)
    assert held.statuses(f"manifests/{named}") == {403}


def test_evidence_gives_no_image_out_as_its_configuration_or_layer(held: Held) -> None:
    """A manifest whose types all say evidence, over what an unsigned image is made of."""
    layer, config = gzip.compress(b"x" * 4000), b"\0" * 600
    blobs = [held.put_blob(raw) for raw in (config, layer, b"{}")]
    hidden = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": SPDX,
              "subject": {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 1}}  # fmt: skip

    def described(kind: str, digest: Digest, size: int) -> dict[str, Any]:
        return {"mediaType": kind, "digest": str(digest), "size": size}

    document = described(SPDX, blobs[2], 2)
    as_layer = {**hidden, "config": document, "layers": [described(SPDX, blobs[1], len(layer))]}
    as_config = {**hidden, "config": described(OCI_CONFIG, blobs[0], len(config)), "layers": [document]}
    held.put(json.dumps(as_layer).encode(), "1")
    evidence = held.put(json.dumps(as_config).encode())
    assert held.statuses("manifests/1") == held.statuses(f"blobs/{blobs[1]}") == {403}
    assert held.statuses(f"manifests/{evidence}") == held.statuses(f"blobs/{blobs[2]}") == {200}
    assert held.statuses(f"blobs/{blobs[0]}") == {403}


def test_a_revoked_key_stops_pulls_by_the_next_request_of_every_worker(held: Held) -> None:
    key = create_private()
    held.pin(key, "image", "Visitors")
    image = signed(key=key)
    held.push(image, "1")
    blob = f"blobs/{blobs_of(image.subject.raw)[1]}"
    assert held.statuses("manifests/1") == held.statuses(blob) == {200}
    revoke(held.paths.root, key.public.keyid, "lost")
    assert held.statuses("manifests/1") == held.statuses(blob) == {403}
    assert held.statuses("manifests/1", If_None_Match=f'"{image.subject.digest}"') == {403}


def test_a_key_that_is_pinned_and_a_policy_that_is_applied_count_at_once(held: Held) -> None:
    key = create_private()
    held.push(signed(key=key), "1")
    assert held.statuses("manifests/1") == {403}
    held.pin(key, "image", "Another team")
    assert held.statuses("manifests/1") == {200}
    held.apply(rule(owners=["Build team"]))
    assert held.statuses("manifests/1") == {403}
    held.apply(rule("free/**"))
    assert held.statuses("manifests/1") == {200}


def test_a_policy_is_noticed_where_there_was_none(held: Held) -> None:
    held.push(Image(), "1")
    held.apply()
    assert held.statuses("manifests/1") == {200}
    held.apply(rule())
    assert held.statuses("manifests/1") == {403}


def test_a_file_that_somebody_changes_by_hand_is_noticed(looking: Held) -> None:
    held = looking
    held.apply(rule(owners=["Build team"]))
    held.push(signed(), "1")
    assert held.statuses("manifests/1") == {200}
    record = held.paths.trust / f"{SIGNER.public.keyid}.json"
    raw = record.read_bytes()
    record.write_bytes(raw.replace(b"Build team", b"Other people"))
    assert held.statuses("manifests/1") == {403}
    record.write_bytes(raw)
    assert held.statuses("manifests/1") == {200}


def test_where_the_policy_is_not_the_applied_one_nothing_is_pulled(looking: Held) -> None:
    """Exchanged, or taken away: also what no rule is about, since nobody knows the rules."""
    held, image = looking, signed()
    held.push(image, "1")
    held.push(image, "1", repository="free/app")
    assert held.statuses("manifests/1") == held.statuses("manifests/1", repository="free/app") == {200}
    file = held.paths.image_policy / "policy.json"
    raw, other = file.read_bytes(), file.with_name("other")

    def put(data: bytes) -> None:
        other.write_bytes(data)
        other.rename(file)

    for change in (file.unlink, lambda: put(raw.replace(b"enforce", b"warn"))):
        change()
        assert held.statuses("manifests/1") == held.statuses("manifests/1", repository="free/app") == {403}
        assert held.statuses("manifests/1", name="dev", actions="pull,push") == {200}
        assert not policy_watch.check(look(held.paths, None))["ok"]
        put(raw)
        assert held.statuses("manifests/1") == {200}
        assert policy_watch.check(look(held.paths, None))["ok"]


def test_where_the_pinned_keys_cannot_be_read_nothing_is_pulled(looking: Held) -> None:
    held = looking
    held.push(signed(), "1")
    assert held.statuses("manifests/1") == {200}
    stray = held.paths.trust / "stray.txt"
    stray.write_bytes(b"")
    assert held.statuses("manifests/1") == {403}
    stray.unlink()
    assert held.statuses("manifests/1") == {200}


def test_a_repository_that_went_and_came_again_is_judged_anew(held: Held) -> None:
    image = signed()
    digest = held.push(image)
    assert held.statuses(f"manifests/{digest}") == {200}
    manifests = {digest, image.carriers[0].digest}
    for one in manifests:
        held.delete(f"manifests/{one}")
    for blob in image.store.blobs.keys() - manifests:
        held.delete(f"blobs/{blob}")
    assert held.pull("tags/list").status == 404
    image.carriers.clear()
    held.push(image)
    assert held.statuses(f"manifests/{digest}") == {403}


def test_a_rule_that_warns_lets_pull_and_says_so(held: Held) -> None:
    held.apply(rule(mode="warn", owners=['Büro "A"']), rule("off/**", mode="off"))
    held.push(Image(), "1")
    held.push(Image(), "1", repository="off/app")
    for method in ("GET", "HEAD"):
        answer = held.pull("manifests/1", method=method)
        assert answer.status == 200
        assert answer.headers["Warning"] == '299 - "rule 1 of the policy for images: signed by 0 of 1 that count"'
    assert held.pull("manifests/1", repository="off/app").headers["Warning"] is None
    blob = blobs_of(Image().subject.raw)[1]
    assert held.pull(f"blobs/{blob}").status == 200
    path = f"/v2/free/warned/blobs/uploads/?mount={blob}&from={held.team}"
    assert held.workers[1].ask("POST", path, headers=basic("mover")).status == 201


def test_a_warning_is_one_line_of_ascii_whatever_the_rule_says(held: Held) -> None:
    held.apply(rule(mode="warn", attestations=['https://x/"é\\']))
    held.push(signed(), "1")
    said = held.pull("manifests/1").headers["Warning"]
    assert said.startswith('299 - "rule 1 of the policy for images: no attestation that counts of https://x/\\"')
    assert said.endswith('\\\\"')
    assert said.isascii()


def test_what_stands_in_the_file_of_a_manifest_does_not_decide_about_what_is_in_memory(held: Held) -> None:
    """Evidence in the place of an unsigned image's file, once every worker has read the image."""
    image, evidence = Image(), signed("another image")
    held.attach(evidence)
    digest = held.push(image)
    assert held.statuses(f"manifests/{digest}", name="dev", actions="pull,push") == {200}
    file = held.paths.blob(digest)
    file.chmod(0o600)
    file.write_bytes(evidence.store.blobs[evidence.carriers[0].digest])
    held.push(Image(text="one more"))  # so that what was found before counts no longer
    assert not held.statuses(f"manifests/{digest}") & {200, 304}


def test_where_a_manifests_file_is_gone_that_is_said_and_not_that_nobody_signed(held: Held) -> None:
    digest = held.push(Image(text="one that is lost"), "1")
    held.paths.blob(digest).unlink()
    assert held.statuses("manifests/1") == {503}


def test_what_names_a_blob_is_searched_for_up_to_a_ceiling(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    image = signed(held.team)
    held.push(image, "1")
    for number in range(3):
        unsigned = json.loads(image.subject.raw)
        unsigned["annotations"] = {"number": str(number)}
        held.put(json.dumps(unsigned).encode())
    blob = Digest.parse(blobs_of(image.subject.raw)[1])
    metadata = held.workers[0].services.metadata

    def why(**ceilings: int) -> str:
        for name, ceiling in ceilings.items():
            monkeypatch.setattr(limits, name, ceiling)
        found = Judge(look(held.paths, None), Remembered()).verdict(held.blobs, metadata, held.team, blob, "blob")
        return "" if found.objection is None else found.objection.why

    assert why() == ""
    assert "too many manifests name it" in why(PULL_JUDGED=0)
    for name in ("PULL_SEARCHED", "PULL_SEARCHED_SIZE"):
        assert "too many manifests to look" in why(PULL_JUDGED=9, **{name: 0})
        monkeypatch.setattr(limits, name, 10_000_000)


def test_names_are_listed_whatever_their_images_lack(held: Held) -> None:
    held.push(Image(), "1")
    assert held.pull("tags/list").json["tags"] == ["1"]
    assert held.team in held.workers[0].ask("GET", "/v2/_catalog", headers=basic("node")).json["repositories"]


def test_the_audit_log_says_who_was_refused_what_and_why(held: Held) -> None:
    held.person("watcher", "reader **")
    digest = held.push(Image(), "1")
    for _ in range(audit_limits.AUDIT_FLOOD_FREE + 4):
        held.pull("manifests/1", name="watcher")
    events = [event for event in held.refusals() if event["actor"] == "watcher"]
    assert events[0]["thing"] == f"/v2/{held.team}/manifests/1"
    detail = events[0]["detail"]
    assert (detail["status"], detail["digest"]) == (403, str(digest))
    assert detail["reason"] == "rule 1 of the policy for images: signed by 0 of 1 that count"
    assert len(events) == audit_limits.AUDIT_FLOOD_FREE + 1
    assert events[-1]["detail"]["repeated"] == 4


def test_a_verdict_counts_no_longer_than_the_keys_stand_as_they_do(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    key = create_private()
    held.pin(key, "image", "Guests", not_before="2098-01-01T00:00:00Z", not_after="2099-01-01T00:00:00Z")
    image = signed(key=key)
    held.push(image, "1")
    metadata = held.workers[0].services.metadata

    def verdict_at(text: str) -> tuple[bool, float]:
        monkeypatch.setattr(clock, "now", lambda: text)
        monkeypatch.setattr(clock, "micros", lambda: clock.seconds(text) * 1_000_000)
        before = time.monotonic()
        judge = Judge(look(held.paths, None), Remembered())
        known = judge.verdict(held.blobs, metadata, held.team, image.subject.digest, "manifest")
        return known.objection is None, known.until - before

    for text, counts, most in (
        ("2097-12-31T23:59:58Z", False, 2.0), ("2098-01-01T00:00:00Z", True, limits.PULL_VERDICT_KEPT),
        ("2098-12-31T23:59:50Z", True, 11.0), ("2099-01-01T00:00:00Z", True, 1.0),
        ("2099-01-01T00:00:01Z", False, limits.PULL_OBJECTION_KEPT),
    ):  # fmt: skip
        found, kept = verdict_at(text)
        assert found is counts
        assert kept == pytest.approx(most, abs=0.5)


def test_what_is_signed_here_is_pulled_from_then_on_by_every_worker(held: Held) -> None:
    metadata = held.workers[0].services.metadata
    for number, form in enumerate(Form):
        digest = held.push(Image(text=f"signed here {form}"), str(number))
        assert held.statuses(f"manifests/{number}") == {403}
        pins = by_key_alone(SIGNER.public, "bravo", clock.now())
        made = HandedIn(digest, sign_image(form, digest, SIGNER))
        attached = Attaching(held.blobs, metadata, held.team, pins).attach([made])  # type: ignore[arg-type]
        held.submit(write_of(held.team, attached, clock.now()))
        assert held.statuses(f"manifests/{number}") == {200}
