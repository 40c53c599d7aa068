"""Clients of an inside station write only where config.toml says so, and never into released content."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from appliance.registry.services import RegistrySettings
from appliance.settings.client_writes import ClientWrites
from appliance.settings.station import load_config
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import (
    DeleteBlob,
    DeleteManifest,
    DeleteTag,
    LinkBlob,
    MountBlob,
    PutManifest,
    PutTag,
)
from appliance.store.writes.write import Write
from bundles.errors import RefusedError, UsageError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.registry_server import Server, Store

AT = "2026-01-01T00:00:00Z"


def release(store: Store, repository: str) -> None:
    """The repository holds content of a release from now on."""
    with sqlite3.connect(store.paths.database) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(
            "INSERT INTO released (digest, repository, kind, item, target, made, previous, at)"
            " VALUES ('sha256:00', ?, 'tag', '1', 'sha256:11', 1, NULL, ?)",
            (repository, AT),
        )
    db.close()


def inside(store: Store, *patterns: str, open_: bool = False) -> Server:
    writes = ClientWrites(None if open_ else patterns, keeps_released=True)
    return store.serve(settings=RegistrySettings(writes=writes))


def attempts(server: Server, repository: str, other: str) -> dict[str, int]:
    """Every way in which a client changes a repository, with the status of its answer."""
    content = image()
    layer, digest = content.blobs[0], Digest.of(content.blobs[0])
    manifest, kind = content.manifest, {"Content-Type": content.media_type}
    held = server.ask("GET", f"/v2/{repository}/manifests/1")
    named = Digest.of(held.body)
    blob = json.loads(held.body)["config"]["digest"]
    referrer = json.dumps(json.loads(held.body) | {"subject": {
        "mediaType": content.media_type, "digest": str(named), "size": len(held.body)}}).encode()  # fmt: skip
    base = f"/v2/{repository}"
    return {
        what: server.ask(method, path, body, headers).status
        for what, method, path, body, headers in (
            ("session", "POST", f"{base}/blobs/uploads/", b"", {}),
            ("blob", "POST", f"{base}/blobs/uploads/?digest={digest}", layer, {}),
            ("mount", "POST", f"{base}/blobs/uploads/?mount={blob}&from={other}", b"", {}),
            ("push", "PUT", f"{base}/manifests/2", manifest, kind),
            ("move the tag", "PUT", f"{base}/manifests/1", manifest, kind),
            ("tag by digest", "PUT", f"{base}/manifests/{named}?tag=3", held.body, kind),
            ("same bytes", "PUT", f"{base}/manifests/1", held.body, kind),
            ("referrer", "PUT", f"{base}/manifests/{Digest.of(referrer)}", referrer, kind),
            ("delete the tag", "DELETE", f"{base}/manifests/1", None, {}),
            ("delete the manifest", "DELETE", f"{base}/manifests/{named}", None, {}),
            ("delete a blob", "DELETE", f"{base}/blobs/{blob}", None, {}),
        )
    }


def filled(store: Store, repository: str) -> None:
    content = image()
    content.push(store.serve(), repository, "1")


def test_nothing_is_written_where_the_settings_name_no_repository(store: Store) -> None:
    filled(store, "team/app")
    server = inside(store)
    found = attempts(server, "team/app", "team/app")
    assert set(found.values()) == {403}, found
    assert server.ask("GET", "/v2/team/app/manifests/1").status == 200
    assert server.ask("GET", "/v2/team/app/manifests/2").status == 404


def test_what_the_settings_name_is_written_to_and_nothing_beside_it(store: Store) -> None:
    filled(store, "team/scratch/app")
    filled(store, "team/scratchy")
    server = inside(store, "team/scratch/**")
    image().push(server, "team/scratch/app", "2")
    assert server.ask("DELETE", "/v2/team/scratch/app/manifests/1").status == 202
    assert set(attempts(server, "team/scratchy", "team/scratch/app").values()) == {403}


@pytest.mark.parametrize("open_", [False, True], ids=["named", "open"])
def test_a_repository_that_holds_released_content_is_never_written_to(store: Store, open_: bool) -> None:
    filled(store, "team/app")
    filled(store, "team/other")
    release(store, "team/app")
    server = inside(store, "**", open_=open_)
    before = server.ask("GET", "/v2/team/app/manifests/1").body
    found = attempts(server, "team/app", "team/other")
    assert set(found.values()) == {403}, found
    assert server.ask("GET", "/v2/team/app/manifests/1").body == before
    image().push(server, "team/other", "2")


def test_an_upload_that_was_begun_before_the_release_does_not_end_after_it(store: Store) -> None:
    server = inside(store, "**")
    body = b"a layer"
    begun = server.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    release(store, "team/app")
    assert server.ask("PUT", f"{begun}?digest={Digest.of(body)}", body).status == 403
    assert server.ask("HEAD", f"/v2/team/app/blobs/{Digest.of(body)}").status == 404


def test_the_transaction_asks_again(store: Store) -> None:
    digest = str(Digest.of(b"x"))
    blob = BlobRow(digest=digest, size=1, crc32=0)
    release(store, "team/app")
    fields = {"repository": "team/app", "keeps_released": True}
    writes: list[Write] = [
        LinkBlob(blob=blob, at=AT, **fields), MountBlob(source="a", digest=digest, at=AT, **fields),
        PutManifest(manifest=ManifestRow(blob=blob, media_type="t"), at=AT, **fields),
        PutTag(tag="1", digest=digest, at=AT, **fields), DeleteTag(tag="1", **fields),
        DeleteManifest(digest=digest, **fields), DeleteBlob(digest=digest, **fields),
    ]  # fmt: skip
    for write in writes:
        with pytest.raises(RefusedError, match="released content"):
            store.writer.submit(write)


def test_the_question_is_answered_from_an_index(store: Store) -> None:
    """A push asks once, whether or not it is let in, and reads one entry of an index."""
    filled(store, "team/app")
    filled(store, "team/other")
    release(store, "team/app")
    server = inside(store, "**")
    asked: list[str] = []
    reader = server.services.metadata.connection
    for repository, expected in (("team/app", 403), ("team/other", 202)):
        asked.clear()
        reader.set_trace_callback(asked.append)
        assert server.ask("POST", f"/v2/{repository}/blobs/uploads/").status == expected
        reader.set_trace_callback(None)
        questions = [text for text in asked if "released" in text]
        assert len(questions) == 1, asked
        plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {questions[0]}")]
        assert plan == ["SEARCH released USING COVERING INDEX released_in_order (repository=?)"]


def test_a_pull_asks_no_question_about_releases(store: Store) -> None:
    filled(store, "team/app")
    server = inside(store)
    asked: list[str] = []
    server.services.metadata.connection.set_trace_callback(asked.append)
    assert server.ask("GET", "/v2/team/app/manifests/1").status == 200
    assert asked
    assert not any("released" in text for text in asked)


@pytest.mark.parametrize(
    ("lines", "patterns", "keeps"),
    [
        ('side = "outside"', None, False),
        ('side = "outside"\n[registry]\npush = ["a"]', None, False),
        ('side = "inside"', (), True),
        ('side = "inside"\n[registry]\npush = ["team/scratch/**"]', ("team/scratch/**",), True),
        ('side = "inside"\nopen = true', None, True),
    ],
)
def test_what_the_settings_say(lines: str, patterns: tuple[str, ...] | None, keeps: bool, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'site = "bravo"\n{lines}\n')
    assert ClientWrites.of(load_config(tmp_path / "config.toml")) == ClientWrites(patterns, keeps)


def test_a_pattern_that_is_none_names_itself(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('site = "bravo"\nside = "inside"\n[registry]\npush = ["Team/**"]\n')
    with pytest.raises(UsageError, match="pattern"):
        load_config(tmp_path / "config.toml")
