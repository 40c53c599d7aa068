"""Records in OSV form are evaluated as the schema says, and one that cannot be read is named."""

from __future__ import annotations

import json
import re
import zipfile
from typing import Any

import pytest
from packaging.version import InvalidVersion, Version

from appliance.advisories.ranges import affects, fix_of
from appliance.advisories.record import Entry, Record, lookup_of, read_record
from appliance.advisories.severity import rate
from appliance.advisories.versions.errors import NoVersionError
from appliance.limits import scanning as limits
from bundles.errors import MalformedError
from tests.advisories.pairs import DATA


def record(
    *ranges: dict[str, Any], versions: list[str] | None = None, ecosystem: str = "PyPI", **fields: Any
) -> Record:
    affected: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": "Some_Package"}, "ranges": list(ranges)}
    if versions is not None:
        affected["versions"] = versions
    document = {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [affected], **fields}
    return read_record(json.dumps(document).encode())


def events(*pairs: tuple[str, str], kind: str = "ECOSYSTEM") -> dict[str, Any]:
    return {"type": kind, "events": [{bound: value} for bound, value in pairs]}


def hit(made: Record, *versions: str) -> list[bool]:
    (entry,) = made.entries
    return [affects(entry, version) for version in versions]


@pytest.mark.parametrize(
    ("pairs", "version", "affected"),
    [
        ([("introduced", "0"), ("fixed", "2")], "1.9", True),
        ([("introduced", "0"), ("fixed", "2")], "2", False),
        ([("introduced", "0"), ("fixed", "2")], "2.0.0", False),
        ([("introduced", "0"), ("fixed", "2")], "2rc1", True),
        ([("introduced", "0")], "0.0.0.dev0", True),
        ([("introduced", "1"), ("last_affected", "2")], "2", True),
        ([("introduced", "1"), ("last_affected", "2")], "2.0.1", False),
        ([("introduced", "1"), ("last_affected", "2")], "0.9", False),
        ([("fixed", "2")], "1", True),
        ([("fixed", "2")], "3", False),
        ([("last_affected", "2")], "2", True),
        ([("fixed", "2"), ("introduced", "3")], "1", True),
        ([("fixed", "2"), ("introduced", "3")], "2.5", False),
        ([("fixed", "2"), ("introduced", "3")], "3", True),
        ([("fixed", "2"), ("introduced", "0")], "1", True),
        ([("introduced", "3"), ("fixed", "4"), ("introduced", "1"), ("fixed", "2")], "1.5", True),
        ([("introduced", "3"), ("fixed", "4"), ("introduced", "1"), ("fixed", "2")], "2.5", False),
        ([("introduced", "1"), ("fixed", "2"), ("introduced", "2"), ("fixed", "3")], "2", True),
        ([("introduced", "1"), ("limit", "2")], "1.5", True),
        ([("introduced", "1"), ("limit", "2")], "2", False),
        ([("introduced", "1"), ("limit", "*")], "9", True),
        ([("introduced", "1"), ("limit", "2"), ("limit", "4")], "3", True),
        ([("introduced", "1"), ("fixed", "1")], "1", False),
    ],
)
def test_events_open_and_close_a_range(pairs: list[tuple[str, str]], version: str, affected: bool) -> None:
    assert hit(record(events(*pairs)), version) == [affected]


def test_events_in_one_object_count_as_several() -> None:
    assert hit(record({"type": "ECOSYSTEM", "events": [{"introduced": "1", "fixed": "2"}]}), "1", "2") == [True, False]


def test_enumerated_versions_count_beside_ranges() -> None:
    made = record(events(("introduced", "0"), ("fixed", "1")), versions=["2.0", "0.5"])
    assert hit(made, "0.9", "1", "2.0", "2", "0.5") == [True, False, True, True, True]


def test_a_withdrawn_record_says_nothing_of_any_package() -> None:
    made = record(events(("introduced", "0")), withdrawn="2024-02-02T00:00:00Z")
    assert (made.withdrawn, made.entries) == (True, ())


