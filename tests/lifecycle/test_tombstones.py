"""Who may pull from a repository is told when and why a collection took what it showed; nobody else learns anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from appliance import clock
from appliance.lifecycle import upkeep
from appliance.limits import lifecycle as limits
from appliance.registry.errors import WireError
from appliance.registry.services import Action, OpenAccess
from appliance.store.reads import tombstones
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.intake.inside import small_bundle
from tests.lifecycle.conftest import Kept

BODY = b"was shown once"


def collected(kept: Kept, repository: str = "team/app", body: bytes = BODY) -> Digest:
    digest = kept.server.push_blob(repository, body)
    kept.server.ask("DELETE", f"/v2/{repository}/blobs/{digest}")
    assert kept.gc()["blobs"] == 1
    return digest


def error(kept: Kept, path: str) -> dict[str, Any]:
    answer = kept.server.ask("GET", f"/v2/{path}")
    assert answer.status == 404
    found: dict[str, Any] = json.loads(answer.body)["errors"][0]
    return found


def asked(kept: Kept) -> tuple[int, int]:
    counts = tombstones.counts(kept.inside.station.reader)
    return counts.tombstones, counts.asked


def test_a_pull_of_what_was_collected_says_when_why_and_by_which_job(kept: Kept) -> None:
    digest = collected(kept)
    found = error(kept, f"team/app/blobs/{digest}")
    assert (found["code"], found["message"]) == ("BLOB_UNKNOWN", "the blob was collected as garbage")
    detail = found["detail"]
    assert (detail["digest"], detail["why"], detail["job"]) == (
        str(digest),
        "it was deleted",
        f"job-{kept.inside.jobs}",
    )
    assert clock.seconds(detail["since"]) <= clock.seconds(detail["collected"]) <= clock.seconds(clock.now())
    assert asked(kept) == (1, 1)
    error(kept, f"team/app/blobs/{digest}")
    assert asked(kept) == (1, 1), "one client that asks again and again costs one write a minute"
    assert kept.server.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 404


def test_manifests_and_what_no_manifest_named_have_one_too(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    content = image()
    manifest = content.push(kept.server, "team/app", "v1")
    kept.server.ask("DELETE", f"/v2/team/app/manifests/{manifest}")
    monkeypatch.setattr(limits, "UNREFERENCED", -60)
    assert kept.gc()["blobs"] == len(content.blobs) + 1
    assert error(kept, f"team/app/manifests/{manifest}")["detail"]["why"] == "it was deleted"
    layer = error(kept, f"team/app/blobs/{Digest.of(content.blobs[0])}")
    assert layer["detail"]["why"] == "no manifest of the repository named it"
    assert isinstance(error(kept, f"team/app/blobs/{manifest}")["detail"], str), "it was shown as a manifest alone"
    assert isinstance(error(kept, "team/app/manifests/v1")["detail"], str)


def test_until_it_is_collected_and_once_it_is_back_there_is_none(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/other", BODY)
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    assert kept.gc()["blobs"] == 0
    assert error(kept, f"team/app/blobs/{digest}")["message"] == "blob unknown to registry"
    kept.server.ask("DELETE", f"/v2/team/other/blobs/{digest}")
    assert kept.gc()["blobs"] == 1
    assert "detail" in error(kept, f"team/app/blobs/{digest}")
    kept.server.push_blob("team/app", BODY)
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{digest}").body == BODY
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    assert error(kept, f"team/app/blobs/{digest}")["message"] == "blob unknown to registry"


def test_another_repository_and_the_quarantine_leave_no_trace(kept: Kept, tmp_path: Path) -> None:
    digest = collected(kept, "secret/app")
    never = Digest.of(b"never held")
    kept.server.push_blob("team/app", b"so that it exists")
    for repository in ("team/app", "no/such"):
        one, other = (error(kept, f"{repository}/blobs/{each}") for each in (digest, never))
        assert one | {"detail": str(never)} == other
    made = small_bundle(tmp_path / "carried")
    kept.inside.trust(made.key.public)
    officer = kept.inside.officer()
    kept.inside.decide(kept.inside.bring(*made.folders)["id"], officer, "reject", "not wanted")
    assert kept.gc()["blobs"] > 0
    for blob in made.signed.manifest.blobs:
        assert isinstance(error(kept, f"team/app/blobs/{blob.digest}")["detail"], str)
    assert asked(kept) == (1, 0)


class _NoPulls(OpenAccess):
    """Nobody may pull from team/app."""

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        return WireError(403, "DENIED", "denied", repository) if (action, repository) == ("pull", "team/app") else None

    def glance(self, *_: object) -> None:
        return None


def test_who_may_not_pull_learns_nothing(kept: Kept) -> None:
    digest = collected(kept)
    object.__setattr__(kept.server.services, "access", _NoPulls())
    answers = [kept.server.ask("GET", f"/v2/team/app/blobs/{each}") for each in (digest, Digest.of(b"never held"))]
    assert answers[0].status == 403
    assert answers[0].body == answers[1].body
    assert asked(kept) == (1, 0)


def test_they_end_by_age_and_by_number(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [collected(kept, body=b"%d" % number) for number in range(4)]
    monkeypatch.setattr(limits, "TOMBSTONES", 3)
    monkeypatch.setattr(limits, "TOMBSTONES_PRUNED", 1)
    upkeep.prune_tombstones(kept.inside.station)
    assert asked(kept)[0] == 3
    monkeypatch.setattr(limits, "TOMBSTONE_LIFE", -60)
    upkeep.prune_tombstones(kept.inside.station)
    assert asked(kept)[0] == 0
    assert isinstance(error(kept, f"team/app/blobs/{digests[3]}")["detail"], str)
