"""Whoever asks for a manifest's digests alone gets those of the whole reading, or its refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import MalformedError
from bundles.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, parse_manifest
from bundles.oci.named_digests import _of_common_form, named_digests


def described(number: int, **more: Any) -> dict[str, Any]:
    return {"mediaType": "application/x.y+z", "digest": f"sha256:{number:064x}", "size": number, **more}


IMAGE = {
    "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described(1), "layers": [described(2), described(3)],
}  # fmt: skip
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described(4)]}


def whole(raw: bytes) -> set[str] | None:
    """The digests that the whole reading gives, None for a refusal."""
    try:
        found = parse_manifest(raw)
    except MalformedError:
        return None
    return {str(each.digest) for each in (*found.layers, *found.manifests, *filter(None, (found.config,)))}


def alone(raw: bytes) -> set[str] | None:
    try:
        return named_digests(raw)
    except MalformedError:
        return None


@pytest.mark.parametrize(
    "document", [IMAGE, INDEX, {**IMAGE, "mediaType": DOCKER_MANIFEST}], ids=["image", "index", "docker"]
)
def test_the_commonest_form_is_read_without_the_whole_reading(document: dict[str, Any]) -> None:
    for raw in (json.dumps(document).encode(), json.dumps(document, indent=3).encode()):
        assert _of_common_form(raw) is not None
        assert alone(raw) == whole(raw)


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({**IMAGE, "subject": described(9)}).encode(),
        json.dumps({**IMAGE, "layers": [described(2, annotations={"digest": "sha256:" + "f" * 64})]}).encode(),
        json.dumps({**IMAGE, "Layers": [described(9)]}).encode(),
        json.dumps({**IMAGE, "manifests": [described(9)]}).encode(),
        json.dumps({**INDEX, "layers": []}).encode(),
        json.dumps({**INDEX, "manifests": []}).encode(),
        json.dumps({**INDEX, "manifests": None}).encode(),
        json.dumps({**IMAGE, "layers": None}).encode(),
        json.dumps({**IMAGE, "config": None}).encode(),
        json.dumps({**IMAGE, "mediaType": OCI_INDEX}).encode(),
        json.dumps({**IMAGE, "schemaVersion": 1}).encode(),
        json.dumps({**IMAGE, "config": described(1, size=1.0)}).encode(),
        json.dumps({**IMAGE, "config": described(1, size=True)}).encode(),
        json.dumps({**IMAGE, "config": described(1, size=limits.INTEGER)}).encode(),
        json.dumps({**IMAGE, "config": described(1, size=limits.INTEGER + 1)}).encode(),
        json.dumps({**IMAGE, "config": described(1, digest="sha256:" + "A" * 64)}).encode(),
        json.dumps({**IMAGE, "config": described(1, mediaType="a/b\nc/d")}).encode(),
        json.dumps({**IMAGE, "config": described(1, mediaType="a/b\nc/d")}).encode().replace(b"\\n", b"\n"),
        json.dumps(IMAGE).encode().replace(b"sha256:", b"sha\\u0032\\u0035\\u0036:"),
        json.dumps(IMAGE).encode()[:-1] + b', "layers": []}',
        json.dumps(IMAGE).encode().replace(b'"size": 3', b'"size": 3, "size": 3'),
        json.dumps(IMAGE).encode().replace(b'"size": 3', b'"size": 03'),
        json.dumps(IMAGE).encode().replace(b'"size": 3', b'"size": 3e0'),
        json.dumps(IMAGE).encode().replace(b'"size": 3', b'"size": -0'),
        json.dumps(IMAGE).encode() + b"{}",
        b"\xef\xbb\xbf" + json.dumps(IMAGE).encode(),
        json.dumps(IMAGE).encode().replace(b"x.y", b"x\xff"),
        b"", b"[]", b"{}", b"null",
    ],
    ids=lambda raw: f"{len(raw)}-bytes",
)  # fmt: skip
def test_any_other_form_is_read_or_refused_as_before(raw: bytes) -> None:
    assert alone(raw) == whole(raw)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([IMAGE, INDEX]), st.integers(0, 700), st.integers(0, 12),
    st.sampled_from([b"", b'"', b"\\", b"}", b"]", b",", b"0", b"1e1", b"null", b'"digest":"x",', b'"layers":[],']),
)  # fmt: skip
def test_bytes_that_were_changed_anywhere_are_read_or_refused_alike(
    document: dict[str, Any], place: int, gone: int, put: bytes
) -> None:
    raw = json.dumps(document).encode()
    place %= len(raw)
    changed = raw[:place] + put + raw[place + gone :]
    assert alone(changed) == whole(changed)
