"""Right bytes that arrive, whichever way, replace a damaged copy, whether or not anybody has found the damage yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.lifecycle import damage
from appliance.station import Station
from appliance.store.writes.lifecycle import NoteUnread, RecordDamage
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry
from tests.lifecycle.conftest import Kept
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

BODY = os.urandom(300_000)
DIGEST = Digest.of(BODY)


def _rot(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


HARMS: dict[str, Callable[[Path], object]] = {
    "rotted": _rot,
    "truncated": lambda path: os.truncate(path, 100),
    "missing": lambda path: path.unlink(),
}


def harm(side: Inside | Outside, digest: Digest, how: str, *, found: bool) -> None:
    """Damage a held blob; `found` as a scrub would have left it, else as a worker marks it that could not read it."""
    station = side.station
    HARMS[how](station.paths.blob(digest))
    if not found:
        side.writer.submit(NoteUnread(digest=str(digest), why="a test", at="2026-01-01T00:00:00Z"))
        return
    side.writer.submit(RecordDamage(digest=str(digest), why=how, at="2026-01-01T00:00:00Z"))
    if how != "missing":
        station.blobs.set_aside(digest)


def is_well(station: Station, digest: Digest) -> bool:
    return station.blobs.is_whole(digest) and not damage.damages(station) and not damage.unread(station)


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("how", sorted(HARMS))
@pytest.mark.parametrize("what", ["blob", "manifest"])
def test_collecting_it_again_heals(outside: Outside, layout: Layout, how: str, found: bool, what: str) -> None:
    layout.tag("1", layout.artifact({"body": BODY}))
    [reference] = outside.collect_layout(layout.folder)
    manifest = outside.shows(reference)
    assert manifest is not None
    digest = DIGEST if what == "blob" else manifest
    harm(outside, digest, how, found=found)
    outside.collect_layout(layout.folder)
    assert is_well(outside.station, digest)


def test_collecting_it_again_writes_nothing_that_is_whole(outside: Outside, layout: Layout) -> None:
    layout.tag("1", layout.artifact({"body": BODY}))
    outside.collect_layout(layout.folder)
    before = outside.station.blobs.version(DIGEST)
    outside.collect_layout(layout.folder)
    assert outside.station.blobs.version(DIGEST) == before


@pytest.fixture
def bundles(kept: Kept, tmp_path: Path) -> list[Path]:
    """Two bundles from two sources that both carry BODY, in volumes that it does not fit into."""
    folders = []
    for number in range(2):
        store = MemoryStore()
        artifact = file_artifact(store, BODY, f"files/thing-{number}")
        made = carry(tmp_path / f"medium-{number}", store, [artifact], volume=120_000, stream=f"a{number}.bravo")
        trust_key(kept.paths.trust, made.key.public, purpose="bundle", owner="E", sites=[f"a{number}"])
        folders.append(made.folder)
    return folders


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("how", sorted(HARMS))
def test_another_bundle_that_carries_it_heals(kept: Kept, bundles: list[Path], how: str, found: bool) -> None:
    kept.inside.bring(bundles[0])
    harm(kept.inside, DIGEST, how, found=found)
    assert kept.inside.bring(bundles[1])["state"] == "quarantined"
    assert is_well(kept.inside.station, DIGEST)


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("how", sorted(HARMS))
def test_the_same_bundle_heals_although_no_scrub_has_run(
    kept: Kept, bundles: list[Path], how: str, found: bool
) -> None:
    kept.inside.bring(bundles[0])
    before = kept.inside.everything()
    harm(kept.inside, DIGEST, how, found=found)
    assert kept.inside.bring(bundles[0])["restored"] == [str(DIGEST)]
    assert is_well(kept.inside.station, DIGEST)
    assert kept.inside.everything() == before
    with pytest.raises(RefusedError, match="replay"):
        kept.inside.bring(bundles[0])
