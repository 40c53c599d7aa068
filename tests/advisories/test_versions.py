"""Versions of every ecosystem are ordered as their own tools order them."""

from __future__ import annotations

import itertools

import pytest

from appliance.advisories.versions.errors import NoVersionError
from appliance.advisories.versions.order import SCHEMES, compare, scheme_of
from tests.advisories.pairs import files, pairs
from tests.advisories.pairs import scheme_of as scheme_of_file

SIGNS = {-1: "<", 0: "=", 1: ">"}
EVERY = 50
"""Of the long files the ordinary suite takes each fiftieth line."""


def wrong(name: str, every: int) -> list[str]:
    scheme, found = scheme_of_file(name), []
    for left, sign, right in itertools.islice(pairs(name), 0, None, every):
        back = {"<": ">", "=": "=", ">": "<"}[sign]
        try:
            said = SIGNS[compare(scheme, left, right)], SIGNS[compare(scheme, right, left)]
        except NoVersionError:
            said = "?", "?"
        if said != (sign, back):
            found.append(f"{left} {sign} {right}: {said[0]}")
    return found


@pytest.mark.parametrize("name", files())
def test_a_sample_of_the_public_pairs_of_each_ecosystem_is_ordered_as_they_say(name: str) -> None:
    assert wrong(name, EVERY if "generated" in name else 1) == []


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in files() if "generated" in name])
def test_every_public_pair_is_ordered_as_it_says(name: str) -> None:
    assert wrong(name, 1) == []


def test_the_pairs_are_all_there() -> None:
    assert sum(1 for name in files() for _ in pairs(name)) > 56_000
    assert {scheme_of_file(name) for name in files()} == {
        "alpine", "debian", "maven", "nuget", "packagist", "pypi", "rpm", "rubygems", "semver",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ecosystem", "lower", "higher"),
    [
        ("Go", "0.0.0-20200101000000-abcdef", "v0.0.1"), ("Go", "1.2.3+incompatible", "1.2.4"),
        ("npm", "1.0.0-rc.1", "1.0.0"), ("npm", "1.0.0-2", "1.0.0-10"), ("npm", "1.0.0-9", "1.0.0-a"),
        ("crates.io", "0.9", "0.10.0"), ("npm", "1.0.0-a", "1.0.0-a.0"),
        ("Debian:12", "1.0~rc1-1", "1.0-1"), ("Ubuntu:22.04:LTS", "9.0", "1:0.1"),
        ("Alpine:v3.18", "1.2.3_rc1-r0", "1.2.3-r0"), ("Alpine:v3.18", "1.2.3-r2", "1.2.3-r10"),
        ("Alpine:v3.18", "1.1.02", "1.1.1"), ("PyPI", "1.0rc1", "1.0"), ("PyPI", "not-a-version", "0.0.1"),
        ("PyPI", "1.0.dev1", "1.0a1"), ("Packagist", "1.0-beta1", "1.0"), ("Rocky Linux:9", "1.0~rc1-1", "1.0-1"),
        ("Maven", "1.0-SNAPSHOT", "1.0"), ("NuGet", "1.0.0-beta", "1.0.0"), ("RubyGems", "1.0.a", "1.0"),
    ],
)  # fmt: skip
def test_versions_of_an_ecosystem_are_ordered_by_its_rules(ecosystem: str, lower: str, higher: str) -> None:
    scheme = scheme_of(ecosystem)
    assert scheme is not None
    assert (compare(scheme, lower, higher), compare(scheme, higher, lower), compare(scheme, lower, lower)) == (-1, 1, 0)


HOSTILE = (
    "", "1" * 300, "\0", "1.0\n", "é", "-", ":", "1:", "a" * 256, "1." * 128, "9" * 256, "~" * 256, "²", "1.²", "-1",
    "0-" * 128, "1_" * 128, "1.-", "a1" * 128,
)  # fmt: skip


@pytest.mark.parametrize("scheme", sorted({*SCHEMES.values()}))
def test_hostile_versions_are_ordered_or_refused_and_nothing_else(scheme: str) -> None:
    for left, right in itertools.product((*HOSTILE, "1.0"), repeat=2):
        try:
            assert compare(scheme, left, right) in (-1, 0, 1)
        except NoVersionError:
            continue


def test_an_ecosystem_that_is_not_known_has_no_order() -> None:
    assert scheme_of("GIT") is None
    assert scheme_of("Bitnami") is None
