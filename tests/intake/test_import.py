"""A bundle comes into quarantine verified byte for byte, from media in any order, and goes on where it was cut off."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from appliance.intake import import_job
from appliance.intake.room import beyond_quota
from appliance.limits import intake as limits
from appliance.settings.quarantine import QuarantineSettings, SiteSettings
from appliance.store.collection_lock import incoming_turn
from appliance.store.reads.intake import describe, find_entry, history, volumes_of
from bundles.errors import CancelledError, FailedError, IncompleteError, RefusedError
from bundles.format.manifest import volume_path
from bundles.oci.digest import Digest
from bundles.signing.pinning import trust_key
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_an_import_ends_in_quarantine_and_in_the_ledger(inside: Inside, bundle: SmallBundle) -> None:
    result = inside.bring(bundle.folder)
    assert result["id"] == name_of()
    assert result["state"] == "quarantined"
    assert [(row.sequence, row.state) for row in history(inside.station.reader, "alpha.bravo")] == [(1, "quarantined")]


def test_what_is_in_quarantine_is_visible_to_nobody(inside: Inside, bundle: SmallBundle) -> None:
    before = inside.visible()
    inside.bring(bundle.folder)
    assert inside.visible() == before


def test_every_blob_arrives_whole_and_one_in_parts_is_joined(inside: Inside, bundle: SmallBundle) -> None:
    assert any(blob.parts for blob in bundle.manifest.blobs)
    inside.bring(bundle.folder)
    for digest, data in bundle.store.blobs.items():
        with inside.station.blobs.open_blob(digest) as file:
            assert file.read() == data
        assert inside.station.metadata.crc32(digest) == bundle.store.crc32(digest)
    assert list(inside.station.paths.joins.iterdir()) == []


def test_a_quarantined_bundle_keeps_its_blobs_from_being_swept(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    pinned = {digest for (digest,) in inside.station.reader.execute("SELECT digest FROM pins")}
    assert pinned == {str(digest) for digest in bundle.store.blobs}


def test_a_medium_is_not_written(inside: Inside, bundle: SmallBundle) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in bundle.out[0].rglob("*")}

    before = state()
    inside.bring(bundle.folder)
    assert state() == before


def test_a_mount_point_is_as_good_as_the_bundles_folder(inside: Inside, bundle: SmallBundle) -> None:
    assert inside.bring(bundle.out[0])["id"] == name_of()


def test_media_may_come_together(inside: Inside, spread: SmallBundle) -> None:
    assert inside.bring(*spread.out)["state"] == "quarantined"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_media_may_come_one_by_one_in_any_order(inside: Inside, spread: SmallBundle, order: tuple[int, int]) -> None:
    first, second = (spread.out[number] for number in order)
    with pytest.raises(IncompleteError) as caught:
        inside.bring(first)
    other = next(volume for volume in spread.manifest.volumes if volume.medium == order[1] + 1)
    assert volume_path(other.index) in caught.value.thing
    assert caught.value.remedy == f"insert medium {order[1] + 1} of 2"
    assert inside.state(name_of()) == "receiving"
    assert history(inside.station.reader, "alpha.bravo") == []
    shutil.rmtree(first)
    assert inside.bring(second)["state"] == "quarantined"


def test_an_entry_that_is_receiving_names_its_missing_volumes(inside: Inside, spread: SmallBundle) -> None:
    with pytest.raises(IncompleteError):
        inside.bring(spread.out[0])
    entry = find_entry(inside.station.reader, name_of())
    owed = [volume.index for volume in spread.manifest.volumes if volume.medium == 2]
    assert describe(inside.station.reader, entry, 1).missing_volumes == tuple(owed)


def test_a_job_that_is_run_again_after_its_last_transaction_says_what_it_did(
    inside: Inside, bundle: SmallBundle
) -> None:
    first = inside.bring(bundle.folder, job_id="the-job")
    assert inside.bring(bundle.folder, job_id="the-job") == first


def test_a_cancelled_import_goes_on_at_the_volume(inside: Inside, bundle: SmallBundle) -> None:
    context = inside.context(paths=[str(bundle.folder)])

    def cancel(phase: str, done: int, total: int) -> None:
        if any(volume.verified for volume in volumes_of(inside.station.reader, str(digest))):
            raise CancelledError("the job was cancelled")

    digest = Digest.of(bundle.signed.sums)
    context.on_progress = cancel
    with pytest.raises(CancelledError):
        import_job.run(context)
    kept = [volume.index for volume in volumes_of(inside.station.reader, str(digest)) if volume.verified]
    assert kept == [1]
    again = inside.context(paths=[str(bundle.folder)])
    assert import_job.run(again)["state"] == "quarantined"
    assert not any(line.startswith(volume_path(1)) for line in again.lines)


def test_a_verified_volume_whose_bytes_were_lost_is_read_again(inside: Inside, spread: SmallBundle) -> None:
    with pytest.raises(IncompleteError):
        inside.bring(spread.out[0])
    for path in inside.station.paths.joins.iterdir():
        path.unlink()
    for digest in bundle_blobs(inside):
        inside.station.blobs.remove(digest)
    with pytest.raises(IncompleteError) as caught:
        inside.bring(spread.out[1])
    assert caught.value.remedy == "insert medium 1 of 2"
    assert inside.bring(spread.out[0])["state"] == "quarantined"


def bundle_blobs(inside: Inside) -> list[Digest]:
    return [Digest("sha256", path.name) for path in (inside.station.paths.blobs / "sha256").iterdir()]


def test_two_imports_of_two_media_at_once_make_one_bundle(tmp_path: Path, inside: Inside, spread: SmallBundle) -> None:
    from appliance.station import open_station

    ended: list[str] = []

    def bring(medium: Path, job_id: str) -> None:
        station = open_station(inside.root, inside.writer)
        context = inside.context(job_id, paths=[str(medium)])
        context.station = station
        try:
            ended.append(str(import_job.run(context)["state"]))
        except IncompleteError:
            ended.append("receiving")

    threads = [
        threading.Thread(target=bring, args=(medium, f"at-once-{number}"))
        for number, medium in enumerate(spread.out)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == ["quarantined", "receiving"]


def test_a_disk_too_small_is_said_before_anything_is_written(
    inside: Inside, bundle: SmallBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_job, "_RESERVE", 2**60)
    before = inside.everything()
    with pytest.raises(FailedError, match="too small"):
        inside.bring(bundle.folder)
    assert inside.everything() == before
    assert bundle_blobs(inside) == []


def test_an_import_is_one_event(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    (event,) = inside.events("intake.import")
    assert (event["outcome"], event["thing"], event["actor"]) == ("done", name_of(), "tester(0)")


def test_the_next_bundle_follows(tmp_path: Path, inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    following = small_bundle(tmp_path / "second", sequence=2, previous=str(Digest.of(bundle.signed.sums)))
    inside.trust(following.key.public)
    assert inside.bring(following.folder)["id"] == name_of(2)


def test_a_second_copy_of_a_volume_is_held_to_its_signature_too(
    tmp_path: Path, inside: Inside, bundle: SmallBundle
) -> None:
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    flip(copy / volume_path(2), 40)
    with pytest.raises(RefusedError):
        inside.bring(bundle.folder, copy)


def test_what_a_refused_bundle_brought_goes_again(
    inside: Inside, bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad at its end, and signed again and again. What another bundle pins stays; beside other imports it waits."""

    def held() -> set[str]:
        return set(inside.station.blobs.list_names())

    def come(number: int) -> None:
        other = small_bundle(tmp_path / str(number), sequence=2, previous=previous, purpose=str(number))
        inside.trust(other.key.public)
        flip(max((other.folder / "volumes").iterdir()), -100)
        with pytest.raises(RefusedError):
            inside.bring(other.folder)

    previous = None
    inside.trust(bundle.key.public)
    again = tmp_path / "again"
    shutil.copytree(bundle.folder, again / bundle.folder.name)
    flip(max((again / bundle.folder.name / "volumes").iterdir()), -100)
    with pytest.raises(RefusedError, match="signed ones"):
        inside.bring(again / bundle.folder.name)
    assert held() == set()
    assert inside.station.blobs.graveyard.totals().blobs > 0
    monkeypatch.setattr(limits, "LEFTOVERS_WAIT", 0.0)
    with incoming_turn(inside.station.paths, lambda *_: None, collects=False):
        with pytest.raises(RefusedError, match="signed ones"):
            inside.bring(again / bundle.folder.name)
        assert held() != set()
    inside.bring(bundle.folder)
    whole, previous = held(), str(Digest.of(bundle.signed.sums))
    come(1)
    assert held() == whole


