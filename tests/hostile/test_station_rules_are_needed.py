"""As test_rules_are_needed, for a station: the ledger after a restore, people, clocks, quarantine and the registry."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import clock
from appliance.audit.port import MemoryAudit
from appliance.intake import approvals, content, import_job, overrides
from appliance.registry.services import RegistryServices
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from appliance.store.writes import intake as intake_writes
from appliance.store.writes import ledger as ledger_writes
from appliance.store.writes import registry as registry_writes
from appliance.store.writes.ledger import SetClockFloor
from bundles.errors import LockgateError, RefusedError
from bundles.format.manifest import Evidence
from bundles.oci import manifest as oci
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from tests.bundles.small import MemoryStore, file_artifact
from tests.hostile.test_rules_are_needed import nothing
from tests.intake.inside import Inside, carry, name_of, small_bundle
from tests.intake.test_overrides import floor, say
from tests.intake.test_visibility import LAYER
from tests.registry_server import Answer, Server

Patch = pytest.MonkeyPatch


@dataclass
class Ground:
    """A closed station and its registry, with a bundle in quarantine and the one that follows it."""

    inside: Inside
    server: Server
    folder: Path
    first: str

    def bring_second(self, **changes: object) -> None:
        made = small_bundle(self.folder / "second", sequence=2, previous=self.first, **changes)
        self.inside.trust(made.key.public)
        self.inside.bring(made.folder)


def held(answer: Answer) -> None:
    """Raises RefusedError where the registry refused."""
    if answer.status >= 400:
        raise RefusedError(str(answer.status))


def an_import_after_a_restore(ground: Ground) -> None:
    ground.inside.shut()
    ground.bring_second()


def one_person_with_two_keys(ground: Ground) -> None:
    people = [say(ground.inside, ground.inside.officer("Anna"), floor(5)) for _ in range(2)]
    if people[-1] < overrides.PEOPLE:
        raise RefusedError("one person")


def an_override_signed_by_nobody(ground: Ground) -> None:
    anna: PrivateKey = ground.inside.officer("Anna")
    payload = overrides.draft(ground.inside.station, floor(5), anna.public.keyid, "why")
    overrides.say(ground.inside.station, payload, anna.public.keyid, anna.sign(b"something else"), "x")


def a_clock_that_went_back(ground: Ground) -> None:
    ground.inside.writer.submit(SetClockFloor(floor=clock.after(30 * 24 * 3600), why="x", actor="x", at=clock.now()))
    ground.bring_second()


def a_pushed_manifest_that_names_quarantine(ground: Ground) -> None:
    layer = Digest.of(LAYER)
    ground.server.push_blob("mine", b"{}")
    named = {
        "schemaVersion": 2, "mediaType": oci.OCI_MANIFEST,
        "config": {"mediaType": oci.OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [{"mediaType": "application/octet-stream", "digest": str(layer), "size": len(LAYER)}],
    }  # fmt: skip
    held(ground.server.ask("PUT", "/v2/mine/manifests/1", json.dumps(named), {"Content-Type": oci.OCI_MANIFEST}))


def a_push_of_another_type(ground: Ground) -> None:
    index = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": []}
    held(ground.server.ask("PUT", "/v2/mine/manifests/1", json.dumps(index), {"Content-Type": oci.DOCKER_LIST}))


def a_blob_that_was_deleted(ground: Ground) -> None:
    digest = ground.server.push_blob("mine", b"taken away")
    held(ground.server.ask("GET", f"/v2/mine/blobs/{digest}"))
    held(ground.server.ask("DELETE", f"/v2/mine/blobs/{digest}"))
    held(ground.server.ask("GET", f"/v2/mine/blobs/{digest}"))


def a_manifest_of_another_size(ground: Ground) -> None:
    """What the store holds under an artifact's digest is no longer what was signed."""
    station = ground.inside.station
    made = small_bundle(ground.folder / "another", sequence=9)
    artifact = made.content.artifacts[0]
    digest = Digest.parse(artifact.digest)
    path = station.paths.blob(digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"file", b"fila"))
    content.read_manifest(station.blobs, artifact)


