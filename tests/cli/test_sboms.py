"""SBOMs of the station's own index, and what two of them differ in."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from appliance.advisories.sbom import read_sbom
from appliance.api.scanning import ImagePackages, ListedPackage, Packages
from appliance.cli.reports.sbom_diff import difference
from appliance.cli.reports.sboms import cyclonedx, spdx
from tests.cli.test_reports import AT, IMAGES, ODD, require

FOUND: Final = (
    ListedPackage(name="libssl3", version="3.0.11-1", purl="pkg:deb/debian/libssl3@3.0.11-1?arch=amd64", path="/var/x"),
    ListedPackage(name="Requests", version="2.19", purl="pkg:pypi/Requests@2.19"),
    ListedPackage(name=ODD, version=ODD, path=ODD), ListedPackage(name="bare", version=""),
)  # fmt: skip


def listed(*packages: ListedPackage, **more: Any) -> Packages:
    fields: dict[str, Any] = {"digest": IMAGES[0], "platform": "linux/amd64", "state": "scanned", "at": AT}
    image = ImagePackages(**(fields | {"packages": packages} | more))
    complete = image.state == "scanned" and not image.why and bool(packages)
    return Packages(reference="team/app:1", digest=IMAGES[1], complete=complete, images=(image,))


@pytest.mark.parametrize("form", [cyclonedx, spdx])
def test_a_document_lists_what_the_index_has_and_reads_back_as_that(form: Any) -> None:
    document = form(listed(*FOUND), AT)
    if form is cyclonedx:
        require("cyclonedx", document)
    read = {(one.purl, one.label, one.version) for one, _ in read_sbom(json.dumps(document).encode()).packages}
    named = {(one.purl, one.name, one.version) for one in FOUND}
    assert named <= read
    assert {purl.partition("@")[0] for purl, _, _ in read - named} == {"pkg:oci/app"}


def test_an_spdx_document_names_each_element_once_and_relates_all_of_them() -> None:
    document = spdx(listed(*FOUND), AT)
    assert (document["spdxVersion"], document["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    names = [one["SPDXID"] for one in document["packages"]]
    assert len(names) == len(set(names)) == len(FOUND) + 1
    assert {one["relatedSpdxElement"] for one in document["relationships"]} == set(names)


@pytest.mark.parametrize(
    "more", [{"why": "1 layer was not looked into"}, {"state": "carried"}, {"state": "not-held", "packages": ()}]
)
def test_a_document_of_what_was_not_looked_at_as_a_whole_says_so(more: dict[str, Any]) -> None:
    found = listed(*FOUND[:1], **more)
    document = require("cyclonedx", cyclonedx(found, AT))
    assert [one["aggregate"] for one in document["compositions"]] == ["incomplete"]
    assert spdx(found, AT)["comment"].startswith("Incomplete: ")
    assert "comment" not in spdx(listed(*FOUND), AT)


def test_two_artifacts_differ_in_what_is_added_removed_and_updated() -> None:
    newer = (
        ListedPackage(name="libssl3", version="3.0.13-1", purl="pkg:deb/debian/libssl3@3.0.13-1?arch=arm64"),
        ListedPackage(name="requests", version="2.19", purl="pkg:pypi/requests@2.19", path="/other"),
        ListedPackage(name="flask", version="1", purl="pkg:pypi/flask@1"),
    )
    found = difference(listed(*FOUND[:2], FOUND[3]), listed(*newer))
    assert found["updated"] == [{"name": "libssl3", "type": "deb", "before": ["3.0.11-1"], "now": ["3.0.13-1"]}]
    assert found["added"] == [{"name": "flask", "type": "pypi", "versions": ["1"]}]
    assert (found["removed"], found["same"]) == ([{"name": "bare", "type": "", "versions": [""]}], 1)
    other = difference(listed(*FOUND, state="carried"), listed(*FOUND[:1]))
    assert (other["before"]["complete"], len(other["added"]), other["same"]) == (False, 1, 0)