@pytest.mark.parametrize("actor", ["station", "carl(7)"])
def test_a_source_has_no_more_in_quarantine_than_its_quota(tmp_path: Path, bundle: SmallBundle, actor: str) -> None:
    """Whoever brings it: refused before a byte is written, until somebody decides about what is there."""
    size = sum(path.stat().st_size for path in (bundle.folder / "volumes").iterdir())
    inside = Inside(tmp_path / "quota", quarantine=QuarantineSettings(source_bytes=2 * size - 1))
    again = small_bundle(tmp_path / "again", sequence=2, previous=str(Digest.of(bundle.signed.sums)))
    other = small_bundle(tmp_path / "other", stream="charlie.bravo")
    inside.trust(bundle.key.public)
    inside.trust(again.key.public)
    trust_key(inside.station.paths.trust, other.key.public, purpose="bundle", owner="Engineering", sites=["charlie"])

    def come(folder: Path) -> None:
        context = inside.context(paths=[str(folder)])
        context.actor = actor
        import_job.run(context)

    come(bundle.folder)
    before = inside.everything()
    with pytest.raises(RefusedError, match="quota of alpha"):
        come(again.folder)
    assert inside.everything() == before
    come(other.folder)
    with pytest.raises(RefusedError, match="replay"):
        come(bundle.folder)  # it is there already, and refused as what it is
    inside.decide(name_of(), inside.officer(), "reject", "too much of it")
    come(again.folder)


