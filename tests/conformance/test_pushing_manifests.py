"""Pushing manifests: what is refused and with which code, tags, conditions, subjects (specification: end-7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.limits import registry as registry_limits
from appliance.registry.services import RegistrySettings
from bundles import limits
from bundles.oci.digest import Digest
from bundles.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.conformance.shapes import Content, artifact, descriptor, document, image, index
from tests.registry_server import Answer, Server, Store


def put(
    server: Server, repository: str, content: Content, reference: str = "", query: str = "", **headers: str
) -> Answer:
    sent = {"Content-Type": content.media_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("PUT", f"/v2/{repository}/manifests/{reference or content.digest}{query}", content.manifest, sent)


def pushed(server: Server, repository: str, content: Content | None = None, reference: str = "v1") -> Content:
    content = content or image()
    content.push(server, repository, reference)
    return content


@pytest.mark.parametrize("reference", ["v1", ""])
def test_a_pushed_manifest_is_where_the_answer_says(server: Server, repository: str, reference: str) -> None:
    content = pushed(server, repository)
    answer = put(server, repository, content, reference)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/manifests/{content.digest}"
    assert answer.headers["Docker-Content-Digest"] == str(content.digest)
    assert server.ask("GET", answer.headers["Location"]).body == content.manifest


def test_a_tag_moves_to_what_is_pushed_last(server: Server, repository: str) -> None:
    first, second = pushed(server, repository), pushed(server, repository)
    assert server.ask("GET", f"/v2/{repository}/manifests/v1").body == second.manifest
    assert server.ask("GET", f"/v2/{repository}/manifests/{first.digest}").body == first.manifest


@pytest.mark.parametrize("media_type", [f"{OCI_MANIFEST}; charset=utf-8", f" {OCI_MANIFEST} "])
def test_parameters_of_the_content_type_are_ignored(server: Server, repository: str, media_type: str) -> None:
    content = pushed(server, repository)
    assert put(server, repository, content, "v2", Content_Type=media_type).status == 201
    assert server.ask("GET", f"/v2/{repository}/manifests/v2").headers["Content-Type"] == OCI_MANIFEST


def test_a_manifest_that_does_not_name_its_type_has_the_one_that_follows(server: Server, repository: str) -> None:
    content = pushed(server, repository)
    fields = json.loads(content.manifest)
    del fields["mediaType"]
    body = json.dumps(fields).encode()
    assert server.ask("PUT", f"/v2/{repository}/manifests/v2", body).status == 201
    assert server.ask("HEAD", f"/v2/{repository}/manifests/v2").headers["Content-Type"] == OCI_MANIFEST


def test_ten_and_more_tags_are_set_by_one_push(server: Server, repository: str) -> None:
    content = pushed(server, repository)
    tags = [f"release-{number}" for number in range(12)]
    answer = put(server, repository, content, query="?" + "&".join(f"tag={tag}" for tag in tags))
    assert (answer.status, answer.headers.get_all("OCI-Tag")) == (201, tags)
    for tag in tags:
        assert server.ask("GET", f"/v2/{repository}/manifests/{tag}").body == content.manifest


def test_a_sha512_digest_and_its_tags_are_pushed_together(server: Server, repository: str) -> None:
    content = image(algorithm="sha512")
    content.push(server, repository)
    assert put(server, repository, content, query="?tag=v1").status == 201
    assert server.ask("HEAD", f"/v2/{repository}/manifests/v1").headers["Docker-Content-Digest"] == str(content.digest)


def test_too_many_tags_and_malformed_ones_set_none(server: Server, repository: str) -> None:
    content = pushed(server, repository)
    many = "&".join(f"tag=t{number}" for number in range(registry_limits.PUSHED_TAGS + 1))
    assert put(server, repository, content, query=f"?{many}").status == 414
    assert put(server, repository, content, query="?tag=good&tag=-bad").code == "TAG_INVALID"
    assert server.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["v1"]


@pytest.mark.parametrize("reference", ["sha256:baddigeststring", "md5:" + "0" * 32, "sha256:" + "A" * 64, ":", "a:b"])
def test_a_malformed_digest_is_400_and_never_taken_for_a_tag(server: Server, repository: str, reference: str) -> None:
    answer = put(server, repository, pushed(server, repository), reference)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.ask("GET", f"/v2/{repository}/manifests/{reference}").status in (400, 404)


@pytest.mark.parametrize("tag", ["-a", ".a", "a" * 129, "a%20b", "%C3%A9"])
def test_a_malformed_tag_is_400(server: Server, repository: str, tag: str) -> None:
    answer = put(server, repository, pushed(server, repository), tag)
    assert (answer.status, answer.code) == (400, "TAG_INVALID")


def test_content_with_another_digest_is_400(server: Server, repository: str) -> None:
    content = pushed(server, repository)
    altered = Content(content.manifest + b" ")
    answer = put(server, repository, altered, str(content.digest))
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.ask("HEAD", f"/v2/{repository}/manifests/{altered.digest}").status == 404


@pytest.mark.parametrize("missing", ["config", "layer", "child", "foreign type"])
def test_a_manifest_that_names_what_the_repository_does_not_show_is_refused(
    server: Server, repository: str, missing: str
) -> None:
    elsewhere = f"{repository}/elsewhere"
    content = image()
    content.push(server, elsewhere)
    if missing in ("config", "layer"):
        for body in content.blobs[1:] if missing == "config" else content.blobs[:-1]:
            server.push_blob(repository, body)
    elif missing == "child":
        content = index([content])
    else:
        content = Content(
            document(
                {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(b"blob", "application/x.y")]}
            )
        )
    answer = put(server, repository, content, "v1")
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert server.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404


def test_an_index_may_list_what_is_no_manifest_if_the_repository_shows_it(server: Server, repository: str) -> None:
    server.push_blob(repository, b"blob")
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(b"blob", "application/x.y")]}
    assert put(server, repository, Content(document(fields)), "v1").status == 201


def test_a_sparse_index_is_taken_where_the_site_allows_it(tmp_path: Any) -> None:
    with Store(tmp_path) as store:
        server = store.serve(settings=RegistrySettings(sparse_indexes=True))
        assert put(server, "a", index([image()]), "v1").status == 201
        assert put(server, "a", image(), "v2").code == "MANIFEST_BLOB_UNKNOWN"


NO_MANIFESTS = {
    "nothing": (b"", OCI_MANIFEST),
    "no JSON": (b"not json", OCI_MANIFEST),
    "a list": (b"[]", OCI_MANIFEST),
    "an empty object": (b"{}", OCI_MANIFEST),
    "an image announced as an index": (image().manifest, OCI_INDEX),
    "an OCI image announced as Docker's": (image().manifest, DOCKER_MANIFEST),
    "an image announced as text": (image().manifest, "text/plain"),
    "an index with layers": (image(mediaType=OCI_INDEX).manifest, OCI_INDEX),
    "an image with manifests": (image(manifests=[]).manifest, OCI_MANIFEST),
    "a field given twice": (image().manifest.replace(b'"layers"', b'"layers": [], "layers"'), OCI_MANIFEST),
    "a field in other letters": (image(Layers=[]).manifest, OCI_MANIFEST),
    "half a surrogate pair": (image(annotations={"k": "\ud800"}).manifest, OCI_MANIFEST),
    "endless nesting": (b"[" * 100_000, OCI_MANIFEST),
}


@pytest.mark.parametrize("case", sorted(NO_MANIFESTS))
def test_what_is_no_manifest_of_its_type_is_400(server: Server, repository: str, case: str) -> None:
    body, media_type = NO_MANIFESTS[case]
    answer = server.ask("PUT", f"/v2/{repository}/manifests/v1", body, {"Content-Type": media_type})
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_manifest_beyond_four_mebibytes_is_413(server: Server, repository: str, streamed: bool) -> None:
    body = b" " * (limits.OCI_MANIFEST + 1)
    answer = server.ask(
        "PUT",
        f"/v2/{repository}/manifests/v1",
        iter([body]) if streamed else body,
        {"Content-Type": OCI_MANIFEST},
    )
    assert (answer.status, answer.code) == (413, "SIZE_INVALID")


@pytest.mark.parametrize("make", [artifact, lambda **more: index([], **more)], ids=["artifact", "index"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_subject_is_acknowledged_whether_or_not_it_exists(
    server: Server, repository: str, make: Any, exists: bool
) -> None:
    subject = image()
    if exists:
        subject.push(server, repository)
    content = make(subject=subject.described())
    content.push(server, repository)
    answer = put(server, repository, content)
    assert (answer.status, answer.headers["OCI-Subject"]) == (201, str(subject.digest))


def test_without_a_subject_none_is_acknowledged(server: Server, repository: str) -> None:
    assert "OCI-Subject" not in put(server, repository, pushed(server, repository)).headers


def test_a_new_tag_may_be_pushed_on_the_condition_that_it_is_new(server: Server, repository: str) -> None:
    content = pushed(server, repository)
    assert put(server, repository, content, "v1", If_None_Match="*").status == 412
    assert put(server, repository, content, "v2", If_None_Match="*").status == 201


def test_a_tag_may_be_moved_on_the_condition_that_nobody_else_moved_it(server: Server, repository: str) -> None:
    first, second = pushed(server, repository), pushed(server, repository, reference="v2")
    assert put(server, repository, second, "v1", If_Match=f'"{second.digest}"').status == 412
    assert put(server, repository, second, "v1", If_Match=f'"{first.digest}"').status == 201
    assert server.ask("GET", f"/v2/{repository}/manifests/v1").body == second.manifest


def test_a_manifest_pushed_as_a_blob_first_is_no_manifest_yet(server: Server, repository: str) -> None:
    content = image()
    for body in (*content.blobs, content.manifest):
        server.push_blob(repository, body)
    assert server.ask("HEAD", f"/v2/{repository}/manifests/{content.digest}").status == 404
    assert put(server, repository, content).status == 201
    assert Digest.of(content.manifest) == content.digest