def a_carried_scan_for_ones_own(ground: Ground) -> None:
    """The rules ask for this station's own look for malware; the bundle brings somebody else's, that found nothing."""
    inside, store = ground.inside, MemoryStore()
    thing = file_artifact(store, b"a program", "files/program")
    scan = file_artifact(store, b'{"malware": "none"}', "files/program", "scan")
    evidence = [Evidence(subject=thing.digest, digest=scan.digest)]
    made = carry(
        ground.folder / "scanned", store, [thing, scan], sequence=2, previous=ground.first, attestations=evidence
    )
    inside.trust(made.key.public)
    inside.bring(made.folder)
    inside.station.paths.approvals.write_text('required_inspectors = ["malware"]\n')
    inside.decide(name_of(2), inside.officer("Anna"))


def shut_is_open(patch: Patch) -> None:
    patch.setattr(import_job, "require_open", nothing)
    patch.setattr(intake_writes, "require_open", nothing)


def everybody_is_somebody(patch: Patch) -> None:
    for module in (ledger_writes, overrides):
        patch.setattr(module, "count", lambda owners: len(list(owners)))


def any_signature(patch: Patch) -> None:
    from bundles.signing.keys import PublicKey

    patch.setattr(PublicKey, "verify", lambda *_: True)
    patch.setattr(PublicKey, "verify_files", lambda *_: True)


def every_clock_is_right(patch: Patch) -> None:
    patch.setattr(import_job, "trusted_now", lambda _: clock.now())
    patch.setattr(import_job, "stream_now", lambda *_: clock.now())


def all_is_linked(patch: Patch) -> None:
    """Visibility follows from the presence of a blob."""
    patch.setattr(Metadata, "unlinked", lambda *_: [])
    patch.setattr(registry_writes, "_unlinked", lambda *_: [])


def as_announced(patch: Patch) -> None:
    patch.setattr(oci, "_media_type", lambda _, announced: announced)


def links_are_remembered(patch: Patch) -> None:
    patch.setattr(Metadata, "linked_blob", functools.cache(Metadata.linked_blob))


def whatever_was_inspected(patch: Patch) -> None:
    patch.setattr(approvals, "check_inspected", nothing)


def not_hashed_again(patch: Patch) -> None:
    patch.setattr(content, "Digest", SimpleNamespace(parse=Digest.parse, of=lambda *_: AnyDigest()))


class AnyDigest:
    """A digest that is whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


ROWS: dict[Callable[[Ground], None], Callable[[Patch], None]] = {
    an_import_after_a_restore: shut_is_open,
    one_person_with_two_keys: everybody_is_somebody,
    an_override_signed_by_nobody: any_signature,
    a_clock_that_went_back: every_clock_is_right,
    a_pushed_manifest_that_names_quarantine: all_is_linked,
    a_push_of_another_type: as_announced,
    a_blob_that_was_deleted: links_are_remembered,
    a_manifest_of_another_size: not_hashed_again,
    a_carried_scan_for_ones_own: whatever_was_inspected,
}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with ExitStack() as stack:
        inside = stack.enter_context(Inside(tmp_path / "bravo", open_=False))
        made = small_bundle(tmp_path / "first")
        inside.trust(made.key.public)
        inside.bring(made.folder)
        services = RegistryServices(
            blobs=inside.station.blobs,
            metadata=Metadata(inside.station.paths.database),
            writer=AsyncWriterService(inside.writer),
            uploads=UploadSessions(inside.station.blobs),
            audit=MemoryAudit(),
        )
        server = stack.enter_context(Server(services=services))
        yield Ground(inside, server, tmp_path, str(Digest.of(made.signed.sums)))


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_an_attack_is_held_off(ground: Ground, attack: Callable[[Ground], None]) -> None:
    with pytest.raises(LockgateError):
        attack(ground)


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_without_its_rule_the_attack_goes_through(
    ground: Ground, attack: Callable[[Ground], None], monkeypatch: Patch
) -> None:
    ROWS[attack](monkeypatch)
    attack(ground)