def test_a_sites_own_quota_goes_before_that_of_all(inside: Inside) -> None:
    of_all = QuarantineSettings(source_bytes=5, sites={"alpha": SiteSettings(bytes=10), "delta": SiteSettings()})
    sizes = {"alpha": 10, "bravo": 5, "delta": 1 << 60}
    for source, size in sizes.items():
        assert not beyond_quota(inside.station.reader, of_all, source, size, "")
    for source in ("alpha", "bravo"):
        assert beyond_quota(inside.station.reader, of_all, source, sizes[source] + 1, "")
    assert not beyond_quota(inside.station.reader, QuarantineSettings(), "alpha", 1 << 60, "")


def test_what_nobody_brought_leaves_room_for_other_sources(
    inside: Inside, bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that sends over a wire, and whose bundles wait in quarantine; a person may bring any."""
    inside.trust(bundle.key.public)
    again = small_bundle(tmp_path / "again", sequence=2, previous=str(Digest.of(bundle.signed.sums)))
    inside.trust(again.key.public)
    monkeypatch.setattr(import_job._Receiving, "_free", lambda _: int(import_job._RESERVE * 1.5))

    def come(folder: Path, actor: str) -> None:
        context = inside.context(paths=[str(folder)])
        context.actor = actor
        import_job.run(context)

    come(bundle.folder, "station")
    with pytest.raises(FailedError, match="no room for other sources"):
        come(again.folder, "station")
    come(again.folder, "carl")
