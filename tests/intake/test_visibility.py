"""What an import brought is reached by no client before its release, and by every client after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.audit.port import MemoryAudit
from appliance.registry.services import RegistryServices
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from bundles.oci.digest import Digest
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of
from tests.registry_server import Server

LAYER = b"hello across the gap\n"


@pytest.fixture
def server(inside: Inside) -> Iterator[Server]:
    """The registry's application over the inside's own store."""
    services = RegistryServices(
        blobs=inside.station.blobs,
        metadata=Metadata(inside.station.paths.database),
        writer=AsyncWriterService(inside.writer),
        uploads=UploadSessions(inside.station.blobs),
        audit=MemoryAudit(),
    )
    with Server(services=services) as running:
        yield running


def paths(bundle: SmallBundle) -> list[str]:
    found = []
    for artifact in bundle.artifacts:
        found += [f"/v2/{artifact.repository}/manifests/{reference}" for reference in ("1", artifact.digest)]
        found.append(f"/v2/{artifact.repository}/tags/list")
    return [*found, f"/v2/files/thing/blobs/{Digest.of(LAYER)}"]


def test_quarantine_is_reached_by_no_name_and_by_no_digest(inside: Inside, bundle: SmallBundle, server: Server) -> None:
    inside.bring(bundle.folder)
    inside.decide(name_of(), inside.officer())
    for path in paths(bundle):
        assert server.ask("GET", path).status == 404, path
    assert server.ask("GET", "/v2/_catalog").json == {"repositories": []}


def test_a_quarantined_layer_cannot_be_mounted_or_named(inside: Inside, bundle: SmallBundle, server: Server) -> None:
    inside.bring(bundle.folder)
    digest = Digest.of(LAYER)
    mount = server.ask("POST", f"/v2/mine/blobs/uploads/?mount={digest}&from=files/thing")
    assert mount.status == 202
    artifact = bundle.artifacts[0]
    raw = bundle.store.blobs[Digest.parse(artifact.digest)]
    pushed = server.ask("PUT", "/v2/mine/manifests/1", raw, {"Content-Type": artifact.mediaType})
    assert pushed.status in (400, 404)
    assert pushed.code == "MANIFEST_BLOB_UNKNOWN"


def test_after_the_release_every_name_and_digest_answers(inside: Inside, bundle: SmallBundle, server: Server) -> None:
    inside.bring(bundle.folder)
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())
    for path in paths(bundle):
        assert server.ask("GET", path).status == 200, path
    assert server.ask("GET", f"/v2/files/thing/blobs/{Digest.of(LAYER)}").body == LAYER


def test_what_was_served_before_is_served_while_a_bundle_waits(
    inside: Inside, bundle: SmallBundle, server: Server
) -> None:
    digest = server.push_blob("mine", LAYER)
    inside.bring(bundle.folder)
    assert server.ask("GET", f"/v2/mine/blobs/{digest}").body == LAYER
    inside.decide(name_of(), inside.officer(), "reject", "not ordered")
    assert server.ask("GET", f"/v2/mine/blobs/{digest}").body == LAYER
