"""The policy for images: what rules ask for, who puts it into force, and what a release does by it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.audit.acts import Act
from appliance.image_signatures import applied
from appliance.image_signatures.applied import keep_logged, load_applied, proposed, sign
from appliance.image_signatures.logged import logged_digest
from appliance.image_signatures.rules import objection
from appliance.image_signatures.states import Found
from appliance.intake import inspection
from appliance.intake.content import check_content
from appliance.intake.image_signers import signable
from appliance.settings.image_policy import ImageRule, PolicyRules, decode, encode, read_rules
from bundles.errors import FailedError, MalformedError, RefusedError, UsageError
from bundles.format.manifest import Artifact
from bundles.image_signatures.pins import Pins
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import revoke_key, trust_key
from tests.bundles.small import MemoryStore
from tests.image_signatures.signer import AT, INDEX, PROVENANCE, Image, Layout, certify, jws, pins
from tests.intake.inside import Inside, carry, name_of
from tests.outgoing.outside import Outside

LEGACY, BUNDLE = Layout("legacy"), Layout("bundle")
ANNA, BORIS = create_private(), create_private()


def rule(*repositories: str, **asked: Any) -> ImageRule:
    return ImageRule(repositories=list(repositories or ("**",)), **asked)


def asking(*rules: ImageRule) -> PolicyRules:
    return PolicyRules(image=list(rules))


def found(image: Image, known: Pins) -> Found:
    return Found(image.subject.digest, "image", "", tuple(image.verdicts(known)))


def signed_by(*keys: PrivateKey, owners: tuple[str, ...] = ()) -> Found:
    """An image with a bundle of each key, their owners `owner 1`, … or these."""
    image = Image()
    for key in keys:
        image.bundle_by(key)
    known = pins(*(key.public for key in keys))
    if owners:
        records = tuple(replace(one, owner=owner) for one, owner in zip(known.keys, owners, strict=True))
        known = replace(known, keys=records)
    return found(image, known)


# What rules ask for.


@pytest.mark.parametrize(
    ("asked", "satisfied"),
    [
        ({}, True), ({"people": 2}, True), ({"people": 3}, False),
        ({"owners": ["owner 1"]}, True), ({"owners": ["OWNER  1"]}, False),
        ({"owners": ["owner l"]}, False), ({"owners": ["owner 3"]}, False),
        ({"owners": ["owner 1"], "people": 2}, False), ({"keys": [ANNA.public.keyid]}, True),
        ({"keys": ["0" * 16]}, False), ({"keys": [ANNA.public.keyid], "people": 2}, False),
        ({"annotations": {"team": "alpha"}}, False), ({"attestations": [PROVENANCE]}, False),
        ({"identities": ["CN=signer"]}, False),
    ],
)  # fmt: skip
def test_a_rule_is_satisfied_by_the_signatures_it_asks_for(asked: dict[str, Any], satisfied: bool) -> None:
    assert (objection(rule(**asked), signed_by(ANNA, BORIS), AT) is None) is satisfied


def test_two_keys_of_one_owner_are_one_person_however_the_name_is_spelt() -> None:
    both = signed_by(ANNA, BORIS, owners=("Anna Berg", "ANNA  BERG"))
    assert objection(rule(people=2), both, AT) == "signed by 1 of 2 that count"


def test_annotations_count_where_they_were_signed_with_the_signature_that_counts() -> None:
    image = Image()
    image.cosign_by(ANNA)  # signs team=alpha
    assert objection(rule(annotations={"team": "alpha"}), found(image, pins(ANNA.public)), AT) is None
    assert objection(rule(annotations={"team": "beta"}), found(image, pins(ANNA.public)), AT) is not None
    image.bundle_by(BORIS)
    both = found(image, pins(ANNA.public, BORIS.public))
    assert objection(rule(annotations={"team": "alpha"}, people=2), both, AT) == "signed by 1 of 2 that count"


def test_an_attestation_is_no_signature_and_counts_by_its_exact_type() -> None:
    image = Image()
    image.bundle_by(ANNA, image.statement(PROVENANCE))
    known = pins(ANNA.public)
    assert objection(rule(), found(image, known), AT) is not None
    image.bundle_by(ANNA)
    assert objection(rule(attestations=[PROVENANCE]), found(image, known), AT) is None
    assert objection(rule(attestations=["https://slsa.dev/provenance/v0.2"]), found(image, known), AT) is not None
    image.bundle_by(BORIS, image.statement("https://spdx.dev/Document"))
    wanted = rule(attestations=["https://spdx.dev/Document"], owners=["owner 1"])
    assert objection(wanted, found(image, pins(ANNA.public, BORIS.public)), AT) is not None


def test_an_identity_is_the_subject_of_the_signers_certificate() -> None:
    image, signer = Image(), certify("signer", certify("root", ca=True))
    image.notation(jws(signer, image.target()))
    below = found(image, pins(signer.chain[-1].pinned))
    assert objection(rule(identities=["CN=signer"]), below, AT) is None
    assert objection(rule(identities=["CN=Signer"]), below, AT) is not None


def test_an_index_answers_for_what_it_names_unless_each_needs_its_own() -> None:
    index, child = signed_by(ANNA), Found(Image(text="child").subject.digest, "image", "", ())
    assert objection(rule(), child, AT, [index]) is None
    assert objection(rule(children="own"), child, AT, [index]) is not None
    assert objection(rule(people=2), child, AT, [index]) is not None


def test_a_rule_that_is_off_is_about_nothing() -> None:
    assert not rule("team/**", mode="off").names("team/app")
    assert rule("team/**", mode="warn").names("team/app")
    assert not rule("team/**").names("teams/app")


@pytest.mark.parametrize(
    "text",
    [
        "", "image = 1", "[[image]]\npeople = 1", "[[image]]\nrepositories = []", "[[image]]\nrepositories = ['a b']",
        "[[image]]\nrepositories = ['a']\npeople = 0", "[[image]]\nrepositories = ['a']\nkeys = ['x']",
        "[[image]]\nrepositories = ['a']\nmode = 'maybe'", "[[image]]\nrepositories = ['a']\nowner = ['x']",
        "[[image]]\nrepositories = ['a']\nowners = ['']", "[[image]]\nrepositories = ['a', 'a']",
        "[[image]]\nrepositories = ['a']\nattestations = ['']", "[[images]]\nrepositories = ['a']", "a = \x00",
    ],
)  # fmt: skip
def test_a_policy_with_a_slip_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(UsageError, match=r"policy\.toml"):
        read_rules(tmp_path / "policy.toml")


# Who puts it into force.


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo", approvals_needed=1) as station:
        yield station


def people(inside: Inside, *owners: str) -> list[PrivateKey]:
    keys = [create_private() for _ in owners]
    for key, owner in zip(keys, owners, strict=True):
        inside.trust(key.public, "release", owner)
    return keys


def both_sign(inside: Inside, rules: list[ImageRule], keys: list[PrivateKey]) -> str:
    assert not sign(inside.root, asking(*rules), keys[0]).applied
    done = sign(inside.root, asking(*rules), keys[1])
    assert done.applied
    return done.digest


def test_a_policy_is_in_force_once_two_people_have_signed_the_same_rules(inside: Inside) -> None:
    anna, boris = people(inside, "Anna", "Boris")
    assert load_applied(inside.station.paths) is None
    first = sign(inside.root, asking(rule("team/**")), anna)
    assert (first.applied, first.owners) == (False, ("Anna",))
    assert load_applied(inside.station.paths) is None
    sign(inside.root, asking(rule("team/*")), boris)  # other rules: Anna has not signed these
    assert load_applied(inside.station.paths) is None
    digest = both_sign(inside, [rule("team/**")], [anna, boris])
    now = load_applied(inside.station.paths)
    assert now is not None
    assert (now.digest, now.policy.number, now.policy.image) == (digest, 1, [rule("team/**")])
    assert proposed(inside.station.paths) is None
    (event,) = inside.events("image-policy.apply")
    assert (event["thing"], event["detail"]["owners"]) == (digest, ["Anna", "Boris"])
    both_sign(inside, [], [boris, anna])
    ended = load_applied(inside.station.paths)
    assert ended is not None
    assert (ended.policy.number, ended.policy.image) == (2, [])


def test_one_person_alone_applies_nothing(inside: Inside) -> None:
    anna, again, stranger = (*people(inside, "Anna Berg"), create_private(), create_private())
    inside.trust(again.public, "release", "Anna Berg")
    sign(inside.root, asking(rule()), anna)
    with pytest.raises(UsageError, match="the same person"):
        sign(inside.root, asking(rule()), again)
    assert not sign(inside.root, asking(rule()), anna).applied
    with pytest.raises(RefusedError, match="unknown"):
        sign(inside.root, asking(rule()), stranger)
    other = create_private()
    inside.trust(other.public, "image", "Boris")
    with pytest.raises(RefusedError, match="does not count"):
        sign(inside.root, asking(rule()), other)
    assert load_applied(inside.station.paths) is None


def test_a_signature_of_a_key_that_was_revoked_meanwhile_counts_not(inside: Inside) -> None:
    anna, boris = people(inside, "Anna", "Boris")
    sign(inside.root, asking(rule()), anna)
    revoke_key(inside.station.paths.trust, anna.public.keyid, why="lost", at="2026-06-01T00:00:00Z")
    assert not sign(inside.root, asking(rule()), boris).applied


def test_a_policy_that_somebody_exchanged_is_none(inside: Inside) -> None:
    """Loosened, put back from before, made up, or taken away: nothing is decided by it, and no release goes on."""
    keys = people(inside, "Anna", "Boris")
    folder = inside.station.paths.image_policy
    both_sign(inside, [rule("team/**")], keys)
    first = (folder / "policy.json").read_bytes()
    both_sign(inside, [rule("team/**", people=2)], keys)
    second = (folder / "policy.json").read_bytes()
    loosened = encode(replace_rules(second, [rule("team/**", mode="warn")]))
    for raw in (first, loosened, second[:-1], b""):
        (folder / "policy.json").write_bytes(raw)
        with pytest.raises(RefusedError, match="not the one that was applied"):
            load_applied(inside.station.paths)
    (folder / "policy.json").unlink()
    with pytest.raises(RefusedError, match="it is gone"):
        load_applied(inside.station.paths)
    (folder / "policy.json").write_bytes(second)
    assert load_applied(inside.station.paths) is not None


def replace_rules(raw: bytes, rules: list[ImageRule]) -> Any:
    return msgspec.structs.replace(decode(raw), image=rules)


def test_a_policy_that_nobody_applied_is_none(inside: Inside) -> None:
    folder = inside.station.paths.image_policy
    folder.mkdir()
    (folder / "policy.json").write_bytes(b"{}")
    with pytest.raises(RefusedError, match="not the one that was applied"):
        load_applied(inside.station.paths)


def test_a_prune_of_the_log_takes_the_word_of_the_policy_not_along(inside: Inside) -> None:
    digest = both_sign(inside, [rule()], people(inside, "Anna", "Boris"))
    keep_logged(inside.root)
    assert [event["thing"] for event in inside.events("image-policy.kept")] == [digest]
    assert logged_digest(inside.station.paths) == digest


def test_a_power_cut_between_the_word_and_the_file_loses_no_policy(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is durable, the file is not: the signed document is where it was, and the next one waits for it."""
    keys = people(inside, "Anna", "Boris")

    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    both_sign(inside, [rule("team/**")], keys)
    sign(inside.root, asking(rule("**")), keys[0])
    with monkeypatch.context() as patched:
        patched.setattr(applied, "_copy", cut)
        with pytest.raises(PowerCut):
            sign(inside.root, asking(rule("**")), keys[1])
    now = load_applied(inside.station.paths)
    assert now is not None
    assert now.policy.image == [rule("**")]
    sign(inside.root, asking(), keys[0])
    again = load_applied(inside.station.paths)
    assert again is not None
    assert again.policy == now.policy