def test_ranges_of_commits_are_ignored_and_counted_where_nothing_else_is_there() -> None:
    git = {"type": "GIT", "repo": "https://example.org/a", "events": [{"introduced": "0"}, {"fixed": "ab" * 20}]}
    assert hit(record(git, events(("introduced", "1"))), "0.5", "1") == [False, True]
    alone = record(git)
    assert (alone.entries, alone.without_versions) == ((), 1)


def test_a_semver_range_is_ordered_so_whatever_the_ecosystem() -> None:
    made = record(events(("introduced", "0"), ("fixed", "1.0.0-rc.2"), kind="SEMVER"), ecosystem="Elsewhere")
    assert hit(made, "1.0.0-rc.1", "1.0.0") == [True, False]


def test_what_cannot_be_compared_is_an_error_and_never_unaffected() -> None:
    made = record(events(("introduced", "1.0.0"), ("fixed", "2.0.0")), ecosystem="npm")
    (entry,) = made.entries
    for version in ("", "latest", "1" * 300):
        with pytest.raises(NoVersionError):
            affects(entry, version)
    (entry,) = record(events(("introduced", "1"), ("fixed", "2")), ecosystem="Elsewhere").entries
    with pytest.raises(NoVersionError):
        affects(entry, "1")


def test_a_version_that_is_enumerated_needs_no_order() -> None:
    (entry,) = record(versions=["weird"], ecosystem="Elsewhere").entries
    assert affects(entry, "weird")


def test_the_fix_is_the_lowest_later_one() -> None:
    (entry,) = record(events(("introduced", "0"), ("fixed", "1.5"), ("introduced", "2"), ("fixed", "2.5"))).entries
    assert (fix_of(entry, "1.0"), fix_of(entry, "2.1"), fix_of(entry, "3")) == ("1.5", "2.5", "")


