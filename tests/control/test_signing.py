"""POST /v1/signatures: what a signer hands in is verified, recorded, and shown beside what it is of."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import requests

from appliance import clock
from appliance.audit.acts import Act
from appliance.control.api import CONTROL
from appliance.image_signatures.attaching import Attaching, HandedIn, by_key_alone
from appliance.permissions import Role
from appliance.release_check.moved_tags import moved
from appliance.release_check.unexplained import unexplained
from appliance.settings.access import RegistrySettings
from appliance.settings.station import Config
from appliance.store.writes.content import BlobRow
from appliance.store.writes.signatures import AttachedTag, AttachSignatures
from bundles import limits
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.image_signatures.making import Form, Made, attest, sign_image
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, create_private
from tests.control.test_recorded_first import FullLog
from tests.control.test_repository_acts import RELEASED, TEAM, Desk, desk
from tests.intake.inside import Inside

__all__ = ["desk"]
KEY = create_private()


def handed_in(subject: str, made: Made, **changes: Any) -> dict[str, Any]:
    document = base64.b64encode(made.document).decode()
    fields = {"subject": subject, "media_type": made.media_type, "document": document, "signature": made.signature}
    return {**fields, **changes}


def signed(desk: Desk, name: str, subject: str, form: Form = Form.SIGSTORE, key: PrivateKey = KEY) -> tuple[int, Any]:
    made = sign_image(form, Digest.parse(subject), key, name=name)
    return post(desk, name, handed_in(subject, made), key=key)


def post(desk: Desk, name: str, *items: dict[str, Any], key: PrivateKey = KEY) -> tuple[int, Any]:
    pem = key.public.to_pem().decode()
    return desk.post("/v1/signatures", repository=name, public_key=pem, signatures=list(items))


def released(desk: Desk) -> str:
    (tag,) = [one for one in desk.tags(RELEASED) if not one.startswith("sha256-")]
    answer = requests.get(f"{desk.base}/v1/signatures/subjects", params={"ref": f"{RELEASED}:{tag}"}, timeout=30)
    return str(answer.json()["digest"])


def test_released_content_is_signed_and_explained_and_none_of_its_tags_moves(desk: Desk) -> None:
    control = desk.app[CONTROL]
    config = Config(site="bravo", side="inside", registry=RegistrySettings())
    control.station = replace(control.station, config=config)
    desk.be(("security-officer", "**"))
    digest, before = released(desk), desk.tags(RELEASED)
    tag = f"{digest.replace(':', '-')}.sig"
    assert signed(desk, RELEASED, digest)[0] == 201
    status, below = signed(desk, RELEASED, digest, Form.COSIGN)
    assert (status, below["objection"], below["owner"]) == (201, "unknown-key", "")
    assert signed(desk, RELEASED, digest, Form.COSIGN, create_private())[0] == 201
    assert signed(desk, RELEASED, digest, Form.COSIGN)[0] == 200
    assert desk.tags(RELEASED) == sorted([*before, tag])
    events = desk.events(Act.SIGNATURE_ATTACH)
    told = {(one["thing"], one["outcome"], one["actor"]) for one in events}
    assert told == {(f"{RELEASED}@{digest}", "done", "alice")}
    with Inside(desk.root) as inside:
        assert unexplained(inside.station) == []
        assert moved(inside.station) == []

        # The same write, which no event names.
        made = sign_image(Form.SIGSTORE, Digest.parse(digest), create_private())
        pins = by_key_alone(create_private().public, "bravo", clock.now())
        attaching = Attaching(inside.station.blobs, inside.station.metadata, RELEASED, pins)
        with pytest.raises(RefusedError, match="count for nobody"):
            attaching.attach([HandedIn(Digest.parse(digest), made)])
        raw = b"by hand"
        row = BlobRow(digest=str(Digest.of(raw)), size=len(raw), crc32=inside.station.blobs.put(raw, Digest.of(raw)))
        write = AttachSignatures(
            repository=RELEASED, subjects=(digest,), blobs=(row,), manifests=(), tags=(), at=clock.now()
        )
        inside.writer.submit(write)
        assert [one["digest"] for one in unexplained(inside.station)] == [row.digest]
        with pytest.raises(NotFoundError, match="not shown any more"):
            inside.writer.submit(msgspec.structs.replace(write, subjects=(f"sha256:{'0' * 64}",)))
        stale = AttachedTag(tag=tag, digest=digest, before="")
        with pytest.raises(FailedError, match="moved meanwhile"):
            inside.writer.submit(msgspec.structs.replace(write, tags=(stale,)))

    # A release's own tag of signatures.
    with contextlib.closing(sqlite3.connect(desk.root / "metadata.sqlite")) as intruder:
        intruder.execute(
            "INSERT INTO released (digest, entry, repository, kind, item, target, at, made)"
            " SELECT digest, entry + 1000, repository, kind, ?, target, at, 1 FROM released WHERE kind = 'tag' LIMIT 1",
            (tag,),
        )
        intruder.commit()
    links = desk.links(RELEASED)
    status, refused = signed(desk, RELEASED, digest, Form.COSIGN, create_private())
    assert (status, refused["exit_status"], "--format sigstore" in refused["remedy"]) == (403, 3, True)
    assert desk.links(RELEASED) == links
    assert desk.events(Act.SIGNATURE_ATTACH)[-1]["outcome"] == "refused"


def test_who_may_sign_or_push_may_hand_signatures_in(desk: Desk) -> None:
    digest = released(desk)
    asked: list[tuple[list[tuple[Role, str]], int, int]] = [
        ([("reader", "**")], 403, 403),
        ([("administrator", "**")], 403, 403),
        ([("writer", "prod/**"), ("reader", "**")], 403, 403),
        ([("writer", "team/**"), ("reader", "**")], 201, 403),
        ([("writer", "**")], 201, 403),
        ([("security-officer", "**")], 201, 201),
    ]
    for roles, team, carried in asked:
        desk.be(*roles)
        key = create_private()
        assert signed(desk, TEAM, str(desk.image.digest), key=key)[0] == team, roles
        assert signed(desk, RELEASED, digest, key=key)[0] == carried, roles


def test_what_is_no_signature_of_it_by_the_key_is_refused_by_name_and_shows_nothing(desk: Desk) -> None:
    digest, other = str(desk.image.digest), str(desk.image.children[0].digest)
    made = sign_image(Form.COSIGN, desk.image.digest, KEY)
    bundle = sign_image(Form.SIGSTORE, desk.image.digest, KEY)
    by_other = sign_image(Form.SIGSTORE, desk.image.digest, create_private())
    changed = json.loads(bundle.document)
    changed["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()
    before = desk.links(TEAM)
    for item, status, code in (
        (handed_in(other, made), 403, "other-subject"),
        (handed_in(other, bundle), 403, "other-subject"),
        (handed_in(digest, by_other), 403, "unknown-key"),
        (handed_in(digest, replace(bundle, document=json.dumps(changed).encode())), 403, "unknown-key"),
        (handed_in(digest, replace(made, signature="")), 403, "no-signature"),
        (handed_in(digest, replace(bundle, document=b"[]")), 403, "malformed"),
        (handed_in(digest, bundle, media_type="text/plain"), 403, "refused"),
        (handed_in(f"sha256:{'0' * 64}", bundle), 404, "not-found"),
        (handed_in("sha256:1", bundle), 400, None),
        (handed_in(digest, bundle, document="?"), 400, None),
    ):
        got, answer = post(desk, TEAM, item)
        assert (got, answer["code"] if code else None) == (status, code), answer
    assert post(desk, TEAM)[0] == 400
    assert post(desk, TEAM, handed_in(digest, bundle), handed_in(digest, bundle))[0] == 400
    assert desk.links(TEAM) == before
    assert requests.post(f"{desk.base}/v1/blocks", json={"thing": digest, "why": "bad"}, timeout=30).status_code == 201
    assert signed(desk, TEAM, digest)[0] == 403


def test_no_signature_pushes_another_out_of_sight(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_SIGNATURES", 3)
    digest = str(desk.image.digest)
    assert [signed(desk, TEAM, digest, form, create_private())[0] for form in (Form.COSIGN, Form.SIGSTORE)] == [201] * 2
    assert signed(desk, TEAM, digest)[0] == 201
    for form in Form:
        status, refused = signed(desk, TEAM, digest, form, create_private())
        assert (status, refused["code"]) == (403, "too-many")
    assert signed(desk, TEAM, digest)[0] == 200, "what is here already stays so"
    listed = requests.get(f"{desk.base}/v1/signatures", params={"ref": f"{TEAM}@{digest}"}, timeout=30).json()
    assert [one["refusal"] for one in listed["images"][0]["signatures"]] == ["unknown-key"] * 3
    child = desk.image.children[0].digest
    monkeypatch.setattr("bundles.image_signatures.making.check_predicate_type", lambda _: None)
    long = attest(Form.SIGSTORE, child, KEY, f"https://example.test/{'x' * 3000}", b"{}")
    assert post(desk, TEAM, handed_in(str(child), long))[0] == 400


def test_signatures_that_cannot_be_recorded_are_not_shown(desk: Desk) -> None:
    control = desk.app[CONTROL]
    control.station = replace(control.station, audit=FullLog())
    before = desk.links(TEAM)
    status, failed = signed(desk, TEAM, str(desk.image.digest))
    assert (status, failed["what"]) == (409, "the audit log cannot be written")
    assert desk.links(TEAM) == before
