"""What a bundle announces about an artifact lowers nothing: its kind is derived here, and rules may refuse findings."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.archives.findings import RULES
from appliance.intake.approval_rules import demand_of, facts_of
from appliance.intake.inspectors import content, malware
from appliance.settings.approvals import Refusable, load_policy
from appliance.store.reads.intake import find_entry
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.format.manifest import Artifact
from bundles.io.strict_json import canonical
from bundles.oci.kinds import FILE_TYPE
from bundles.oci.manifest import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST
from tests.bundles.small import MemoryStore
from tests.intake.inside import Inside, carry, name_of
from tests.intake.test_layers import tar
from tests.intake.test_reports import report_of, section

NAME = name_of()
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"
SETUID = gzip.compress(tar(("usr/bin/su", {"mode": 0o4755})))
FOUR = '[[rule]]\nkinds = ["image"]\napprovals = 4\n'


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "strict", open_=False) as station:
        yield station


def bring(station: Inside, root: Path, kind: str, blob: bytes, layer: str = LAYER, config: str = OCI_CONFIG,
          artifact_type: str = "") -> None:  # fmt: skip
    """Import a bundle of one artifact that is announced as `kind`."""
    store = MemoryStore()
    settings = store.add(canonical({"os": "linux", "architecture": "amd64"}))
    fields: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": config, "digest": str(settings), "size": len(store.blobs[settings])},
        "layers": [{"mediaType": layer, "digest": str(store.add(blob)), "size": len(blob)}],
    }  # fmt: skip
    raw = canonical(fields | ({"artifactType": artifact_type} if artifact_type else {}))
    artifact = Artifact(
        repository="team/app", digest=str(store.add(raw)), mediaType=OCI_MANIFEST, kind=kind, size=len(raw), tags=["1"]
    )
    made = carry(root / "carried", store, [artifact])
    station.trust(made.key.public)
    station.bring(made.folder)


def people(station: Inside) -> int:
    return demand_of(station.station, station.station.policy(), find_entry(station.station.reader, NAME)).people


@pytest.mark.parametrize("kind", ["file", "chart", "sbom", "signature", "attestation", "index", "artifact"])
def test_an_image_that_is_announced_as_something_else_fails_and_takes_what_an_image_takes(
    strict: Inside, tmp_path: Path, kind: str
) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, kind, SETUID, artifact_type=FILE_TYPE if kind == "file" else "")
    artifacts, layers = (section(report_of(strict), name) for name in ("artifacts", "layers"))
    assert (artifacts.outcome, artifacts.details["kinds"]) == ("fail", {"image": 1})
    assert len(artifacts.details["kinds_differ"]) == 1
    assert [entry["path"] for entry in layers.details["setuid"]] == ["usr/bin/su"]
    assert people(strict) == 4


@pytest.mark.parametrize("blob", [SETUID, tar(("usr/bin/su", {"mode": 0o4755})), bytes(512) + tar(("x", {}))],
                         ids=["gzip", "plain", "behind a zero block"])  # fmt: skip
def test_an_image_whose_layers_call_themselves_evidence_takes_what_an_image_takes(
    strict: Inside, tmp_path: Path, blob: bytes
) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, "attestation", blob, IN_TOTO)
    assert section(report_of(strict), "layers").outcome == "fail"
    assert people(strict) == 4


def test_an_image_is_one_by_its_manifest_even_without_an_archive_in_it(strict: Inside, tmp_path: Path) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, "file", b"text", artifact_type=FILE_TYPE)
    assert people(strict) == 4


def test_evidence_that_is_a_document_is_no_image(strict: Inside, tmp_path: Path) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, "attestation", b'{"statement": 1}', IN_TOTO)
    assert section(report_of(strict), "artifacts").outcome == "ok"
    assert people(strict) == 2


def test_an_announced_kind_counts_beside_the_derived_one(strict: Inside, tmp_path: Path) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, "image", b"data", "application/x", OCI_EMPTY, FILE_TYPE)
    facts = facts_of(strict.station, find_entry(strict.station.reader, NAME))
    assert (facts.kinds, people(strict)) == (("file", "image"), 4)


def test_an_artifact_whose_manifest_is_gone_counts_as_any_kind(strict: Inside, tmp_path: Path) -> None:
    strict.station.paths.approvals.write_text(FOUR)
    bring(strict, tmp_path, "file", b"data", "application/x", OCI_EMPTY, FILE_TYPE)
    assert people(strict) == 2
    from appliance.intake import approval_rules as facts

    facts._known.clear()
    for path in strict.station.paths.blobs.rglob("*"):
        if path.is_file() and b"schemaVersion" in path.read_bytes():
            path.unlink()
    assert people(strict) == 4


def decide_and_release(station: Inside) -> None:
    for owner in ("Anna", "Boris"):
        station.decide(NAME, station.officer(owner))
    station.release(NAME)


CASES = {
    "unread": (b"no archive", LAYER, OCI_CONFIG, ""),
    "opaque": (b"\x01CD001" * 90, "application/x", OCI_EMPTY, FILE_TYPE),
    "setuid": (SETUID, LAYER, OCI_CONFIG, ""),
    "escaping": (gzip.compress(tar(("../x", {}))), LAYER, OCI_CONFIG, ""),
    "misnamed": (SETUID, IN_TOTO, OCI_EMPTY, ""),
}


@pytest.mark.parametrize("refused", CASES)
def test_a_rule_refuses_what_it_names_and_nothing_else(strict: Inside, tmp_path: Path, refused: str) -> None:
    blob, layer, config, artifact_type = CASES[refused]
    kind = "file" if artifact_type else "image" if config == OCI_CONFIG else "attestation"
    bring(strict, tmp_path, kind, blob, layer, config, artifact_type)
    others = sorted(set(CASES) - {refused, "setuid"})
    strict.station.paths.approvals.write_text(f'[[rule]]\napprovals = 1\nrefuse = ["{refused}"]\n')
    with pytest.raises(RefusedError, match=f"refuses what is {refused}: 1 found"):
        strict.decide(NAME, strict.officer("Clara"))
    strict.station.paths.approvals.write_text(f"[[rule]]\napprovals = 1\nrefuse = {others}\n".replace("'", '"'))
    decide_and_release(strict)
    assert strict.state(NAME) == "released"


def test_a_rule_that_came_after_the_approvals_stops_the_release(strict: Inside, tmp_path: Path) -> None:
    bring(strict, tmp_path, "image", b"no archive")
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    strict.station.paths.approvals.write_text('[[rule]]\napprovals = 1\nkinds = ["image"]\nrefuse = ["unread"]\n')
    with pytest.raises(LockgateError, match="refuses what is unread"):
        strict.release(NAME)
    assert strict.state(NAME) == "approved"


def test_a_rule_for_other_kinds_refuses_nothing(strict: Inside, tmp_path: Path) -> None:
    bring(strict, tmp_path, "image", b"no archive")
    strict.station.paths.approvals.write_text('[[rule]]\napprovals = 1\nkinds = ["chart"]\nrefuse = ["unread"]\n')
    decide_and_release(strict)
    assert strict.state(NAME) == "released"


def test_a_kind_that_is_announced_wrongly_is_refused_as_misnamed(strict: Inside, tmp_path: Path) -> None:
    bring(strict, tmp_path, "file", SETUID)
    strict.station.paths.approvals.write_text('[[rule]]\napprovals = 1\nrefuse = ["misnamed"]\n')
    with pytest.raises(RefusedError, match="misnamed"):
        strict.decide(NAME, strict.officer("Clara"))


def test_a_rejection_is_never_refused_for_what_was_found(strict: Inside, tmp_path: Path) -> None:
    bring(strict, tmp_path, "image", b"no archive")
    strict.station.paths.approvals.write_text('[[rule]]\napprovals = 1\nrefuse = ["unread"]\n')
    assert strict.decide(NAME, strict.officer("Clara"), "reject", "not readable") == "rejected"


def test_a_word_that_is_no_finding_is_a_slip_in_the_rules(tmp_path: Path) -> None:
    (tmp_path / "approvals.toml").write_text('[[rule]]\napprovals = 1\nrefuse = ["unreadable"]\n')
    with pytest.raises(UsageError, match="damaged rules"):
        load_policy(tmp_path / "approvals.toml")


def test_every_finding_may_be_refused() -> None:
    assert set(Refusable.__args__) == {*RULES, *malware.RULES, *content.RULES}  # type: ignore[attr-defined]
