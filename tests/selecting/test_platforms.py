"""Which manifests of an index are taken for the platforms that are wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.selecting.platforms import Wanted, check_platforms, split
from bundles.errors import NotFoundError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest, parse_manifest

PLATFORMS = ["linux/amd64", "linux/arm64/v8", "linux/arm64", "linux/arm/v5", "linux/arm/v7", "windows/amd64", ""]


def digest(name: str) -> str:
    return str(Digest.of(name.encode()))


def index(*platforms: str, attested: str = "") -> Manifest:
    """An index of a manifest for each platform ("" for none), and an attestation as BuildKit attaches it."""
    listed: list[dict[str, Any]] = []
    for platform in platforms:
        one: dict[str, Any] = {"mediaType": OCI_MANIFEST, "digest": digest(platform), "size": 1}
        if platform:
            one["platform"] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        listed.append(one)
    if attested:
        unknown = {"os": "unknown", "architecture": "unknown"}
        about = {"vnd.docker.reference.digest": digest(attested), "vnd.docker.reference.type": "attestation-manifest"}
        listed.append({"mediaType": OCI_MANIFEST, "digest": digest("about"), "size": 1, "platform": unknown,
                       "annotations": about})  # fmt: skip
    return parse_manifest(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode())


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("linux/amd64", ["linux/amd64", ""]),
        ("linux/arm64", ["linux/arm64/v8", "linux/arm64", ""]),
        ("linux/arm64/v8", ["linux/arm64/v8", "linux/arm64", ""]),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v7", ""]),
        ("linux/arm/v7", ["linux/arm/v7", ""]),
        ("windows/amd64", ["windows/amd64", ""]),
    ],
)
def test_a_platform_without_a_variant_means_each_and_the_default_one_may_be_unsaid(
    wanted: str, taken: list[str]
) -> None:
    found = split(index(*PLATFORMS), [wanted])
    assert [str(one.platform or "") for one in found.taken] == taken
    assert len(found.taken) + len(found.left) == len(PLATFORMS)


def test_what_speaks_of_an_image_goes_with_it_and_without_a_wish_all_is_taken() -> None:
    whole = index("linux/amd64", "linux/s390x", attested="linux/s390x")
    assert split(whole, ()).left == ()
    assert [str(one.digest) for one in split(whole, ["linux/amd64"]).left] == [digest("linux/s390x"), digest("about")]
    assert len(split(whole, ["linux/s390x"]).taken) == 2


def test_a_platform_may_be_in_any_of_an_artifacts_indexes() -> None:
    wanted = Wanted(["linux/amd64", "linux/riscv64"])
    wanted.split(index("linux/s390x"))
    with pytest.raises(NotFoundError, match="linux/amd64, linux/riscv64") as none:
        wanted.lacking("app:1")
    assert "linux/s390x" in none.value.remedy
    wanted.split(index("linux/amd64", "linux/arm64", attested="linux/arm64"))
    assert (wanted.lacking("app:1"), wanted.left_out()) == (["linux/riscv64"], ["linux/arm64", "linux/s390x"])
    assert Wanted(["linux/amd64"]).lacking("an image without an index") == []


@pytest.mark.parametrize("value", ["amd64", "linux/", ["linux/amd64/v1/x"], [7], "linux/a b", "linux/\x1b[2J"])
def test_what_is_no_platform_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="not a platform"):
        check_platforms(value)
    assert check_platforms(["linux/amd64", "linux/amd64"]) == ("linux/amd64",)