def test_an_application_that_failed_leaves_the_policy_before_in_force(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = people(inside, "Anna", "Boris")
    digest = both_sign(inside, [rule("team/**")], keys)

    def full(*_: object) -> None:
        raise FailedError("no space is left")

    sign(inside.root, asking(rule("**")), keys[0])
    with monkeypatch.context() as patched:
        patched.setattr(applied, "_copy", full)
        with pytest.raises(FailedError):
            sign(inside.root, asking(rule("**")), keys[1])
    now = load_applied(inside.station.paths)
    assert now is not None
    assert now.digest == digest


def test_a_document_of_another_form_is_no_policy(inside: Inside) -> None:
    both_sign(inside, [rule()], people(inside, "Anna", "Boris"))
    raw = (inside.station.paths.image_policy / "policy.json").read_bytes()
    fields = json.loads(raw)
    for changed in (fields | {"type": "x"}, fields | {"number": 0}, fields | {"more": 1}, {**fields, "site": "A B"}):
        with pytest.raises(MalformedError):
            decode(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(MalformedError):
        decode(raw + b" ")


# What a release does by it.


def test_a_release_goes_by_the_policy_that_was_applied(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        for layout in (LEGACY, BUNDLE):
            folder = layout.unpack(tmp_path)
            outside.collect_layout(folder, as_=f"vec/{folder.name}:1")
        (tmp_path / "plain.bin").write_bytes(b"nobody signed it")
        outside.collect({"kind": "file", "path": str(tmp_path / "plain.bin"), "as": "files/plain:1"})
        (tmp_path / "stick").mkdir()
        outside.build(tmp_path / "stick", "vec/legacy:1", "vec/bundle:1", "files/plain:1")
        inside.trust(outside.key.public)
        trust_key(inside.station.paths.trust, LEGACY.cosign, purpose="image", owner="Team Alpha")
        keys = people(inside, "Anna", "Boris")

        def reported() -> tuple[str, dict[str, Any]]:
            inspection.run(inside.context(id=name_of()))
            (text,) = inside.station.reader.execute("SELECT report FROM intake_documents").fetchone()
            (section,) = [one for one in json.loads(text)["sections"] if one["inspector"] == "signatures"]
            return section["outcome"], section["details"]

        # Each platform by itself: cosign's legacy signature is of the index alone.
        both_sign(inside, [rule("vec/**", owners=["Team Alpha"], children="own")], keys)
        inside.bring(tmp_path / "stick" / name_of())
        outcome, details = reported()
        lacking = {(one["image"].partition("@")[0], one["rule"], one["mode"]) for one in details["against_policy"]}
        assert (outcome, lacking) == ("fail", {("vec/legacy", 1, "enforce")})
        inside.decide(name_of(), keys[0])
        before = inside.visible()
        with pytest.raises(RefusedError, match="rule 1 of the policy for images") as refused:
            inside.release(name_of())
        assert (refused.value.code, inside.visible()) == ("image-policy", before)
        with pytest.raises(RefusedError, match=r"vec/legacy@"):
            inside.release(name_of(), ["vec/legacy"])
        inside.release(name_of(), ["vec/bundle"])  # signed for the index and for each platform

        # A file that nobody signed, in a repository where a signature is asked for; and then one where it is not.
        both_sign(inside, [rule("**", mode="warn"), rule("files/**")], keys)
        with pytest.raises(RefusedError, match=r"rule 2 .*files/plain@"):
            inside.release(name_of())
        both_sign(inside, [rule("vec/**"), rule("**", mode="warn")], keys)
        revoke_key(inside.station.paths.trust, LEGACY.cosign.keyid, why="lost", at="2026-06-01T00:00:00Z")
        with pytest.raises(RefusedError, match=r"rule 1 .*vec/legacy@"):
            inside.release(name_of())
        (inside.station.paths.image_policy / "policy.json").unlink()
        with pytest.raises(RefusedError, match="not the one that was applied"):
            inside.release(name_of())
        assert inside.station.metadata.linked_manifest("vec/legacy", INDEX) is None
        assert Act.IMAGE_POLICY_APPLY in {event["act"] for event in inside.events("image-policy.apply")}


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in an index at a fallback tag"])
def test_an_image_that_calls_itself_evidence_takes_a_signature_all_the_same(
    inside: Inside, tmp_path: Path, wrapped: bool
) -> None:
    """Its layer is an archive under an attestation's media type, and its configuration an image's: clients run it."""
    store = MemoryStore()
    layer = store.add(gzip.compress(b"\0" * 1024))
    config = store.add(b'{"os":"linux","architecture":"amd64","config":{}}')

    def added(fields: dict[str, Any], media_type: str, kind: str, *tags: str) -> Artifact:
        raw = canonical({"schemaVersion": 2, "mediaType": media_type, **fields})
        digest = str(store.add(raw))
        return Artifact(repository="vec/app", digest=digest, mediaType=media_type, kind=kind, size=len(raw),
                        tags=list(tags))  # fmt: skip

    def described(digest: Digest, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": str(digest), "size": len(store.blobs[digest])}

    tag = "sha256-" + "0" * 64
    image = added(
        {"config": described(config, OCI_CONFIG), "layers": [described(layer, "application/vnd.in-toto+json")]},
        OCI_MANIFEST, "attestation", *(() if wrapped else (f"{tag}.att",)),
    )  # fmt: skip
    artifacts = [image]
    if wrapped:
        child = {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": image.size}
        artifacts.append(added({"manifests": [child]}, OCI_INDEX, "index", tag))
    carried = carry(tmp_path / "stick", store, artifacts)
    inside.trust(carried.key.public)
    anna, boris = people(inside, "Anna", "Boris")
    inside.bring(carried.folder)
    checked = check_content(inside.station.blobs, carried.signed.manifest)
    asked = {one.artifact.digest for one in signable(inside.station.blobs, checked)}
    assert asked == {one.digest for one in artifacts}  # an index that lists it is no list of evidence either
    inside.decide(name_of(), anna)
    both_sign(inside, [rule("vec/**")], [anna, boris])
    with pytest.raises(RefusedError, match="rule 1 of the policy for images: signed by 0 of 1"):
        inside.release(name_of())
