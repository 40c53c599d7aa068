"""A manifest has one reading, the same for us and for the client that runs it; what has two is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import MalformedError
from bundles.oci.descriptor import Platform, is_platform
from bundles.oci.digest import Digest
from bundles.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    parse_manifest,
)

NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def descriptor(content: str = "x", media_type: str = "application/octet-stream", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content.encode())), "size": len(content), **more}


def image(**more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("config", OCI_CONFIG),
        "layers": [descriptor("layer")],
        **more,
    }


def index(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor("image", OCI_MANIFEST)], **more}


def read(document: Any, announced: str | None = None) -> Any:
    return parse_manifest(document if isinstance(document, bytes) else json.dumps(document).encode(), announced)


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def test_an_image_names_its_config_and_layers() -> None:
    manifest = read(image(), OCI_MANIFEST)
    assert [str(blob.digest) for blob in manifest.blobs] == [
        str(Digest.of(b"config")),
        str(Digest.of(b"layer")),
    ]
    assert (manifest.is_index, manifest.artifact_type, manifest.subject) == (False, OCI_CONFIG, None)


def test_an_index_names_its_manifests() -> None:
    manifest = read(index(), OCI_INDEX)
    assert [child.digest for child in manifest.manifests] == [Digest.of(b"image")]
    assert (manifest.is_index, manifest.blobs, manifest.artifact_type) == (True, (), "")


def test_an_artifacts_type_is_its_own_before_its_configs() -> None:
    assert read(image(artifactType="application/x.y")).artifact_type == "application/x.y"
    assert read(index(artifactType="application/x.y")).artifact_type == "application/x.y"


def test_a_platform_and_a_subject_are_read() -> None:
    child = descriptor("image", OCI_MANIFEST, platform={"os": "linux", "architecture": "arm64", "variant": "v8"})
    manifest = read(index(manifests=[child], subject=descriptor("subject", OCI_MANIFEST)))
    assert str(manifest.manifests[0].platform) == "linux/arm64/v8"
    assert manifest.subject.digest == Digest.of(b"subject")


def test_layers_that_are_not_distributed_need_not_be_held() -> None:
    manifest = read(image(layers=[descriptor("there", NONDISTRIBUTABLE, urls=["https://example.com/l"])]))
    assert [blob.media_type for blob in manifest.blobs] == [OCI_CONFIG]


@pytest.mark.parametrize(
    ("media_type", "foreign"),
    [
        (NONDISTRIBUTABLE, True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        ("application/x.vnd.docker.image.rootfs.foreign.diff.tar", False),
    ],
)
def test_which_layers_are_foreign(media_type: str, foreign: bool) -> None:
    manifest = read(image(layers=[descriptor("there", media_type)]))
    assert bool(manifest.foreign) is foreign
    assert (len(manifest.blobs) == 1) is foreign


def test_a_layer_that_is_also_named_as_an_ordinary_one_is_no_foreign_one() -> None:
    manifest = read(image(layers=[descriptor("there", NONDISTRIBUTABLE), descriptor("there")]))
    assert (len(manifest.blobs), manifest.foreign) == (2, ())


@pytest.mark.parametrize("document", [image(layers=[]), image(layers=None), without(image(), "layers")])
def test_an_artifact_may_have_no_layers(document: dict[str, Any]) -> None:
    assert read(document).layers == ()


@pytest.mark.parametrize("manifests", [[], None])
def test_an_index_may_be_empty(manifests: Any) -> None:
    assert read(index(manifests=manifests)).manifests == ()


def test_fields_nobody_knows_and_inline_data_are_no_obstacle() -> None:
    config = descriptor("{}", OCI_EMPTY, data="e30=")
    manifest = read(image(config=config, custom={"nested": [1.5, None, True]}, annotations={"k": "v"}))
    assert manifest.annotations == {"k": "v"}


@pytest.mark.parametrize(
    ("document", "announced", "found"),
    [
        (without(image(), "mediaType"), None, OCI_MANIFEST),
        (without(image(), "mediaType"), OCI_MANIFEST, OCI_MANIFEST),
        (without(index(), "mediaType"), OCI_INDEX, OCI_INDEX),
        (image(mediaType=DOCKER_MANIFEST, config=descriptor("c", DOCKER_CONFIG)), None, DOCKER_MANIFEST),
        (index(mediaType=DOCKER_LIST), DOCKER_LIST, DOCKER_LIST),
    ],
)
def test_a_manifests_type_is_what_it_says_or_what_it_is(document: Any, announced: str | None, found: str) -> None:
    assert read(document, announced).media_type == found


@pytest.mark.parametrize(
    ("document", "announced"),
    [
        (image(), OCI_INDEX),
        (index(), OCI_MANIFEST),
        (image(), DOCKER_MANIFEST),
        (without(image(), "mediaType"), OCI_INDEX),
        (without(index(), "mediaType"), OCI_MANIFEST),
        (without(image(), "mediaType"), DOCKER_MANIFEST),
        (without(index(), "mediaType"), DOCKER_LIST),
        (image(manifests=[]), OCI_MANIFEST),
        (index(layers=[]), OCI_INDEX),
        (index(config=descriptor()), OCI_INDEX),
        (image(fsLayers=[]), OCI_MANIFEST),
    ],
)
def test_a_document_that_can_be_read_as_two_types_is_refused(document: Any, announced: str) -> None:
    with pytest.raises(MalformedError, match="confusion"):
        read(document, announced)


@pytest.mark.parametrize(
    "key", ["Layers", "LAYERS", "layer\u017f", "MediaType", "schemaversion", "\u0053ubject", "Config"]
)
def test_a_known_field_in_other_letters_is_refused(key: str) -> None:
    with pytest.raises(MalformedError, match="other letters"):
        read(image(**{key: [descriptor("another")]}))


@pytest.mark.parametrize("key", ["Digest", "\u017fize", "mediatype", "URLs"])
def test_a_descriptors_field_in_other_letters_is_refused(key: str) -> None:
    with pytest.raises(MalformedError, match="other letters"):
        read(image(layers=[descriptor("layer", **{key: "x"})]))


def test_a_field_given_twice_is_refused() -> None:
    raw = json.dumps(image()).encode().replace(b'"layers"', b'"layers": [], "layers"')
    with pytest.raises(MalformedError, match="duplicate"):
        read(raw)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        {},
        image(schemaVersion=1),
        image(schemaVersion="2"),
        image(mediaType="text/plain"),
        image(mediaType=7),
        image(config=None),
        without(image(), "config"),
        image(layers={}),
        image(layers=["x"]),
        image(annotations={"k": 1}),
        image(annotations={"k": "half a pair: \ud800"}),
        image(annotations={"\udfff": "v"}),
        image(artifactType="\ud800"),
        image(subject={}),
        image(artifactType=[]),
        image(layers=[descriptor(size=-1)]),
        image(layers=[descriptor(size=True)]),
        image(layers=[descriptor(size=1.0)]),
        image(layers=[descriptor(size="1")]),
        image(layers=[descriptor(digest="sha256:short")]),
        image(layers=[descriptor(urls="https://example.com")]),
        image(layers=[descriptor(platform="linux")]),
        image(layers=[descriptor("x", "no media type")]),
        without(index(), "manifests"),
        index(manifests=[descriptor()] * (limits.MANIFEST_DESCRIPTORS + 1)),
    ],
)
def test_malformed_manifests_are_refused_with_one_clear_error(document: Any) -> None:
    with pytest.raises(MalformedError):
        read(document)


def test_a_manifest_beyond_the_ceiling_is_refused_and_one_below_is_read() -> None:
    assert read(image(annotations={"k": "v" * (limits.OCI_MANIFEST - 1000)})).annotations
    with pytest.raises(MalformedError, match="too large"):
        read(image(annotations={"k": "v" * limits.OCI_MANIFEST}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType", "x"])


@given(st.sampled_from([image(), index()]), fields, json_values)
def test_any_value_in_any_field_gives_a_manifest_or_one_clear_error(
    document: dict[str, Any], field: str, value: Any
) -> None:
    with contextlib.suppress(MalformedError):
        read({**document, field: value})


@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_one_clear_error(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read(raw)


@pytest.mark.parametrize("field", ["os", "architecture", "variant"])
@pytest.mark.parametrize(
    "value", ["../../x", "..", ".hidden", "a/b", "a b", "a\x1b[2J", "a\n", "a\0", "\u202ea", "x" * 65, 7]
)
def test_a_platform_that_is_no_plain_word_is_refused(field: str, value: object) -> None:
    platform = {"os": "linux", "architecture": "arm", field: value}
    with pytest.raises(MalformedError, match=rf"platform\.{field}"):
        Platform.from_json(platform)
    child = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 7, "platform": platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()
    with pytest.raises(MalformedError, match=rf"platform\.{field}"):
        parse_manifest(raw, OCI_INDEX)


@pytest.mark.parametrize("field", ["os.version", "os.features", "features"])
@pytest.mark.parametrize("value", ["../../x", "/etc", "a\\b", "x\0", "\u202ex", "a\n", "-x", "x" * 129, 7, ["y"]])
def test_a_platforms_version_or_feature_that_is_no_plain_text_is_refused(field: str, value: object) -> None:
    said = value if field == "os.version" else [value]
    with pytest.raises(MalformedError):
        Platform.from_json({"os": "windows", "architecture": "amd64", field: said})


def test_features_that_are_no_list_are_refused() -> None:
    with pytest.raises(MalformedError, match="no list"):
        Platform.from_json({"os": "windows", "architecture": "amd64", "os.features": "win32k"})


REAL = (
    {}, {"os": "unknown", "architecture": "unknown"}, {"os": "wasip1"},
    {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "10.0 x"},
    {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.3091", "os.features": ["win32k"]},
    {"os": "linux", "architecture": "amd64", "os.features": None, "features": ["sse4"]},
)  # fmt: skip


@pytest.mark.parametrize("platform", REAL)
def test_a_platform_as_real_images_have_it_is_read(platform: dict[str, str]) -> None:
    assert is_platform(str(Platform.from_json(platform)))
