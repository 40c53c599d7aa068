"""Tags are deleted and artifacts are copied by the same roles and rules as at the registry, each step an event."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.reading import tail
from appliance.control.api import CONTROL
from appliance.control.callers import Callers
from appliance.limits import registry as limits
from appliance.permissions import Caller, Grant, Role, Rules
from appliance.release_check.moved_tags import moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.settings.access import RegistrySettings
from appliance.settings.station import Config
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.copies import CopyArtifacts
from appliance.store.writes.registry import LinkBlob, PutManifest
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.bundles.small import MemoryStore, file_artifact
from tests.conformance.shapes import Content, artifact, image, index
from tests.control.test_openapi import serving
from tests.control.test_recorded_first import FullLog
from tests.intake.inside import Inside, carry, name_of

TEAM, PROD, RELEASED = "team/app", "prod/app", "carried/app"


def push(inside: Inside, repository: str, content: Content, *tags: str) -> Digest:
    """As the registry does it: each act recorded first."""
    station = inside.station
    for child in content.children:
        push(inside, repository, child)
    for body in content.blobs:
        digest = Digest.of(body)
        row = BlobRow(digest=str(digest), size=len(body), crc32=station.blobs.put(body, digest))
        with recording(station.audit, AuditEvent(Act.PUSH_BLOB, "robot", f"{repository}@{digest}")):
            inside.writer.submit(LinkBlob(repository=repository, blob=row, at=clock.now()))
    manifest = parse_manifest(content.manifest)
    crc32 = station.blobs.put(content.manifest, content.digest)
    facts = ManifestRow(
        blob=BlobRow(digest=str(content.digest), size=len(content.manifest), crc32=crc32),
        media_type=manifest.media_type, artifact_type=manifest.artifact_type,
        subject=str(manifest.subject.digest) if manifest.subject else None,
    )  # fmt: skip
    event = AuditEvent(Act.PUSH_MANIFEST, "robot", f"{repository}@{content.digest}", "done", {"tags": " ".join(tags)})
    with recording(station.audit, event):
        inside.writer.submit(PutManifest(repository=repository, manifest=facts, at=clock.now(), tags=tags))
    return content.digest


def release(inside: Inside, folder: Path) -> None:
    store = MemoryStore()
    carried = carry(folder, store, [file_artifact(store, b"content", RELEASED)])
    inside.trust(carried.key.public)
    inside.bring(carried.folder)
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())


class Somebody(Callers):
    """Callers that are whoever the test says; at first the owner of an open station."""

    def __init__(self) -> None:
        self.now = Caller("owner", everything=True)

    def identify(self, request: web.Request) -> Caller:
        return self.now


@dataclass
class Desk:
    """An inside station with a multi-platform image, its SBOM, and a bundle that was released."""

    root: Path
    base: str
    app: web.Application
    callers: Somebody
    image: Content
    sbom: Content

    def be(self, *roles: tuple[Role, str]) -> None:
        self.callers.now = Caller("alice", grants=tuple(Grant(role, pattern) for role, pattern in roles))

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        answer = requests.post(f"{self.base}{path}", json=body, timeout=30)
        return answer.status_code, answer.json()

    def delete(self, name: str = TEAM, **body: Any) -> tuple[int, Any]:
        return self.post(f"/v1/repositories/{name}/delete", **body)

    def copy(self, source: str, target: str) -> tuple[int, Any]:
        return self.post("/v1/copies", source=source, target=target)

    def tags(self, name: str = TEAM) -> list[str]:
        answer = requests.get(f"{self.base}/v1/repositories/{name}/tags", timeout=30)
        return [one["tag"] for one in answer.json()["items"]] if answer.status_code == 200 else []

    def links(self, name: str) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.root / "metadata.sqlite")) as reader:
            rows = reader.execute(
                "SELECT l.digest FROM links l JOIN repositories r ON r.id = l.repository_id WHERE r.name = ?", (name,)
            )
            return {digest for (digest,) in rows}

    def events(self, act: Act) -> list[dict[str, Any]]:
        return [event for event in tail(self.root / "audit", 1000) if event["act"] == act]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "bravo"
    content = index([image(), image()])
    sbom = artifact(subject=content.described())
    with Inside(root, approvals_needed=1) as inside:
        push(inside, TEAM, content, "1.0", "1.1", "2.0")
        push(inside, TEAM, sbom)
        release(inside, tmp_path / "medium")
    with serving(root) as (base, app):
        app[CONTROL].callers = callers = Somebody()
        app[CONTROL].rules = Rules()
        yield Desk(root, base, app, callers, content, sbom)


def all_of(*contents: Content) -> set[str]:
    found = set[str]()
    for one in contents:
        found |= {str(one.digest), *(str(Digest.of(body)) for body in one.blobs), *all_of(*one.children)}
    return found


def test_a_pattern_deletes_the_tags_that_it_names_and_a_dry_run_only_lists_them(desk: Desk) -> None:
    listed = desk.delete(tags="1.*", dry_run=True)
    assert [one["tag"] for one in listed[1]["items"]] == ["1.0", "1.1"]
    assert desk.tags() == ["1.0", "1.1", "2.0"]
    assert desk.delete(tags="1.*")[1]["items"] == listed[1]["items"]
    assert desk.tags() == ["2.0"]
    assert str(desk.image.digest) in desk.links(TEAM), "what a tag named stays"
    events = desk.events(Act.DELETE_TAG)
    assert [(one["thing"], one["outcome"]) for one in events] == [(f"{TEAM}:1.0", "done"), (f"{TEAM}:1.1", "done")]
    assert all(one["detail"]["keeps_released"] for one in events)


def test_many_tags_are_deleted_a_page_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAGS_DELETED", 2)
    status, first = desk.delete(tags="*", dry_run=True)
    assert (status, first["next"]) == (200, "1.1")
    assert [one["tag"] for one in desk.delete(tags="*", dry_run=True, after="1.1")[1]["items"]] == ["2.0"]
    assert desk.delete(tags="*")[1]["next"] == "1.1"
    assert desk.delete(tags="*", after="1.1")[1]["next"] is None
    assert desk.tags() == []


def test_a_digest_deletes_a_manifest_with_every_tag_on_it(desk: Desk) -> None:
    digest = str(desk.image.digest)
    assert [one["tag"] for one in desk.delete(digest=digest, dry_run=True)[1]["items"]] == ["1.0", "1.1", "2.0", None]
    assert digest in desk.links(TEAM)
    assert desk.delete(digest=digest)[0] == 200
    assert digest not in desk.links(TEAM)
    assert desk.delete(digest=digest)[0] == 404
    assert len(desk.events(Act.DELETE_MANIFEST)) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"tags": "a b"}, {"tags": ""}, {"tags": "1?"}, {"tags": "[a-z]"}, {"digest": "sha256:1"},
     {"tags": "*", "dry_run": "yes"}, {"tags": 1}],
)  # fmt: skip
def test_what_names_no_tags_is_a_usage_error(desk: Desk, body: dict[str, Any]) -> None:
    assert desk.delete(**body)[0] == 400
    assert desk.tags() == ["1.0", "1.1", "2.0"]


def test_a_copy_shows_the_artifact_with_all_that_it_reaches_and_what_speaks_about_it(desk: Desk) -> None:
    status, made = desk.copy(f"{TEAM}:1.0", PROD)
    assert (status, made["reference"], made["digest"]) == (201, f"{PROD}:1.0", str(desk.image.digest))
    assert (made["manifests"], made["linked"]) == (4, len(all_of(desk.image, desk.sbom)))
    assert desk.links(PROD) == all_of(desk.image, desk.sbom)
    assert desk.tags(PROD) == ["1.0"]
    again = desk.copy(f"{TEAM}:1.0", f"{PROD}:stable")[1]
    assert (again["linked"], again["moved"], desk.tags(PROD)) == (0, [], ["1.0", "stable"])


def test_a_copy_says_where_a_tag_stood_that_it_moves(desk: Desk) -> None:
    desk.copy(f"{TEAM}:1.0", PROD)
    child = str(desk.image.children[0].digest)
    moved = desk.copy(f"{TEAM}@{child}", f"{PROD}:1.0")[1]["moved"]
    assert moved == [{"tag": "1.0", "digest": str(desk.image.digest)}]


def test_a_digest_is_copied_without_a_tag_and_gets_one_back(desk: Desk) -> None:
    digest = desk.image.digest
    assert desk.copy(f"{TEAM}@{digest}", PROD)[1]["reference"] == f"{PROD}@{digest}"
    assert desk.tags(PROD) == []
    assert desk.copy(f"{PROD}@{digest}", f"{PROD}:back")[0] == 201
    assert desk.tags(PROD) == ["back"]


@pytest.mark.parametrize(
    ("source", "target", "status"),
    [(f"{TEAM}:9", PROD, 404), (TEAM, PROD, 400), (f"{TEAM}:1.0", "Team/App", 400), (f"{TEAM}:1.0", "a:b c", 400),
     (f"{TEAM}:1.0", f"{PROD}@sha256:1", 400), (f"{TEAM}:1.0", "", 400)],
)  # fmt: skip
def test_what_cannot_be_copied_is_an_error_and_shows_nothing(desk: Desk, source: str, target: str, status: int) -> None:
    assert desk.copy(source, target)[0] == status
    assert desk.links(PROD) == set()


def test_blocked_content_is_not_copied(desk: Desk, tmp_path: Path) -> None:
    blob = str(Digest.of(desk.image.children[0].blobs[0]))
    assert requests.post(f"{desk.base}/v1/blocks", json={"thing": blob, "why": "bad"}, timeout=30).status_code == 201
    status, refused = desk.copy(f"{TEAM}:1.0", PROD)
    assert (status, refused["exit_status"], refused["thing"]) == (403, 3, blob)
    assert desk.links(PROD) == set()


def test_released_content_is_neither_deleted_nor_copied_over(desk: Desk) -> None:
    before = desk.links(RELEASED), desk.tags(RELEASED)
    (tag,) = before[1]
    digest = next(iter(desk.links(RELEASED)))
    refusals = [
        desk.delete(RELEASED, tags="*"), desk.delete(RELEASED, tags="*", dry_run=True),
        desk.delete(RELEASED, digest=digest), desk.copy(f"{TEAM}:1.0", f"{RELEASED}:new"),
        desk.copy(f"{TEAM}:1.0", f"{RELEASED}:{tag}"), desk.copy(f"{RELEASED}:{tag}", f"{RELEASED}:more"),
    ]  # fmt: skip
    assert {(status, answer["what"]) for status, answer in refusals} == {(403, "the repository holds released content")}
    remedies = [answer["remedy"] for _, answer in refusals]
    assert ["intake withdraw BUNDLE" in remedy for remedy in remedies] == [True] * 3 + [False] * 3
    assert (desk.links(RELEASED), desk.tags(RELEASED)) == before
    assert {event["outcome"] for event in desk.events(Act.COPY_MANIFEST)} == {"refused"}
    assert desk.copy(f"{RELEASED}:{tag}", PROD)[0] == 201, "and it is copied away from there"


@pytest.mark.parametrize(("patterns", "allowed"), [((), False), (("team/**",), False), (("prod/**", "team/**"), True)])
def test_a_closed_inside_takes_copies_and_deletions_where_config_toml_names_the_repository(
    desk: Desk, patterns: tuple[str, ...], allowed: bool
) -> None:
    control = desk.app[CONTROL]
    config = Config(site="bravo", side="inside", registry=RegistrySettings(push=patterns))
    control.station = replace(control.station, config=config)
    assert (desk.copy(f"{TEAM}:1.0", PROD)[0] == 201) is allowed
    status, answer = desk.delete(TEAM, tags="2.0")
    assert (status == 200) is bool(patterns)
    if not patterns:
        assert (answer["what"][:25], "carry it in" in answer["remedy"]) == ("clients take nothing away", False)


@pytest.mark.parametrize(
    ("roles", "copies", "deletes"),
    [
        ([("reader", "**")], False, False),
        ([("writer", "prod/**")], False, False),
        ([("writer", "prod/**"), ("reader", "team/**")], True, False),
        ([("writer", "**")], True, False),
        ([("maintainer", "team/**")], False, True),
        ([("administrator", "**")], False, False),
        ([("security-officer", "**")], False, False),
    ],
)
def test_a_copy_takes_pull_and_push_and_a_deletion_takes_delete(
    desk: Desk, roles: list[tuple[Role, str]], copies: bool, deletes: bool
) -> None:
    desk.be(*roles)
    assert (desk.copy(f"{TEAM}:1.0", PROD)[0] == 201) is copies
    assert (desk.delete(TEAM, tags="2.0")[0] == 200) is deletes


def test_a_deletion_that_cannot_be_recorded_deletes_nothing(desk: Desk) -> None:
    control = desk.app[CONTROL]
    control.station = replace(control.station, audit=FullLog())
    for body in ({"tags": "*"}, {"digest": str(desk.image.digest)}):
        status, failed = desk.delete(**body)
        assert (status, failed["what"]) == (409, "the audit log cannot be written")
    assert desk.tags() == ["1.0", "1.1", "2.0"]


def test_a_copy_that_cannot_be_recorded_shows_nothing(desk: Desk) -> None:
    control = desk.app[CONTROL]
    control.station = replace(control.station, audit=FullLog())
    status, failed = desk.copy(f"{TEAM}:1.0", PROD)
    assert (status, failed["what"]) == (409, "the audit log cannot be written")
    assert desk.links(PROD) == set()


def write(inside: Inside, **more: Any) -> CopyArtifacts:
    rows = inside.station.reader.execute(
        "SELECT l.digest, l.kind FROM links l JOIN repositories r ON r.id = l.repository_id WHERE r.name = ?", (TEAM,)
    )
    fields: dict[str, Any] = {
        "repository": PROD, "source": TEAM, "links": tuple(rows), "present": (), "tags": (), "at": clock.now(),
        "keeps_released": True,
    }  # fmt: skip
    return CopyArtifacts(**fields | more)


def test_the_transaction_asks_again(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        digest = str(push(inside, TEAM, image(), "1"))
        release(inside, tmp_path / "medium")
        before = inside.visible()
        with pytest.raises(RefusedError, match="released content"):
            inside.writer.submit(write(inside, repository=RELEASED))
        with pytest.raises(NotFoundError, match="not shown any more"):
            inside.writer.submit(write(inside, source="team/none"))
        with pytest.raises(NotFoundError, match="not shown any more"):
            inside.writer.submit(write(inside, links=((digest, "blob"),)))
        with pytest.raises(FailedError, match="changed meanwhile"):
            inside.writer.submit(write(inside, links=(), present=((digest, "manifest"),)))
        assert inside.visible() == before


def test_by_the_log_a_copy_is_explained_and_its_tag_stands(desk: Desk) -> None:
    (tag,) = desk.tags(RELEASED)
    assert desk.copy(f"{TEAM}:1.0", PROD)[0] == 201
    assert desk.copy(f"{RELEASED}:{tag}", f"{PROD}:carried")[0] == 201
    assert desk.copy(f"{PROD}:carried", "prod/second")[0] == 201
    with Inside(desk.root) as inside:
        assert unexplained(inside.station) == []
        assert moved_tags(inside.station) == []


def test_a_copy_of_what_somebody_showed_by_hand_for_a_moment_is_found(desk: Desk) -> None:
    """The source's links are made by hand, copied, and taken away again: the copy explains nothing."""
    stolen = all_of(desk.image, desk.sbom)
    with contextlib.closing(sqlite3.connect(desk.root / "metadata.sqlite")) as intruder:
        at = clock.now()
        intruder.execute("INSERT INTO repositories (name, created) VALUES ('stolen/app', ?)", (at,))
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT (SELECT id FROM repositories WHERE"
            " name = 'stolen/app'), l.digest, l.kind, ? FROM links l JOIN repositories r ON r.id = l.repository_id"
            " WHERE r.name = ?",
            (at, TEAM),
        )
        intruder.commit()
    assert desk.copy(f"stolen/app@{desk.image.digest}", f"{PROD}:1")[0] == 201
    with contextlib.closing(sqlite3.connect(desk.root / "metadata.sqlite")) as intruder:
        intruder.execute(
            "DELETE FROM links WHERE repository_id = (SELECT id FROM repositories WHERE name = 'stolen/app')"
        )
        intruder.commit()
    with Inside(desk.root) as inside:
        found = {(one["repository"], one["digest"]) for one in unexplained(inside.station)}
    assert found == {(PROD, digest) for digest in stolen}


def test_repositories_count_and_list_what_no_tag_leads_to(desk: Desk) -> None:
    items = {one["name"]: one for one in requests.get(f"{desk.base}/v1/repositories", timeout=30).json()["items"]}
    assert {name: one["untagged"] for name, one in items.items()} == {TEAM: 0, RELEASED: 0}
    desk.delete(tags="*")
    listed = requests.get(f"{desk.base}/v1/repositories/{TEAM}/untagged", timeout=30).json()
    assert {one["digest"] for one in listed["items"]} == {
        str(one.digest) for one in (desk.image, *desk.image.children, desk.sbom)
    }
    assert {one["kept"] for one in listed["items"]} == {""}
    some = requests.get(f"{desk.base}/v1/repositories/{TEAM}/untagged", params={"limit": 3}, timeout=30).json()
    rest = {"limit": 3, "after": some["next"]}
    more = requests.get(f"{desk.base}/v1/repositories/{TEAM}/untagged", params=rest, timeout=30).json()
    assert [*some["items"], *more["items"]] == listed["items"]
    assert more["next"] is None
    counted = requests.get(f"{desk.base}/v1/repositories", timeout=30).json()["items"]
    assert {one["name"]: one["untagged"] for one in counted}[TEAM] == 4
