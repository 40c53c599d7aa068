"""What VEX documents say, which findings it is about, and what of it counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.advisories.vex.reading import is_vex, read_vex
from appliance.advisories.vex.statements import Statement, is_about, purl_matches, resolve
from appliance.limits import scanning as limits
from bundles.errors import MalformedError
from tests.scanning.vex import IMAGE, REQUESTS, csaf, openvex, product, said

HEX = IMAGE.partition(":")[2]
APK = "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64"


def rows(raw: bytes) -> set[tuple[str, str, str, str]]:
    return {(one.id, one.product, one.subcomponent, one.status) for one in read_vex(raw).statements}


def test_a_statement_is_one_for_each_name_and_each_pair_that_can_be_compared() -> None:
    both = said(product(IMAGE, REQUESTS, APK), name="GHSA-1", status="fixed")
    both["vulnerability"]["aliases"] = ["CVE-2024-1"]
    assert rows(openvex(both)) == {
        (name, IMAGE, package, "fixed") for name in ("GHSA-1", "CVE-2024-1") for package in (REQUESTS, APK)
    }
    assert rows(openvex(said({"@id": "https://vendor.example/app", "hashes": {"sha-256": HEX.upper()}}))) == {
        ("CVE-2024-1000", IMAGE, "", "not_affected")
    }
    assert rows(openvex(said({"identifiers": {"purl": APK}}))) == {("CVE-2024-1000", APK, "", "not_affected")}


@pytest.mark.parametrize(
    "vague",
    [
        {"@id": "pkg:oci/app"}, {"@id": "pkg:oci/app?tag=1"}, {"@id": "pkg:oci/app@latest"}, {"@id": "app:1"},
        {"@id": f"{APK}#lib"}, {"@id": f"pkg:oci/app@{IMAGE}#x"}, {"identifiers": {"cpe23": "cpe:2.3:a:x:y:1"}},
        {"hashes": {"sha-256": "abc"}}, {"hashes": {"md5": "a" * 32}}, {},
        {"@id": APK, "subcomponents": [{"@id": REQUESTS}]}, product() | {"subcomponents": [{"@id": f"{REQUESTS}#x"}]},
    ],
)  # fmt: skip
def test_a_product_that_nothing_here_can_be_compared_with_counts_never_and_is_counted(vague: dict[str, Any]) -> None:
    document = read_vex(openvex(said(vague)))
    assert (document.statements, document.unmatched, document.said) == ((), 1, 1)


def test_package_urls_match_as_openvex_says() -> None:
    packaged = "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl"
    for stated in (
        packaged, "pkg:deb/debian/libssl3@3.0.11-1", "pkg:deb/debian/libssl3", "pkg:DEB/Debian/libssl3?arch=amd64",
    ):  # fmt: skip
        assert purl_matches(stated, packaged), stated
    for stated in (
        "pkg:deb/debian/libssl3@3.0.11", "pkg:deb/debian/libssl3@3.0.11-10", "pkg:deb/ubuntu/libssl3",
        "pkg:deb/debian/libssl", "pkg:deb/debian/libssl3?arch=arm64", "pkg:deb/debian/libssl3?epoch=1", "libssl3", "",
    ):  # fmt: skip
        assert not purl_matches(stated, packaged), stated
    assert purl_matches("pkg:pypi/Foo.Bar@1", "pkg:pypi/foo-bar@1")
    assert not purl_matches("pkg:npm/foo@1", "pkg:npm/%40scope/foo@1")


def statement(product: str, subcomponent: str = "", status: str = "not_affected", at: str = "1") -> Statement:
    return Statement("CVE-1", product, subcomponent, status, "", "", at, "doc")


def test_a_statement_counts_only_where_product_and_subcomponent_match() -> None:
    images = frozenset({IMAGE})
    for one in (statement(IMAGE), statement(IMAGE, REQUESTS), statement(REQUESTS), statement("pkg:pypi/requests")):
        assert is_about(one, images, REQUESTS)
    for one in (
        statement("sha256:" + "b" * 64), statement("sha256:" + "b" * 64, REQUESTS), statement(IMAGE, APK),
        statement(APK), statement(REQUESTS, REQUESTS), statement("pkg:pypi/requests@2.20"),
    ):  # fmt: skip
        assert not is_about(one, images, REQUESTS), one


@pytest.mark.parametrize(
    ("said_of_it", "counts"),
    [
        ([("a", "affected", "1"), ("a", "fixed", "2")], ("fixed", False)),
        ([("a", "fixed", "2"), ("a", "affected", "1")], ("fixed", False)),
        ([("a", "not_affected", "1"), ("a", "affected", "1")], ("affected", False)),
        ([("a", "not_affected", "9"), ("b", "affected", "1")], ("affected", True)),
        ([("a", "not_affected", "9"), ("b", "under_investigation", "1")], ("under_investigation", True)),
        ([("a", "not_affected", "1"), ("b", "not_affected", "2")], ("not_affected", False)),
    ],
)  # fmt: skip
def test_the_latest_of_a_source_counts_and_of_several_sources_the_worst(
    said_of_it: list[tuple[str, str, str]], counts: tuple[str, bool]
) -> None:
    claim = resolve((source, statement(IMAGE, "", status, at)) for source, status, at in said_of_it)
    assert claim is not None
    assert (claim.statement.status, claim.contradicted) == counts
    assert resolve([]) is None


def test_a_csaf_document_names_products_by_its_tree() -> None:
    raw = csaf(
        {"known_not_affected": ["IMG:REQ"], "known_affected": ["REQ"], "first_fixed": ["IMG"], "recommended": ["X"]},
        flags=["IMG:REQ"],
    )
    assert is_vex(raw)
    assert rows(raw) == {
        ("CVE-2024-1000", IMAGE, REQUESTS, "not_affected"), ("CVE-2024-1000", REQUESTS, "", "affected"),
        ("CVE-2024-1000", IMAGE, "", "fixed"),
    }  # fmt: skip
    document = read_vex(raw)
    assert (document.id, document.said, document.unmatched) == ("Vendor: V-1", 3, 0)
    nested = {"A": ("REQ", "B"), "B": ("REQ", "A")}
    assert read_vex(csaf({"fixed": ["A", "B"]}, composed=nested)).unmatched == 2, "a circle is not followed"


BAD = [
    openvex(said(product(), justification=None)), openvex(said(product(), justification="trust_us")),
    openvex(said(product(), status="ok")), openvex(said()), openvex(), openvex(said(product()), **{"@context": "x"}),
    openvex(said(product()), at="2024-03-01T00:00:00"), openvex(said(product()), at="soon"),
    openvex(said(product(), subcomponents=[{"@id": APK}])), openvex(said(product(), scope="internal")),
    openvex(said(product()), said(product(), status="affected")), openvex(said(product(), name="")),
    openvex({"vulnerability": "CVE-1", "products": [APK], "status": "fixed"}), openvex(said(product(), name="C" * 500)),
    openvex(said(product()))[:-1] + b', "version": 2}', openvex(said(product()))[:-3], b'{"@context":' * 90, b"[]",
    csaf({"known_not_affected": ["IMG"]}), csaf({"fixed": ["REQ"], "known_affected": ["REQ"]}),
    csaf({"fixed": ["NONE"]}), csaf({"fixed": ["IMG"]}, vulnerabilities=[{"product_status": {"fixed": ["IMG"]}}]),
    csaf({"fixed": ["IMG"]}, vulnerabilities=[]), csaf({"fixed": ["IMG"]}, composed={"IMG": ("REQ", "REQ")}),
    csaf({"fixed": ["IMG"]}).replace(b"csaf_vex", b"csaf_security_advisory"), csaf({"fixed": ["IMG"]}, at="2024"),
    csaf({"fixed": ["IMG"]}).replace(b'"final"', b'"draft"'),
]  # fmt: skip


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_a_document_that_is_not_as_its_format_says_or_contradicts_itself_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_vex(raw)


def test_combinations_that_multiply_and_documents_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VEX_ROWS", 100)
    many = [f"pkg:pypi/p{number}@1" for number in range(60)]
    for raw in (
        openvex(said(product(IMAGE, *many), product("sha256:" + "b" * 64, *many))),
        openvex(*(said(product(), name=f"CVE-2024-{number}") for number in range(1000, 1200))),
        openvex(said(product(IMAGE, *many)) | {"vulnerability": {"name": "CVE-1", "aliases": ["CVE-2"]}}),
        csaf({"fixed": [f"P{number}" for number in range(200)]}, purls={f"P{n}": f"pkg:pypi/p{n}" for n in range(200)}),
        b" " * (limits.VEX_DOCUMENT + 1), json.dumps({"document": [[]] * limits.VEX_NODES}).encode(),
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            read_vex(raw)
