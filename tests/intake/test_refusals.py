"""A refused import says why and changes nothing: no link, tag, ledger row, pin or quarantine entry."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from bundles.errors import EXIT_REFUSED, FailedError, IncompleteError, LockgateError, RefusedError
from bundles.format.manifest import Artifact, Required, volume_path
from bundles.oci.digest import Digest
from bundles.signing.pinning import revoke_key
from tests.bundles.small import MemoryStore, SmallBundle, file_artifact
from tests.intake.inside import Inside, carry, name_of, small_bundle


def refused(inside: Inside, *folders: Path) -> str:
    """The one line of the refusal; the inside is as it was."""
    before, events = inside.everything(), len(inside.events("intake.import"))
    with pytest.raises(LockgateError) as caught:
        inside.bring(*folders)
    line = caught.value.diagnostics()
    assert caught.value.exit_status == EXIT_REFUSED, line
    assert "\n" not in line
    assert inside.everything() == before
    recorded = inside.events("intake.import")[events:]
    assert [(event["outcome"], event["detail"]["reason"]) for event in recorded] == [("refused", line)]
    return line


@pytest.mark.parametrize("seed", range(40))
def test_any_one_bit_of_any_file_is_refused(inside: Inside, bundle: SmallBundle, tmp_path: Path, seed: int) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / bundle.folder.name))
    chosen = random.Random(seed)
    path = chosen.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(path.read_bytes())
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    path.write_bytes(data)
    assert path.name.partition(".")[0] in refused(inside, folder)


def test_a_flipped_bit_in_the_last_volume_leaves_nothing_of_the_good_ones(
    inside: Inside, bundle: SmallBundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / bundle.folder.name))
    last = folder / volume_path(bundle.manifest.volumes[-1].index)
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    assert volume_path(bundle.manifest.volumes[-1].index) in refused(inside, folder)
    assert list(inside.station.paths.joins.iterdir()) == []


def test_what_an_earlier_medium_brought_in_good_faith_stays(
    inside: Inside, spread: SmallBundle, tmp_path: Path
) -> None:
    with pytest.raises(IncompleteError):
        inside.bring(spread.out[0])
    second = Path(shutil.copytree(spread.folders[1], tmp_path / "second"))
    volume = next(iter((second / "volumes").iterdir()))
    volume.write_bytes(volume.read_bytes()[:-1] + b"!")
    refused(inside, second)
    assert inside.bring(spread.out[1])["state"] == "quarantined"


def test_a_replay_is_refused_in_every_state(inside: Inside, bundle: SmallBundle) -> None:
    officer = inside.officer()
    inside.bring(bundle.folder)
    assert "a replay" in refused(inside, bundle.folder)
    inside.decide(name_of(), officer)
    assert "as approved" in refused(inside, bundle.folder)
    inside.release(name_of())
    assert "as released" in refused(inside, bundle.folder)


def test_a_rejected_bundle_is_a_replay_too(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    inside.decide(name_of(), inside.officer(), "reject", "not ordered")
    assert "as rejected" in refused(inside, bundle.folder)


def test_a_gap_is_refused_and_names_what_did_not_come(tmp_path: Path, inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    later = small_bundle(tmp_path / "third", sequence=3, previous=str(Digest.of(bundle.signed.sums)))
    inside.trust(later.key.public)
    assert f"a gap: {name_of(2)} did not come" in refused(inside, later.folder)


def test_a_voided_number_is_no_gap(tmp_path: Path, inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    previous = str(Digest.of(bundle.signed.sums))
    later = small_bundle(tmp_path / "third", sequence=3, previous=previous, voided=[2])
    inside.trust(later.key.public)
    assert inside.bring(later.folder)["id"] == name_of(3)


def test_a_fork_is_refused(tmp_path: Path, inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    other = small_bundle(tmp_path / "other", purpose="another bundle of the same number")
    inside.trust(other.key.public)
    assert "a fork" in refused(inside, other.folder)
    follower = small_bundle(tmp_path / "follower", sequence=2, previous=str(Digest.of(b"another history")))
    inside.trust(follower.key.public)
    assert "a fork" in refused(inside, follower.folder)


def test_a_rollback_is_refused(tmp_path: Path, inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    later = small_bundle(tmp_path / "third", sequence=3, previous=str(Digest.of(bundle.signed.sums)), voided=[2])
    inside.trust(later.key.public)
    inside.bring(later.folder)
    second = small_bundle(tmp_path / "second", sequence=2, previous=str(Digest.of(bundle.signed.sums)))
    inside.trust(second.key.public)
    assert "a rollback" in refused(inside, second.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda inside, bundle: (bundle.folder / "volumes/9.7z").write_bytes(b"?"), "does not belong"),
        (lambda inside, bundle: next(bundle.folder.glob("*.sig")).unlink(), "not signed"),
        (
            lambda inside, bundle: revoke_key(
                inside.station.paths.trust, bundle.key.public.keyid, why="lost", at=clock.now()
            ),
            "revoked",
        ),
    ],
    ids=["a stranger among the volumes", "a stripped signature", "a revoked signer"],
)
def test_what_is_not_the_signed_set_is_refused(
    inside: Inside, bundle: SmallBundle, change: Callable[[Inside, SmallBundle], object], reason: str
) -> None:
    change(inside, bundle)
    assert reason in refused(inside, bundle.folder)


def test_an_unknown_signer_is_refused(inside: Inside, tmp_path: Path) -> None:
    assert "unknown" in refused(inside, small_bundle(tmp_path / "stranger").folder)


def test_another_sites_bundle_is_refused(inside: Inside, tmp_path: Path) -> None:
    other = small_bundle(tmp_path / "other", stream="alpha.charlie")
    inside.trust(other.key.public)
    assert "another site" in refused(inside, other.folder)


def test_an_expired_bundle_is_refused(inside: Inside, tmp_path: Path) -> None:
    old = small_bundle(tmp_path / "old", created="2026-01-01T00:00:00Z", not_after="2026-01-02T00:00:00Z")
    inside.trust(old.key.public)
    assert "expired" in refused(inside, old.folder)


def test_an_artifact_whose_layer_did_not_come_is_refused(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    artifact = file_artifact(store, b"the layer that stayed at home")
    del store.blobs[Digest.of(b"the layer that stayed at home")]
    made = carry(tmp_path / "carried", store, [artifact])
    inside.trust(made.key.public)
    assert "did not come" in refused(inside, made.folder)


def test_an_artifact_that_is_no_manifest_is_refused(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    honest = file_artifact(store, b"data")
    lying = Artifact(
        repository="files/lie", digest=str(store.add(b"not a manifest")), mediaType=honest.mediaType,
        kind="file", size=len(b"not a manifest"), tags=["1"],
    )  # fmt: skip
    made = carry(tmp_path / "carried", store, [honest, lying])
    inside.trust(made.key.public)
    assert "files/lie" in refused(inside, made.folder)


def test_a_delta_whose_base_is_missing_fails_before_it_is_read(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    artifact = file_artifact(store, b"data")
    base = [Required(digest=str(Digest.of(b"base")), size=4)]
    made = carry(tmp_path / "carried", store, [artifact], requires=base)
    inside.trust(made.key.public)
    before = inside.everything()
    with pytest.raises(FailedError, match="stands on blobs that are not here"):
        inside.bring(made.folder)
    assert inside.everything() == before


def test_the_write_itself_refuses_what_the_ledger_took_meanwhile(inside: Inside, bundle: SmallBundle) -> None:
    from appliance.store.writes.intake import Quarantine

    result = inside.bring(bundle.folder)
    moved = Quarantine(digest=result["digest"], made=clock.now(), why="", job="other", actor="x", at=clock.now())
    with pytest.raises(RefusedError, match="replay"):
        inside.writer.submit(moved)
