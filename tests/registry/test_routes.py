"""A path names one thing or nothing, however strange it is."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.registry.errors import RefusedRequestError
from appliance.registry.routes import Target, parse
from bundles.oci.digest import Digest
from bundles.oci.reference import check_repository

names = st.from_regex(
    r"[a-z0-9]{1,5}(/(blobs|uploads|manifests|tags|list|referrers|v2|[a-z0-9]{1,5})){0,4}", fullmatch=True
)
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,9}", fullmatch=True)
digests = st.binary(max_size=3).map(lambda body: str(Digest.of(body)))


@given(names, tags | digests)
def test_a_name_ends_where_the_resource_begins(name: str, reference: str) -> None:
    assert parse(f"/v2/{name}/manifests/{reference}") == Target("manifest", name, reference)
    assert parse(f"/v2/{name}/referrers/{reference}") == Target("referrers", name, reference)


@given(names, digests)
def test_blobs_uploads_and_lists_are_told_apart(name: str, digest: str) -> None:
    assert parse(f"/v2/{name}/blobs/{digest}") == Target("blob", name, digest)
    assert parse(f"/v2/{name}/blobs/uploads/") == Target("uploads", name)
    assert parse(f"/v2/{name}/blobs/uploads") == Target("uploads", name)
    assert parse(f"/v2/{name}/blobs/uploads/x-1") == Target("upload", name, "x-1")
    assert parse(f"/v2/{name}/tags/list") == Target("tags", name)


@given(st.text(max_size=60))
def test_arbitrary_paths_name_a_valid_repository_or_are_refused(path: str) -> None:
    with contextlib.suppress(RefusedRequestError):
        target = parse(f"/v2/{path}")
        if target.name:
            assert check_repository(target.name) == target.name


@given(st.text(alphabet="%2fF5Cc0aA/.:", max_size=20))
def test_escapes_never_make_a_slash(path: str) -> None:
    with contextlib.suppress(RefusedRequestError):
        target = parse(f"/v2/a{path}/tags/list")
        assert target.name.count("/") == path.count("/")


@pytest.mark.parametrize(
    "path", ["", "/", "v2/", "/v2x/", "/v2/_catalog/", "/v2/a/tags", "//v2/", "/v2/blobs/uploads/"]
)
def test_what_is_no_path_of_the_api_is_refused(path: str) -> None:
    with pytest.raises(RefusedRequestError):
        parse(path)
