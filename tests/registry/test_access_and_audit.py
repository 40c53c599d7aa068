"""Every operation asks whether its caller may, a mount asks for its source too, and every act is recorded."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from appliance.audit.event import AuditEvent
from appliance.registry.errors import WireError
from appliance.registry.services import Action, OpenAccess
from appliance.store.database import open_reader
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.registry_server import Server, Store

DENIED = WireError(403, "DENIED", "requested access to the resource is denied")


@dataclass
class Rules(OpenAccess):
    """Denies what is listed: (action, repository)."""

    denied: set[tuple[str, str]] = field(default_factory=set)

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        return DENIED if (action, repository) in self.denied else None

    def glance(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        ("pull", "GET", "blobs/{digest}"),
        ("pull", "HEAD", "blobs/{digest}"),
        ("pull", "GET", "manifests/v1"),
        ("pull", "HEAD", "manifests/v1"),
        ("pull", "GET", "tags/list"),
        ("pull", "GET", "referrers/{digest}"),
        ("push", "POST", "blobs/uploads/"),
        ("push", "POST", "blobs/uploads/?digest={digest}"),
        ("push", "GET", "blobs/uploads/x"),
        ("push", "PATCH", "blobs/uploads/x"),
        ("push", "PUT", "blobs/uploads/x?digest={digest}"),
        ("push", "DELETE", "blobs/uploads/x"),
        ("push", "PUT", "manifests/v1"),
        ("delete", "DELETE", "manifests/v1"),
        ("delete", "DELETE", "blobs/{digest}"),
    ],
)
def test_every_operation_is_denied_before_anything_else_is_looked_at(
    store: Store, action: Action, method: str, path: str
) -> None:
    server = store.serve(access=Rules({(action, "team/app")}))
    answer = server.ask(method, f"/v2/team/app/{path.format(digest=Digest.of(b''))}")
    assert answer.status == 403
    if method != "HEAD":
        assert answer.code == "DENIED"


def test_the_base_and_the_catalog_belong_to_no_repository(store: Store) -> None:
    server = store.serve(access=Rules({("list", "")}))
    assert [server.ask("GET", path).status for path in ("/v2/", "/v2/_catalog")] == [403, 403]


@pytest.mark.parametrize("named", [True, False])
def test_a_mount_from_a_source_its_caller_may_not_read_becomes_an_upload(store: Store, named: bool) -> None:
    rules = Rules()
    server = store.serve(access=rules)
    digest = server.push_blob("secret/app", b"secret")
    rules.denied.add(("pull", "secret/app"))
    source = "&from=secret/app" if named else ""
    assert server.ask("POST", f"/v2/team/app/blobs/uploads/?mount={digest}{source}").status == 202
    assert server.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 404


def test_pushes_mounts_and_deletes_are_recorded(store: Store, server: Server) -> None:
    content = image([])
    digest = content.push(server, "team/app", "v1")
    config = Digest.of(content.blobs[0])
    server.ask("POST", f"/v2/team/copy/blobs/uploads/?mount={config}&from=team/app")
    for rest in ("manifests/v1", f"manifests/{digest}", f"blobs/{config}"):
        server.ask("DELETE", f"/v2/team/app/{rest}")
    assert [(event.act, event.thing) for event in store.audit.events] == [
        ("push-blob", f"team/app@{config}"),
        ("push-manifest", f"team/app@{digest}"),
        ("mount-blob", f"team/copy@{config}"),
        ("delete-tag", "team/app:v1"),
        ("delete-manifest", f"team/app@{digest}"),
        ("delete-blob", f"team/app@{config}"),
    ]


def test_what_cannot_be_recorded_does_not_happen(store: Store, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: AuditEvent) -> None:
        raise FailedError("the audit log cannot be written")

    digest = server.push_blob("team/app", b"stays")
    content = image([])
    pushed = content.push(server, "team/app", "v1")
    config = Digest.of(content.blobs[0])
    other = json.dumps(json.loads(content.manifest) | {"annotations": {"a": "b"}}).encode()
    kind = {"Content-Type": content.media_type}

    def rows() -> list[list[object]]:
        with contextlib.closing(open_reader(store.paths.database)) as reader:
            tables = ("repositories", "manifests", "links", "tags")
            return [reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]

    before = rows()
    monkeypatch.setattr(store.audit, "record", full)
    tries = [
        ("DELETE", f"/v2/team/app/blobs/{digest}", None, {}),
        ("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'new')}", b"new", {}),
        ("POST", f"/v2/team/copy/blobs/uploads/?mount={config}&from=team/app", None, {}),
        ("PUT", "/v2/team/app/manifests/v1", other, kind),
        ("PUT", f"/v2/team/app/manifests/{Digest.of(other)}", other, kind),
        ("DELETE", "/v2/team/app/manifests/v1", None, {}),
        ("DELETE", f"/v2/team/app/manifests/{pushed}", None, {}),
    ]
    for method, path, body, headers in tries:
        assert server.ask(method, path, body, headers).status == 503, (method, path)
        assert rows() == before, (method, path)
    assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == b"stays"
    assert server.ask("HEAD", f"/v2/team/app/blobs/{Digest.of(b'new')}").status == 404
    monkeypatch.undo()
    assert Digest.of(server.ask("GET", "/v2/team/app/manifests/v1").body) == pushed
    for method, path, body, headers in tries:
        assert server.ask(method, path, body, headers).status in (201, 202), (method, path)


def test_an_act_that_fails_is_recorded_as_that(store: Store, server: Server) -> None:
    store.writer.close()
    answer = server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'new')}", b"new")
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert [event.outcome for event in store.audit.events] == ["done", "failed"]


def test_an_act_that_changed_nothing_is_taken_back(store: Store, server: Server) -> None:
    """Else its event would explain a link or a tag that somebody makes by hand."""
    content = image([])
    digest = content.push(server, "team/app", "v1")
    kind = {"Content-Type": content.media_type, "If-None-Match": "*"}
    assert server.ask("PUT", "/v2/team/app/manifests/v1", content.manifest, kind).status == 412
    done, undone = store.audit.events[-2:]
    assert [(one.act, one.thing) for one in (done, undone)] == [("push-manifest", f"team/app@{digest}")] * 2
    assert (done.outcome, undone.outcome, undone.detail["takes_back"]) == ("done", "failed", True)


def test_who_takes_a_manifest_is_recorded_once_an_hour(store: Store, server: Server) -> None:
    digest = image([]).push(server, "team/app", "v1")
    for _ in range(3):
        assert server.ask("GET", "/v2/team/app/manifests/v1").status == 200
    pulls = [event for event in store.audit.events if event.act == "pull"]
    assert [(event.thing, event.detail["reference"]) for event in pulls] == [(f"team/app@{digest}", "v1")]
