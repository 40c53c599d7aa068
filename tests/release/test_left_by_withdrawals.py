"""What a withdrawal leaves: links that something else stands on are told in its event, and explained by it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.intake.release import prepare_withdraw
from appliance.jobs.service import Jobs
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.limits import store as store_limits
from appliance.release_check.moved_tags import moved
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.intake import find_entry
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteManifest, PutManifest
from appliance.store.writes.write import AsyncGuarded
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.control.test_who_may_call import served
from tests.intake.inside import name_of
from tests.job_starter import NoStarter
from tests.release.standing import (
    BOTH,
    ONE,
    REPOSITORY,
    SHARED,
    TWO,
    Released,
    blobs,
    delete_blob,
    image,
    push,
    record,
    show_by_hand,
)


@pytest.mark.parametrize("pruned", ["never", "between", "before", "after"])
def test_a_layer_that_a_withdrawal_leaves_to_a_pushed_image_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: str
) -> None:
    """The layer came back with the release, and stays for the image that was shown before."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside, layer = released(), str(Digest.of(SHARED))

    def prune() -> None:
        record(inside, "job.read", layer, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")
        assert not inside.events("push-blob")

    push(inside, TWO)
    if pruned == "between":
        prune()
    delete_blob(inside, layer)
    if pruned == "before":
        prune()
    released(4)
    inside.withdraw(name_of(4))
    assert inside.events("intake.withdraw")[0]["detail"]["stays"] == {REPOSITORY: [layer]}
    assert blobs(inside) == TWO.named
    if pruned == "after":
        prune()
    assert unexplained(inside.station) == []
    assert moved(inside.station) == []
    delete_blob(inside, layer)
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


def test_a_layer_that_a_withdrawal_leaves_to_an_image_made_up_in_the_database_is_found(released: Released) -> None:
    inside, layer = released(4), str(Digest.of(SHARED))
    forged = image("forged", SHARED)
    store = inside.station.blobs.begin_blob(Digest.of(forged.raw), len(forged.raw))
    store.write(forged.raw)
    store.commit()
    shown = ManifestRow(blob=BlobRow(digest=forged.digest, size=len(forged.raw), crc32=0), media_type=OCI_MANIFEST)
    inside.writer.submit(PutManifest(repository=REPOSITORY, manifest=shown, at=clock.now()))  # no event
    inside.withdraw(name_of(4))
    inside.writer.submit(DeleteManifest(repository=REPOSITORY, digest=forged.digest))
    assert inside.events("intake.withdraw")[0]["detail"]["stays"] == {REPOSITORY: [layer]}
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


@pytest.mark.parametrize(
    ("source", "pruned"),
    [
        *((source, pruned) for source in ("pushed", "collected") for pruned in ("never", "between", "before", "after")),
        ("mounted", "never"), ("mounted", "before"), ("nobody", "never"),
    ],
)  # fmt: skip
def test_a_mounted_layer_that_was_deleted_and_that_a_withdrawal_leaves_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: str, source: str
) -> None:
    """As a pushed one, where the source of the mount was let in; by hand alone it is found."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside, layer = released(), str(Digest.of(SHARED))

    def say(act: Act, repository: str, **detail: object) -> None:
        inside.station.audit.record(AuditEvent(act, "tester(0)", f"{repository}@{layer}", "done", detail))

    def prune() -> None:
        record(inside, "job.read", layer, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")

    if source == "collected":
        inside.station.audit.record(AuditEvent(Act.COLLECT, "a", "team/base:1", "done", {"digest": layer}))
    elif source != "nobody":
        say(Act.PUSH_BLOB, "team/first")
        if source == "mounted":
            say(Act.MOUNT_BLOB, "team/base", source="team/first")
            say(Act.DELETE_BLOB, "team/base")
            say(Act.DELETE_BLOB, "team/first")
    push(inside, TWO, {layer: "team/first" if source == "pushed" else "team/base"})
    if pruned == "between":
        prune()
    delete_blob(inside, layer)
    if pruned == "before":
        prune()
    released(4)
    inside.withdraw(name_of(4))
    if pruned == "after":
        prune()
    assert blobs(inside) == TWO.named
    assert [one["digest"] for one in unexplained(inside.station)] == ([layer] if source == "nobody" else [])
    delete_blob(inside, layer)
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


@pytest.mark.parametrize("told", [1, 2])
def test_what_a_withdrawal_leaves_is_told_however_much_it_is(
    released: Released, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    monkeypatch.setattr(store_limits, "LEFT_TOLD", told)
    inside, layers = released(), sorted(TWO.named)
    push(inside, TWO)
    for layer in layers:
        delete_blob(inside, layer)
    released(4)
    inside.withdraw(name_of(4))
    said = [event["detail"]["stays"][REPOSITORY] for event in inside.events("intake.left")]
    first = inside.events("intake.withdraw")[0]["detail"]["stays"][REPOSITORY]
    assert [first, *said] == [layers[at : at + told] for at in range(0, len(layers), told)]
    assert unexplained(inside.station) == []
    for layer in layers:
        delete_blob(inside, layer)
        show_by_hand(inside, layer)
    assert {one["digest"] for one in unexplained(inside.station)} == set(layers)


async def test_the_control_api_tells_all_that_a_withdrawal_leaves_before_it_does_it(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store_limits, "LEFT_TOLD", 2)
    inside, layers = released(), sorted(TWO.named)
    push(inside, TWO)
    for layer in layers:
        delete_blob(inside, layer)
    released(4)
    writer = AsyncGuarded(AsyncWriterService(inside.writer))
    callers = Callers(inside.station.config, Accounts(inside.station.reader))
    control = Control(inside.station, writer, Jobs(inside.station, writer, NoStarter()), "", callers)
    async with (
        served(application(control), tmp_path) as client,
        client.post(f"/v1/intake/{name_of(4)}/withdraw", json={"why": "recalled"}) as answer,
    ):
        assert answer.status == 200, await answer.text()
    (first,), (second,) = inside.events("intake.withdraw"), inside.events("intake.left")
    assert [event["detail"]["stays"][REPOSITORY] for event in (first, second)] == [layers[:2], layers[2:]]
    assert first["seq"] < second["seq"]
    assert blobs(inside) == TWO.named
    assert unexplained(inside.station) == []


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_withdrawal_that_failed_would_have_left_explains_nothing(released: Released, fails: bool) -> None:
    """Its parts stand in the log between its event and the one that takes it back."""
    inside, layer = released(), str(Digest.of(SHARED))
    push(inside, TWO)
    delete_blob(inside, layer)
    name = name_of(4)
    digest = find_entry(inside.station.reader, name).digest
    event = AuditEvent(Act.INTAKE_WITHDRAW, "tester(0)", name, "done", {"digest": digest})
    inside.station.audit.record(event)
    part = {"bundle": name, "stays": {REPOSITORY: [layer]}}
    inside.station.audit.record(AuditEvent(Act.INTAKE_LEFT, "tester(0)", digest, "done", part))
    if fails:
        inside.station.audit.record(refusal(event.act, event.actor, event.thing, FailedError("no"), recorded=True))
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == ([layer] if fails else [])


@pytest.mark.parametrize("pruned", [False, True])
def test_a_manifest_that_a_withdrawal_leaves_to_a_pushed_index_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: bool
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside = released()
    push(inside, TWO)
    push(inside, ONE)
    push(inside, BOTH)
    record(inside, "delete-manifest", TWO.digest)
    inside.writer.submit(DeleteManifest(repository=REPOSITORY, digest=TWO.digest))
    released(4)
    inside.withdraw(name_of(4))
    if pruned:
        record(inside, "job.read", TWO.digest, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")
    assert TWO.digest in {row[1] for row in inside.visible()["links"]}
    assert unexplained(inside.station) == []
    assert moved(inside.station) == []


def test_a_withdrawal_that_would_leave_something_else_than_its_event_says_is_not_done(released: Released) -> None:
    inside = released(4)
    write = prepare_withdraw(inside.station, find_entry(inside.station.reader, name_of(4)), "recalled", "tester(0)")
    before = inside.visible()
    for leaves in (
        "0" * 64,
        msgspec.structs.replace(write, keep=((REPOSITORY, ONE.digest),)).look(inside.station.reader).seal(),
    ):
        with pytest.raises(FailedError, match="changed meanwhile"):
            inside.writer.submit(msgspec.structs.replace(write, leaves=leaves))
        assert inside.visible() == before
    inside.writer.submit(msgspec.structs.replace(write, leaves=write.look(inside.station.reader).seal()))
    assert inside.visible()["links"] == []


def test_a_layer_that_stays_for_an_earlier_release_after_it_was_deleted_is_explained(released: Released) -> None:
    inside = released(1)
    delete_blob(inside, str(Digest.of(SHARED)))
    released(4)
    inside.withdraw(name_of(4))
    assert blobs(inside) == ONE.named | TWO.named
    assert unexplained(inside.station) == []


def test_a_withdrawal_says_of_no_layer_that_it_stays_where_it_goes(released: Released) -> None:
    inside = released(1, 2)
    inside.withdraw(name_of(1))
    inside.withdraw(name_of(2))
    assert not any("stays" in event["detail"] for event in inside.events("intake.withdraw"))
    assert blobs(inside) == set()
