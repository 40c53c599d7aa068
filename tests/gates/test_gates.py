"""Gates on a station: at a pull, at a release, and by the command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.image_signatures.applied import sign
from appliance.intake import inspection
from appliance.limits import image_signatures as limits
from appliance.settings.gates import Gate, PolicyException
from appliance.settings.image_policy import PolicyRules
from appliance.store.reads.components import sboms_of
from appliance.store.writes.components import ForgetUnshown
from bundles.errors import RefusedError
from bundles.format.manifest import Artifact
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from tests.bundles.small import MemoryStore
from tests.cli.conftest import Run, run
from tests.gates.known import catalogue, critical, harmless, load, scan
from tests.image_signatures.pulling import Held, blobs_of, index_of
from tests.image_signatures.signer import Image
from tests.intake.inside import Inside, carry, name_of
from tests.scanning.rows import removed

__all__ = ("run",)
NUMBERS = itertools.count(1)
AT_PULL = Gate(repositories=["team/**"], at=["pull"], max_severity="medium")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "PULL_POLICY_LOOK", 3600.0)  # acts alone say when something changed
        patched.setattr(limits, "PULL_OBJECTION_KEPT", 0.0)
        with Held(tmp_path_factory.mktemp("held")) as opened:
            load(opened.submit, opened.paths, harmless())
            yield opened


@pytest.fixture
def held(station: Held) -> Held:
    station.team = f"team/app{next(NUMBERS)}"
    return station


def excepting(until: str, **more: Any) -> PolicyException:
    return PolicyException(id="one", owner="Anna", reason="no fix", repositories=["team/**"], until=until, **more)


def status(held: Held, path: str = "manifests/1", **more: Any) -> int:
    return held.pull(path, **more).status


def test_new_advisories_stop_pulls_where_the_policy_says_so_and_nowhere_else(held: Held) -> None:
    held.apply(gate=[AT_PULL])
    image, free = Image(text=held.team), f"free/{held.team}"
    digest = held.push(image, "1")
    held.push(image, "1", repository=free)
    assert held.statuses("manifests/1") == {403}  # nobody has scanned it
    scan(held.submit, held.paths, digest)
    assert status(held) == 200
    assert {held.pull(f"blobs/{blob}").status for blob in blobs_of(image.subject.raw)} == {200}
    load(held.submit, held.paths, harmless(), critical())
    assert status(held) == 403
    assert status(held, f"manifests/{digest}", worker=1) == 403
    assert {held.pull(f"blobs/{blob}").status for blob in blobs_of(image.subject.raw)} == {403}
    assert held.pull("manifests/1", repository=free).status == 200
    answer = held.pull("manifests/1")
    detail = answer.json["errors"][0]["detail"]
    assert (detail["gate"], detail["digest"]) == ("1", str(digest))
    assert "PYSEC-2026-1" in detail["why"]
    assert held.refusals()[-1]["detail"]["digest"] == str(digest)
    assert held.pull("manifests/1", name="dev", actions="pull,push").status == 200  # who may push repairs it
    load(held.submit, held.paths, harmless())
    assert status(held) == 200
    assert removed(held.submit, held.paths, "osv-pypi")
    assert status(held) == 403  # nothing is known any more
    load(held.submit, held.paths, harmless())


def test_an_exception_stops_counting_at_once(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = held.push(Image(text=held.team), "1")
    scan(held.submit, held.paths, digest)
    load(held.submit, held.paths, harmless(), critical())
    held.apply(gate=[AT_PULL], exception=[excepting(clock.after(3600), advisory="PYSEC-2026-1")])
    assert status(held) == 200
    held.apply(gate=[AT_PULL], exception=[excepting(clock.now(), advisory="PYSEC-2026-1")])
    assert status(held) == 403
    load(held.submit, held.paths, harmless())


def test_an_index_gives_out_no_image_that_its_gate_holds_back(held: Held) -> None:
    """And an image under an attestation's type, with an image's configuration, is an image."""
    held.apply(gate=[Gate(repositories=["team/**"], at=["pull"], max_severity="medium", allow_gaps=["not-an-image"])])
    good, bad = Image(text=f"{held.team} good"), Image(text=f"{held.team} bad")
    for one in (good, bad):
        held.push(one)
    held.put(index_of(good.subject.raw, bad.subject.raw), "1")
    scan(held.submit, held.paths, good.subject.digest)
    assert held.pull("manifests/1").status == 200
    assert held.pull(f"manifests/{good.subject.digest}").status == 200
    assert held.pull(f"manifests/{bad.subject.digest}").status == 403
    fields = json.loads(bad.subject.raw)
    fields["layers"][0]["mediaType"] = "application/vnd.in-toto+json"
    fields["artifactType"] = "application/spdx+json"
    liar = canonical(fields)
    held.put(liar, "2")
    assert held.pull("manifests/2").status == 403
    fields["config"]["mediaType"] = "application/vnd.example.thing+json"
    held.put(canonical(fields), "3")
    assert held.pull("manifests/3").status == 200


def quarantined(inside: Inside, stick: Path) -> Digest:
    """An approved bundle with one image; the image's digest."""
    store = MemoryStore()
    config = store.add(b'{"os":"linux","architecture":"amd64","config":{}}')
    told = {"mediaType": OCI_CONFIG, "digest": str(config), "size": len(store.blobs[config])}
    raw = canonical({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": told, "layers": []})
    digest = store.add(raw)
    artifact = Artifact(repository="production/app", digest=str(digest), mediaType=OCI_MANIFEST, kind="image",
                        size=len(raw), tags=["1"])  # fmt: skip
    carried = carry(stick, store, [artifact])
    inside.trust(carried.key.public)
    inside.bring(carried.folder)
    return digest


def test_a_release_passes_the_gates_or_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        submit = inside.writer.submit
        anna, boris = inside.officer("Anna"), inside.officer("Boris")
        digest = quarantined(inside, tmp_path / "stick")
        inside.decide(name_of(), anna)
        gate = Gate(repositories=["production/**"], max_severity="high", exploited="never", advisories_days=30)
        for key in (anna, boris):
            sign(inside.root, PolicyRules(gate=[gate]), key)
        load(submit, inside.station.paths, harmless())
        catalogue(submit, inside.station.paths, "CVE-2020-1")
        with pytest.raises(RefusedError, match="not-scanned") as refused:
            inside.release(name_of())
        assert refused.value.code == "policy-gate"
        assert f"lockgate intake inspect {name_of()} --scan" in refused.value.remedy
        assert inside.visible()["links"] == []
        report = inside.station.reader.execute("SELECT report_digest FROM intake").fetchone()

        def described(context: Any, images: Any, keep: Any) -> None:
            for image in images:
                scan(submit, inside.station.paths, image)

        monkeypatch.setattr("appliance.scanning.scan_job.describe", described)
        assert inspection.run(inside.context(id=name_of(), scan=True))["images"] == 1
        assert inside.station.reader.execute("SELECT report_digest FROM intake").fetchone() == report
        submit(ForgetUnshown())
        assert sboms_of(
            inside.station.reader, index_key(inside.station.paths), str(digest)
        )  # what is in quarantine stays known
        load(submit, inside.station.paths, harmless(), critical(aliases=["CVE-2020-1"]))
        with pytest.raises(RefusedError, match="PYSEC-2026-1"):
            inside.release(name_of())
        load(submit, inside.station.paths, harmless())
        inside.release(name_of())
        assert inside.station.metadata.linked_manifest("production/app", digest) is not None


POLICY = """
[[stage]]
name = "production"

[[gate]]
repositories = ["production/**"]
max_severity = "medium"
exploited = "never"
"""


def test_a_policy_is_explained_line_by_line_and_its_exceptions_take_two_people(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    with Held(tmp_path) as held:
        root = held.paths.root
        digest = held.push(Image(), "1", repository="team/app")
        held.push(Image(text="unknown"), "2", repository="production/other")
        scan(held.submit, held.paths, digest)
        load(held.submit, held.paths, harmless(), critical(aliases=["CVE-2020-1"]))
        catalogue(held.submit, held.paths)
        test = ("policy", "test", "team/app:1", "-C", root, "--file", file, "--json")
        assert run(*test).status == 0  # no gate is about it where it stands
        ended = run(*test, "--to", "production")
        lines = {one["rule"]: one["met"] for one in ended.document["gates"]}
        assert (ended.status, ended.document["repository"]) == (3, "production/team/app")
        assert lines == {"inspected": True, "severity": False, "exploited": True}
        assert "lockgate exception request" in ended.document["gates"][1]["asks"]
        assert run(*test, "--to", "nowhere").status == 2
        assert run(*test, "--to", "production", "--at", "pull").status == 0
        changed = run("policy", "diff", file, "-C", root, "--json")
        assert (changed.status, changed.document["looked_at"]) == (3, 2)
        assert [one["reference"] for one in changed.document["blocks"]] == ["production/other:2"]

        asked = ("exception", "request", "no-fix", "--on", "production/**", "--advisory", "CVE-2020-1",
                 "--owner", "Anna", "--reason", "no fix yet", "--until", "2099-01-01", "-C", root)  # fmt: skip
        for name in ("anna", "boris"):
            run("key", "create", name, "--no-passphrase", "-C", root)
            public = root / "keys" / f"{name}.pub.pem"
            trusted = run("key", "trust", public, "--purpose", "release", "--owner", name.title(), "-C", root)
            assert trusted.status == 0, trusted.err
        assert run(*asked, "--key", "anna").status == 2  # no gate is in force
        for name in ("anna", "boris"):
            assert run("policy", "apply", file, "--key", name, "-C", root).status == 0
        assert run(*asked, "--key", "anna", "--json").document["applied"] is False
        assert run("policy", "test", "team/app:1", "--to", "production", "-C", root).status == 3
        assert run("exception", "approve", "no-fix", "--key", "anna", "-C", root).status == 0  # one person, once more
        waits = run("exception", "list", "-C", root, "--json").document
        assert ([one["id"] for one in waits["waiting"]], waits["exceptions"]) == (["no-fix"], [])
        assert run("exception", "approve", "other", "--key", "boris", "-C", root).status == 1
        assert run("exception", "approve", "no-fix", "--key", "boris", "--json", "-C", root).document["applied"] is True
        passed = run("policy", "test", "team/app:1", "--to", "production", "-C", root)
        assert (passed.status, "exception no-fix" in passed.out, "(by no-fix)" in passed.out) == (0, True, True)
        assert run(*asked, "--key", "anna").status == 2  # it counts already
        ends = run("policy", "apply", file, "--key", "anna", "--json", "-C", root).document["ends"]
        assert [one["id"] for one in ends] == ["no-fix"]


def test_who_approves_an_exception_signs_nothing_else(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    with Held(tmp_path) as held:
        root = held.paths.root
        for name in ("anna", "boris"):
            run("key", "create", name, "--no-passphrase", "-C", root)
            public = root / "keys" / f"{name}.pub.pem"
            trusted = run("key", "trust", public, "--purpose", "release", "--owner", name.title(), "-C", root)
            assert trusted.status == 0, trusted.err
            run("policy", "apply", file, "--key", name, "-C", root)
        looser = POLICY.replace("medium", "high") + (
            "[[exception]]\nid = 'small'\nowner = 'Anna'\nreason = 'a trifle'\nrepositories = ['x/y']\nrule = 'sbom'\n"
            "until = '2099-01-01T00:00:00Z'\n"
        )
        file.write_text(looser)
        run("policy", "apply", file, "--key", "anna", "-C", root)
        refused = run("exception", "approve", "small", "--key", "boris", "-C", root)
        assert (refused.status, "changes more than this exception" in refused.err) == (3, True)
