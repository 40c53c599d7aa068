"""Which version a tag names, and what is in a range."""

from __future__ import annotations

import pytest

from appliance.selecting.versions import VersionRange, tag_version
from bundles.errors import UsageError


@pytest.mark.parametrize(
    ("tag", "version", "variant"),
    [
        ("1", "1.0.0", ""),
        ("1.27", "1.27.0", ""),
        ("v1.2.3", "1.2.3", ""),
        ("22.04", "22.4.0", ""),
        ("1.27.3-alpine", "1.27.3", "alpine"),
        ("1.27-alpine3.20-perl", "1.27.0", "alpine3.20-perl"),
        ("1.30.1_build5", "1.30.1", "build5"),
        ("1.2.3-RC10", "1.2.3-rc.10", ""),
        ("3.13.0rc1", "3.13.0-rc.1", ""),
        ("2.0.0-rc.1-slim", "2.0.0-rc.1", "slim"),
        ("3.13-rc-slim", "3.13.0-rc", "slim"),
        ("1.2-development", "1.2.0", "development"),
        ("1.2.3-early", "1.2.3", "early"),
        ("1.2.3-alpha.1.2", "1.2.3-alpha.1.2", ""),
    ],
)
def test_a_suffix_is_a_prerelease_by_its_word_and_else_a_variant(tag: str, version: str, variant: str) -> None:
    found = tag_version(tag)
    assert found is not None
    assert (str(found.version), found.variant) == (version, variant)


@pytest.mark.parametrize("tag", ["latest", "20240101", "1234567", "1.2.3.4", "stable-1.2", "vv1", "1..2", "1.2-", "v"])
def test_what_is_no_version(tag: str) -> None:
    assert tag_version(tag) is None


@pytest.mark.parametrize(
    ("range_", "tags"),
    [
        (">=1.20 <2", "1.20 1.20.0 1.99.9"),
        ("^1.4 || 3.x", "1.20 1.20.0 1.99.9 3.0.0"),
        ("*", "1.2.0 1.20 1.20.0 1.99.9 2 3.0.0"),
        (">=2.0.0-rc9", "2.0.0-rc10 2 3.0.0"),
        ("~1.020", "1.20 1.20.0"),
    ],
)
def test_prereleases_are_in_a_range_only_where_it_names_one(range_: str, tags: str) -> None:
    wanted = VersionRange(range_)
    every = ["1.2.0", "1.20", "1.20.0", "1.99.9", "1.21.0-rc.1", "2.0.0-rc10", "2", "3.0.0", "3.1.0-beta"]
    found = [tag for tag in every if (named := tag_version(tag)) is not None and named.version in wanted]
    assert found == tags.split()


@pytest.mark.parametrize("text", ["latest", ">=1.20, <2", "1.2.3 - 2", "", " ", "1.2" * 100, ">=", "1.2.3.4"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as wrong:
        VersionRange(text)
    assert "'>=1.20 <2'" in wrong.value.remedy
