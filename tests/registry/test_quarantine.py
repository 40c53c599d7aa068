"""Content that is in the store and linked nowhere cannot be reached, and nobody learns that it is there."""

from __future__ import annotations

import json
import sqlite3

import pytest

from appliance.store.writes.content import BlobRow, ManifestRow, record_blob, record_manifest
from appliance.store.writes.write import Write
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX
from tests.conformance.shapes import Content, descriptor, document, image
from tests.registry_server import Answer, Server, Store

AT = "2026-01-01T00:00:00Z"


class Quarantine(Write, frozen=True):
    """What an import does: the bytes are held, and no link is made."""

    blobs: tuple[BlobRow, ...]
    manifest: ManifestRow

    def apply(self, db: sqlite3.Connection) -> None:
        for blob in self.blobs:
            record_blob(db, blob, AT)
        record_manifest(db, self.manifest, AT)


@pytest.fixture
def hidden(store: Store) -> Content:
    """An image in quarantine."""
    content = image()
    rows = []
    for body in (*content.blobs, content.manifest):
        digest = Digest.of(body)
        rows.append(BlobRow(digest=str(digest), size=len(body), crc32=store.blobs.put(body, digest)))
    manifest = ManifestRow(blob=rows[-1], media_type=content.media_type)
    store.writer.submit(Quarantine(blobs=tuple(rows), manifest=manifest))
    return content


def shown(answer: Answer) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Everything a client can tell one answer from another by."""
    varying = ("Date", "Location", "Docker-Upload-UUID")
    return answer.status, answer.body, [(name, value) for name, value in answer.headers.items() if name not in varying]


def same_as_unknown(server: Server, method: str, path: str, digest: Digest) -> bool:
    """Whether the answer is, to the byte, the one for a digest nobody holds."""
    unknown = Digest.of(b"nobody holds this")
    known_answer = shown(server.ask(method, path.format(digest)))
    unknown_answer = shown(server.ask(method, path.format(unknown)))
    status, body, headers = unknown_answer
    return known_answer == (status, body.replace(str(unknown).encode(), str(digest).encode()), headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_by_digest_it_is_as_unknown_as_what_nobody_holds(server: Server, hidden: Content, method: str) -> None:
    server.push_blob("team/app", b"something")
    for body in (*hidden.blobs, hidden.manifest):
        for path in ("/v2/team/app/blobs/{}", "/v2/team/app/manifests/{}", "/v2/other/blobs/{}"):
            assert same_as_unknown(server, method, path, Digest.of(body))


@pytest.mark.parametrize("source", ["&from=team/app", ""])
def test_by_mount_it_is_as_unknown_as_what_nobody_holds(server: Server, hidden: Content, source: str) -> None:
    server.push_blob("team/app", b"something")
    digest = Digest.of(hidden.blobs[0])
    assert same_as_unknown(server, "POST", "/v2/team/new/blobs/uploads/?mount={}" + source, digest)
    assert server.ask("HEAD", f"/v2/team/new/blobs/{digest}").status == 404


def test_a_pushed_manifest_that_names_it_is_refused(server: Server, hidden: Content) -> None:
    answer = server.ask("PUT", "/v2/team/app/manifests/v1", hidden.manifest, {"Content-Type": hidden.media_type})
    assert answer.code == "MANIFEST_BLOB_UNKNOWN"
    config = hidden.blobs[0]
    server.push_blob("team/app", config)  # whoever has the bytes may show them
    assert server.ask("HEAD", f"/v2/team/app/blobs/{Digest.of(hidden.blobs[1])}").status == 404


def test_a_pushed_index_that_names_it_is_refused(server: Server, hidden: Content) -> None:
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [hidden.described()]}
    answer = server.ask("PUT", "/v2/team/app/manifests/v1", document(fields), {"Content-Type": OCI_INDEX})
    assert answer.code == "MANIFEST_BLOB_UNKNOWN"


def test_as_a_subject_it_shows_nothing(server: Server, hidden: Content) -> None:
    server.push_blob("team/app", b"{}")
    fields = json.loads(image([]).manifest) | {
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
        "subject": hidden.described(),
    }
    server.push_manifest("team/app", fields)
    assert server.ask("HEAD", f"/v2/team/app/manifests/{hidden.digest}").status == 404


def test_pushing_the_same_bytes_takes_all_of_them_and_then_shows_them(server: Server, hidden: Content) -> None:
    body = hidden.blobs[0]
    digest = Digest.of(body)
    part = server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", body[:10])
    assert part.code == "DIGEST_INVALID"
    assert server.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 404
    server.push_blob("team/app", body)
    assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == body


def test_no_list_names_it(server: Server, hidden: Content) -> None:
    assert server.ask("GET", "/v2/_catalog").json == {"repositories": []}
    assert server.ask("GET", "/v2/team/app/tags/list").status == 404
    subject = hidden.digest
    assert server.ask("GET", f"/v2/team/app/referrers/{subject}").json["manifests"] == []
