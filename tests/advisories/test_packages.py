"""Packages of SBOMs are looked up as their ecosystems spell them, and what is not looked up is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.advisories.match import judge, match_package
from appliance.advisories.packages import Package, is_covered, package_of
from appliance.advisories.record import Entry, lookup_of, read_record
from appliance.advisories.sbom import read_sbom
from appliance.limits import scanning as limits
from bundles.errors import MalformedError


def looked_up(purl: str, version: str = "", **more: Any) -> list[tuple[str, str]]:
    return list(package_of(purl, "", version, **more).lookups())


@pytest.mark.parametrize(
    ("purl", "kind", "names"),
    [
        ("pkg:pypi/Foo_Bar.baz@1.0", "PyPI", [("foo-bar-baz", "1.0")]),
        ("pkg:npm/%40angular/core@1.0.0", "npm", [("@angular/core", "1.0.0")]),
        ("pkg:golang/github.com/gin-gonic/gin@v1.7.0", "Go", [("github.com/gin-gonic/gin", "v1.7.0")]),
        ("pkg:golang/stdlib@go1.22.1", "Go", [("stdlib", "1.22.1")]),
        ("pkg:maven/org.apache/log4j@2.0", "Maven", [("org.apache:log4j", "2.0")]),
        ("pkg:composer/Symfony/Http@1", "Packagist", [("symfony/http", "1")]),
        ("pkg:cargo/time@0.1.0", "crates.io", [("time", "0.1.0")]),
        ("pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl", "Debian:12",
         [("libssl3", "3.0.11-1~deb12u2"), ("openssl", "3.0.11-1~deb12u2")]),
        ("pkg:deb/debian/libc6@2.36-9%2Bdeb12u3?upstream=glibc%402.36-9&distro=debian-12.4", "Debian:12",
         [("libc6", "2.36-9+deb12u3"), ("glibc", "2.36-9")]),
        ("pkg:deb/ubuntu/bash@5.1-6?distro=ubuntu-22.04", "Ubuntu:22.04", [("bash", "5.1-6")]),
        ("pkg:apk/alpine/libcrypto3@3.1.4-r0?upstream=openssl&distro=alpine-3.18.4", "Alpine:v3.18",
         [("libcrypto3", "3.1.4-r0"), ("openssl", "3.1.4-r0")]),
        ("pkg:rpm/rocky/openssl-libs@3.0.7-24.el9?epoch=1&upstream=openssl-3.0.7-24.el9.src.rpm&distro=rocky-9.3",
         "Rocky Linux:9", [("openssl-libs", "1:3.0.7-24.el9")]),
        ("pkg:generic/python@3.11.4", "pkg:generic", []),
        ("pkg:deb/unheard/bash@5", "pkg:deb", []),
        ("no purl", "unnamed", []),
        ("", "unnamed", []),
    ],
)  # fmt: skip
def test_a_package_url_says_where_a_package_is_looked_up(purl: str, kind: str, names: list[tuple[str, str]]) -> None:
    package = package_of(purl, "", "")
    assert (package.kind, list(package.lookups())) == (kind, names)


def test_the_distribution_and_the_source_come_from_the_sbom_where_the_package_url_names_none() -> None:
    document = {
        "bomFormat": "CycloneDX",
        "components": [
            {"type": "operating-system", "name": "debian", "version": "12"},
            {"type": "library", "name": "libssl3", "version": "3.0.1-1", "purl": "pkg:deb/debian/libssl3@3.0.1-1",
             "properties": [{"name": "syft:metadata:source", "value": "openssl"},
                            {"name": "syft:metadata:sourceVersion", "value": "3.0.1-0"},
                            {"name": "syft:location:0:path", "value": "/var/lib/dpkg/status"}]},
            {"type": "file", "name": "/etc/passwd"},
            {"type": "application", "name": "outer", "components": [
                {"type": "library", "name": "a", "version": "1", "purl": "pkg:pypi/a@1"}]},
        ],
    }  # fmt: skip
    listed = dict(read_sbom(json.dumps(document).encode()).packages)
    found = {one.label: one for one in listed}
    assert set(found) == {"libssl3", "outer", "a"}
    assert list(found["libssl3"].lookups()) == [("libssl3", "3.0.1-1"), ("openssl", "3.0.1-0")]
    assert (found["libssl3"].kind, listed[found["libssl3"]]) == ("Debian:12", "/var/lib/dpkg/status")
    assert found["outer"].kind == "unnamed"


def test_packages_of_an_spdx_document_count_as_well() -> None:
    document = {
        "spdxVersion": "SPDX-2.3",
        "packages": [
            {"name": "requests", "versionInfo": "2.19", "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"},
                {"referenceType": "purl", "referenceLocator": "pkg:pypi/requests@2.19"}]},
            {"name": "root", "primaryPackagePurpose": "CONTAINER"},
        ],
    }  # fmt: skip
    ((package, _),) = read_sbom(json.dumps(document).encode()).packages
    assert list(package.lookups()) == [("requests", "2.19")]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b"\xff", b'{"bomFormat": "CycloneDX", "components": {}}',
        b'{"bomFormat": "CycloneDX", "components": [1]}', b'{"spdxVersion": "SPDX-2.3", "packages": ["a"]}',
        b'{"bomFormat": "CycloneDX", "bomFormat": "x"}', b"[" * 2000,
        json.dumps({"bomFormat": "CycloneDX", "components": [{"name": "x" * 5000}]}).encode(),
        json.dumps({"bomFormat": "CycloneDX",
                    "components": [{"name": f"{n}"} for n in range(limits.SBOM_PACKAGES + 1)]}).encode(),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_document_that_is_no_sbom_is_an_error_and_no_empty_one(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_sbom(raw)


def test_layers_that_its_maker_did_not_look_into_are_named() -> None:
    metadata = {"properties": [{"name": "lockgate:unread-layer", "value": "sha256:ab"}]}
    document = {"bomFormat": "CycloneDX", "metadata": metadata}
    assert read_sbom(json.dumps(document).encode()).unread_layers == ("sha256:ab",)


@pytest.mark.parametrize(
    ("kind", "loaded", "covered"),
    [
        ("PyPI", {"PyPI"}, True), ("PyPI", {"npm"}, False), ("Debian:12", {"Debian:12"}, True),
        ("Debian:12", {"Debian:11"}, False), ("Debian:12", {"Debian"}, True), ("Debian", {"Debian:11"}, True),
        ("Ubuntu:22.04", {"Ubuntu:22.04:LTS"}, True), ("Ubuntu:22.10", {"Ubuntu:22.04:LTS"}, False),
        ("Red Hat:9", {"Red Hat:enterprise_linux:9::baseos"}, True), ("pkg:generic", {"PyPI"}, False),
        ("unnamed", {"PyPI"}, False), ("PyPI", set(), False),
    ],
)  # fmt: skip
def test_a_package_is_covered_by_advisories_of_its_ecosystem_and_release(
    kind: str, loaded: set[str], covered: bool
) -> None:
    assert is_covered(kind, frozenset(loaded)) is covered


def entry(ecosystem: str, name: str, fixed: str, id_: str = "X-1", **fields: Any) -> Entry:
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
    }
    document = {"id": id_, "modified": "2024-01-01T00:00:00Z", "affected": [affected], **fields}
    (made,) = read_record(json.dumps(document).encode()).entries
    return made


def lookup_in(*entries: Entry) -> Any:
    return lambda base, name: [("test", one) for one in entries if lookup_of(one) == (base, name)]


DEB = "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl"


@pytest.mark.parametrize(
    ("ecosystem", "name", "fixed", "found"),
    [
        ("Debian:12", "openssl", "3.0.11-2", True), ("Debian:12", "openssl", "3.0.11-1", False),
        ("Debian:11", "openssl", "3.0.11-2", False), ("Debian", "openssl", "3.0.11-2", True),
        ("Debian:12", "libssl3", "3.0.11-2", True), ("Ubuntu:12", "openssl", "3.0.11-2", False),
        ("Debian:12", "libssl1", "3.0.11-2", False),
    ],
)  # fmt: skip
def test_a_distributions_package_is_held_against_its_release_by_binary_and_source_name(
    ecosystem: str, name: str, fixed: str, found: bool
) -> None:
    matches = match_package(package_of(DEB, "libssl3", "3.0.11-1"), lookup_in(entry(ecosystem, name, fixed)))
    assert [one.state for one in matches.found] == ["affected"] * found


def test_a_package_whose_release_is_not_known_is_held_against_every_release() -> None:
    package = package_of("pkg:deb/debian/openssl@1.0-1", "openssl", "1.0-1")
    found = match_package(package, lookup_in(entry("Debian:11", "openssl", "1.0-2"))).found
    assert [one.fix for one in found] == ["1.0-2"]


UPSTREAM = entry("PyPI", "requests", "2.30", "PYSEC-1", aliases=["CVE-2023-1"])
FIXED = entry("Debian:12", "requests", "2.28.1+dfsg-1", "DEBIAN-CVE-2023-1", upstream=["CVE-2023-1"])
OPEN = entry("Debian:12", "requests", "2.28.1+dfsg-2", "DEBIAN-CVE-2023-1", upstream=["CVE-2023-1"])
OTHER = entry("Debian:12", "requests", "2.28.1+dfsg-1", "DEBIAN-CVE-2023-2", upstream=["CVE-2023-2"])
OWNER = package_of(
    "pkg:deb/debian/python3-requests@2.28.1%2Bdfsg-1?distro=debian-12&upstream=requests", "python3-requests",
    "2.28.1+dfsg-1",
)  # fmt: skip
LIBRARY = package_of("pkg:pypi/requests@2.28.1", "requests", "2.28.1")
SYSTEM = "/usr/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO"


def ids(packages: list[tuple[Package, str]], *entries: Entry) -> list[str]:
    lookup = lookup_in(*entries)
    verdict = judge(packages, lambda one: match_package(one, lookup), lambda _: True)
    return sorted(match.entry.id for match, _ in verdict.findings)


def test_a_distributions_fix_beats_the_upstreams_range() -> None:
    assert ids([(LIBRARY, SYSTEM), (OWNER, "")], UPSTREAM, FIXED) == []
    assert ids([(LIBRARY, SYSTEM), (OWNER, "")], UPSTREAM, OPEN) == ["DEBIAN-CVE-2023-1"]


@pytest.mark.parametrize(
    ("library", "path", "owner", "record"),
    [
        (LIBRARY, "/usr/local/lib/python3.11/dist-packages/requests/METADATA", OWNER, FIXED),
        (LIBRARY, "/opt/venv/usr/lib/requests/METADATA", OWNER, FIXED),
        (LIBRARY, "", OWNER, FIXED),
        (LIBRARY, SYSTEM, OWNER._replace(version="2.31.0+dfsg-1"), FIXED),
        (LIBRARY, SYSTEM, OWNER._replace(name="python3-urllib3"), FIXED),
        (LIBRARY, SYSTEM, OWNER, OTHER),
    ],
)
def test_a_distribution_that_owns_no_file_of_it_or_knows_nothing_of_it_beats_nothing(
    library: Package, path: str, owner: Package, record: Entry
) -> None:
    assert "PYSEC-1" in ids([(library, path), (owner, "")], UPSTREAM, record)


def test_what_no_advisories_are_loaded_for_keeps_an_image_from_being_clean() -> None:
    packages = [(LIBRARY, ""), (package_of("pkg:npm/a@1", "a", "1"), ""), (package_of("", "b", "1"), "")]
    verdict = judge(packages, lambda one: match_package(one, lookup_in()), lambda kind: kind == "PyPI")
    assert (verdict.unmatched, verdict.unnamed, verdict.packages) == ({"npm": 1}, 1, 3)


def test_a_version_that_cannot_be_compared_is_undecided_and_not_clean() -> None:
    package = package_of("pkg:npm/a@latest", "a", "latest")
    verdict = judge(
        [(package, "")], lambda one: match_package(one, lookup_in(entry("npm", "a", "2.0.0"))), lambda _: True
    )
    assert [match.state for match, _ in verdict.findings] == ["undecided"]