@pytest.mark.parametrize(
    ("name", "vectors", "word", "level", "tenths"),
    [
        ("v3", [("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")], None, "critical", 98),
        ("v4", [("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")], None, "critical", 93),
        ("the higher", [("CVSS_V3", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"),
                        ("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H")], None, "high", 75),
        ("a word", [], "MODERATE", "medium", None),
        ("a vector that is none", [("CVSS_V3", "CVSS:3.1/AV:N")], None, "unknown", None),
        ("a vector that is none, and a word", [("CVSS_V3", "x" * 5000)], "LOW", "low", None),
        ("nothing", [], None, "unknown", None),
        ("a word that is none", [], {"a": 1}, "unknown", None),
    ],
)  # fmt: skip
def test_severity_comes_from_the_vectors(
    name: str, vectors: list[tuple[str, str]], word: Any, level: str, tenths: int | None
) -> None:
    rated = rate(vectors, word)
    assert (rated.level, rated.tenths) == (level, tenths)


GOOD = {
    "id": "X-1", "modified": "2024-01-01T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}],
}  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b"{}", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"id": "X-1", "id": "X-2"}',
        json.dumps(GOOD | {"id": ""}).encode(), json.dumps(GOOD | {"id": 7}).encode(),
        json.dumps(GOOD | {"id": "a" * 600}).encode(), json.dumps(GOOD | {"modified": 7}).encode(),
        json.dumps(GOOD | {"affected": {}}).encode(), json.dumps(GOOD | {"affected": [{"package": "a"}]}).encode(),
        json.dumps(GOOD | {"affected": [{"package": {"ecosystem": "PyPI"}}]}).encode(),
        json.dumps(GOOD | {"affected": [GOOD["affected"][0] | {"versions": [1.0]}]}).encode(),  # type: ignore[index]
        json.dumps(GOOD | {"affected": [GOOD["affected"][0] | {"ranges": [events()]}]}).encode(),  # type: ignore[index]
        json.dumps(GOOD | {"affected": [GOOD["affected"][0]  # type: ignore[index]
                                        | {"ranges": [{"type": "ECOSYSTEM", "events": [{}]}]}]}).encode(),
        json.dumps(GOOD | {"affected": [GOOD["affected"][0] | {"ranges": [events(("fixed", ""))]}]}).encode(),  # type: ignore[index]
        json.dumps(GOOD | {"affected": [GOOD["affected"][0]  # type: ignore[index]
                                        | {"ranges": [events(("fixed", "1"), kind="NEW")]}]}).encode(),
        json.dumps(GOOD | {"aliases": ["CVE-1\ud800"]}).encode(), json.dumps(GOOD | {"aliases": "CVE-1"}).encode(),
        json.dumps(GOOD | {"affected": [GOOD["affected"][0] | {"versions": ["1" * 1000]}]}).encode(),  # type: ignore[index]
        json.dumps(GOOD | {"details": "x" * limits.ADVISORY_RECORD}).encode(),
        json.dumps(GOOD | {"aliases": [f"A-{n}" for n in range(1000)],
                           "affected": GOOD["affected"] * 501}).encode(),  # type: ignore[operator]
        json.dumps(GOOD | {"affected": [GOOD["affected"][0]  # type: ignore[index]
                                        | {"versions": ["1"] * (limits.ADVISORY_NODES + 1)}]}).encode(),
    ],
    ids=range(26),
)  # fmt: skip
def test_a_malformed_record_is_an_error(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_record(raw)


def test_a_malformed_record_is_named_where_it_has_an_id() -> None:
    with pytest.raises(MalformedError) as failed:
        read_record(json.dumps(GOOD | {"id": "PYSEC-\x1b[31m1", "affected": 1}).encode())
    assert "PYSEC-" in failed.value.thing
    assert "\x1b" not in failed.value.thing


def test_unknown_fields_and_null_lists_are_no_fault() -> None:
    made = read_record(json.dumps(GOOD | {"aliases": None, "credits": [{"name": "x"}], "severity": None}).encode())
    assert [entry.id for entry in made.entries] == ["X-1"]


def test_the_cve_in_a_distributions_id_is_one_of_its_names() -> None:
    made = read_record(json.dumps(GOOD | {"id": "DEBIAN-CVE-2024-1", "upstream": ["CVE-2024-2"]}).encode())
    assert made.entries[0].ids == {"DEBIAN-CVE-2024-1", "CVE-2024-1", "CVE-2024-2"}


def straight(document: dict[str, Any], package: str, version: Version) -> bool:
    """Whether a record concerns a version, read without anything of the product (OSV schema, evaluation)."""
    for affected in () if document.get("withdrawn") else document.get("affected", ()):
        if re.sub(r"[-_.]+", "-", affected["package"]["name"]).lower() != package:
            continue
        if any(parsed(listed) == version for listed in affected.get("versions", ())):
            return True
        for one in affected.get("ranges", ()):
            pairs = [pair for event in one["events"] for pair in event.items()] if one["type"] == "ECOSYSTEM" else []
            inside = False
            for bound, value in sorted(pairs, key=lambda pair: Version(pair[1])):
                if bound == "introduced":
                    inside = inside or value == "0" or version >= Version(value)
                elif version > Version(value) or (bound == "fixed" and version == Version(value)):
                    inside = False
            if inside:
                return True
    return False


def parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


@pytest.mark.long
def test_every_record_says_of_every_version_that_it_names_what_a_straight_reading_says() -> None:
    by_name: dict[str, list[tuple[dict[str, Any], list[Entry]]]] = {}
    named: dict[str, set[str]] = {}
    with zipfile.ZipFile(DATA / "osv-pypi.zip") as archive:
        for name in archive.namelist():
            raw = archive.read(name)
            document = json.loads(raw)
            entries: dict[str, list[Entry]] = {}
            for entry in read_record(raw).entries:
                entries.setdefault(lookup_of(entry)[1], []).append(entry)
            for affected in document["affected"]:
                package = re.sub(r"[-_.]+", "-", affected["package"]["name"]).lower()
                by_name.setdefault(package, []).append((document, entries.get(package, [])))
                values = [value for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM"
                          for event in one["events"] for value in event.values()]  # fmt: skip
                if not all(map(parsed, values)):
                    by_name[package].pop()  # an older form, which `packaging` does not order
                    continue
                named.setdefault(package, set()).update([*affected.get("versions", ())[:40], *values])
    asked = 0
    for package, records in by_name.items():
        for version in filter(parsed, named.get(package, ())):
            for document, entries in records:
                asked += 1
                said = any(affects(entry, version) for entry in entries)
                assert said == straight(document, package, Version(version)), (document["id"], package, version)
    assert asked > 100_000
