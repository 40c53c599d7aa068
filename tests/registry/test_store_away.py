"""The store is not in its place: nothing is called missing, nothing is written, and all of it is back by itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import damages
from appliance.lifecycle.upkeep import upkeep
from appliance.limits import lifecycle as limits
from appliance.paths import StationPaths
from appliance.readiness import Probe
from appliance.station import Station, open_station
from appliance.store.blobs import BlobStore
from appliance.store.presence import Presence, StoreAwayError, settle
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, image
from tests.lifecycle.conftest import Kept, kept
from tests.registry_server import Server, Store

__all__ = ["kept"]

BODY = b"a layer that is away"


def _nothing(paths: StationPaths) -> Callable[[], None]:
    """The whole store is gone."""
    away = paths.root / "away"
    paths.store.rename(away)

    def back() -> None:
        shutil.rmtree(paths.store, ignore_errors=True)
        away.rename(paths.store)

    return back


def _empty(paths: StationPaths) -> Callable[[], None]:
    """An empty folder is in the store's place, as below a mount."""
    back = _nothing(paths)
    paths.store.mkdir()
    return back


def _other(paths: StationPaths) -> Callable[[], None]:
    """Another station's store is in its place."""
    back = _nothing(paths)
    other = StationPaths(paths.root / "other")
    other.root.mkdir()
    settle(other, named=False)
    other.store.rename(paths.store)
    return back


def _blobs_alone(paths: StationPaths) -> Callable[[], None]:
    away = paths.blobs.with_name("blobs.away")
    paths.blobs.rename(away)
    (paths.blobs / "sha256").mkdir(parents=True)
    (paths.blobs / "sha512").mkdir()

    def back() -> None:
        shutil.rmtree(paths.blobs)
        away.rename(paths.blobs)

    return back


def _one_folder(paths: StationPaths) -> Callable[[], None]:
    """The folder of one algorithm is another one, and empty."""
    folder = paths.blobs / "sha256"
    folder.rename(folder.with_name("away"))
    folder.mkdir()

    def back() -> None:
        folder.rmdir()
        folder.with_name("away").rename(folder)

    return back


def _folder_gone(paths: StationPaths) -> Callable[[], None]:
    back = _one_folder(paths)
    (paths.blobs / "sha256").rmdir()

    def again() -> None:
        (paths.blobs / "sha256").mkdir()
        back()

    return again


def _dangling(paths: StationPaths) -> Callable[[], None]:
    """The store is a link to a disk that is not mounted."""
    back = _nothing(paths)
    paths.store.symlink_to(paths.root / "not-mounted" / "store")

    def again() -> None:
        paths.store.unlink()
        back()

    return again


def pull(server: Server, content: Content) -> None:
    """Pull all of an image."""
    assert server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
    for blob in content.blobs:
        assert server.ask("GET", f"/v2/team/app/blobs/{Digest.of(blob)}").body == blob


AWAY = [_nothing, _empty, _other, _blobs_alone, _one_folder, _folder_gone, _dangling]


@pytest.fixture
def marked(store: Store) -> Store:
    settle(store.paths, named=False)
    return store


@pytest.mark.parametrize("go_away", AWAY)
def test_a_store_that_is_away_answers_503_and_comes_back_by_itself(
    marked: Store, go_away: Callable[[StationPaths], Callable[[], None]]
) -> None:
    server, content = marked.serve(), image()
    content.push(server, "team/app", "v1")
    begun = server.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    blob, manifest = f"/v2/team/app/blobs/{Digest.of(content.blobs[0])}", "/v2/team/app/manifests/v1"
    other = marked.serve()  # it has no manifest in memory
    assert server.ask("GET", "/readyz").json["status"] in ("ready", "degraded")
    back = go_away(marked.paths)

    for method, path in (("GET", blob), ("HEAD", blob), ("GET", manifest), ("HEAD", manifest)):
        assert other.ask(method, path).status == 503, (method, path)
    assert other.ask("POST", "/v2/team/app/blobs/uploads/").status == 503
    assert other.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(BODY)}", BODY).status == 503
    assert other.ask("PUT", f"{begun}?digest={Digest.of(b'')}").status == 503
    assert other.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'never pushed')}").status == 404, "the metadata knows"
    assert Probe(marked.paths, other.services.metadata, asks_control=False)._outside() == ["store"]
    late = BlobStore(marked.paths)  # a process that starts meanwhile
    with pytest.raises(StoreAwayError):
        late.put(BODY, Digest.of(BODY))
    with pytest.raises(StoreAwayError):
        BlobExaminer(late, lambda _: None).look(Digest.of(content.blobs[0]), 1, lambda _: None)
    assert list(marked.paths.blobs.glob("sha*/*")) == [], "nothing was written"
    assert other.services.metadata.troubled() == (0, 0), "and nothing is called damaged or unread"

    back()
    pull(other, content)
    assert late.has_blob(Digest.of(content.blobs[0]))
    assert other.ask("PUT", f"{begun}?digest={Digest.of(b'')}").status == 201
    image().push(other, "team/app", "v2")
    assert Presence(marked.paths).away() == ""


def test_readyz_says_not_ready_while_the_store_is_away(marked: Store) -> None:
    marked.paths.run.mkdir()
    server = marked.serve()
    back = _empty(marked.paths)
    answer = server.ask("GET", "/readyz")
    assert (answer.status, answer.json["status"]) == (503, "not ready")
    assert "store" in answer.json["codes"]
    back()


def test_a_store_that_goes_away_in_the_middle_of_a_push_acknowledges_nothing(marked: Store) -> None:
    blobs = BlobStore(marked.paths)
    writer = blobs.begin_blob(Digest.of(BODY), len(BODY))
    writer.write(BODY)
    _one_folder(marked.paths)
    with pytest.raises(StoreAwayError):
        writer.commit()


@pytest.mark.parametrize("go_away", AWAY)
def test_no_job_calls_anything_missing_while_the_store_is_away(
    kept: Kept, go_away: Callable[[StationPaths], Callable[[], None]]
) -> None:
    content = image()
    content.push(kept.server, "team/app", "v1")
    settle(kept.paths, named=True)
    station = kept.inside.station
    object.__setattr__(station, "blobs", BlobStore(kept.paths))
    back = go_away(kept.paths)
    for job in (kept.scrub, kept.gc, lambda: kept.gc(now=True)):
        with pytest.raises(StoreAwayError, match="not in its place"):
            job()
    assert damages(station) == []
    assert station.metadata.totals()[0] == len(content.blobs) + 1
    back()
    assert kept.scrub()["damaged"] == []
    pull(kept.server, content)


def test_what_is_missing_is_looked_for_once_the_store_is_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = kept.server.push_blob("team/app", b"lost")
    kept.server.push_blob("team/app", b"kept")
    kept.paths.blob(lost).unlink()
    settle(kept.paths, named=True)
    monkeypatch.setattr(limits, "GRAVEYARD_LOOK", 0.01)
    station, looks, back = kept.inside.station, list[int](), _empty(kept.paths)

    def opening() -> Station:
        looks.append(0)
        if len(looks) == 3:
            back()
        return open_station(kept.paths.root, station.writer)

    with upkeep(opening):
        deadline = time.monotonic() + 10
        while station.reader.execute("SELECT digest FROM unread").fetchall() != [(str(lost),)]:
            assert time.monotonic() < deadline
    assert len(looks) >= 3


def test_a_start_marks_a_store_and_never_an_empty_one_of_which_the_database_names_blobs(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path)
    paths.store.mkdir()
    settle(paths, named=True)
    assert Presence(paths).away(), "it was away at the first start of a version that marks"
    paths.store_mark.parent.mkdir()
    shutil.copy(paths.store_id, paths.store_mark)
    for _ in range(2):
        settle(paths, named=True)
        assert Presence(paths).away(), "a copy of the mark makes no store of an empty folder"
    paths.store_id.rename(paths.store_mark)
    for _ in range(2):
        settle(paths, named=True)
        assert Presence(paths).away() == "", "a person said that this is the store, and is asked once"
    BlobStore(paths).put(BODY, Digest.of(BODY))
    settle(paths, named=True)
    paths.blob(Digest.of(BODY)).unlink()
    settle(paths, named=True)
    assert Presence(paths).away(), "what was said of an empty store does not hold for one that was emptied"
    paths.store_mark.unlink()
    settle(paths, named=False)
    assert Presence(paths).away(), "a mark that is lost is not made again by a start"


@pytest.mark.parametrize("same_folders", [False, True])
def test_an_empty_store_with_a_copy_of_the_mark_is_away_at_a_start_and_the_real_one_comes_back(
    marked: Store, same_folders: bool
) -> None:
    paths, content = marked.paths, image()
    content.push(marked.serve(), "team/app", "v1")
    away = paths.root / "away"
    if same_folders:  # or those of another file system, with the same inodes
        shutil.copytree(paths.blobs, away)
        for blob in paths.blobs.glob("sha*/*"):
            blob.unlink()
    else:
        paths.blobs.rename(away)
        paths.blobs.mkdir()
        shutil.copy(away / paths.store_mark.name, paths.store_mark)
    settle(paths, named=True)
    server = marked.serve()
    for path in (f"/v2/team/app/blobs/{Digest.of(content.blobs[0])}", "/v2/team/app/manifests/v1"):
        assert server.ask("GET", path).status == 503
    assert server.ask("POST", "/v2/team/app/blobs/uploads/").status == 503
    shutil.rmtree(paths.blobs)
    away.rename(paths.blobs)
    pull(server, content)
    settle(paths, named=True)
    assert Presence(paths).away() == ""


def test_a_store_copied_to_another_disk_is_the_same_store(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path)
    settle(paths, named=False)
    BlobStore(paths).put(BODY, Digest.of(BODY))
    shutil.copytree(paths.store, tmp_path / "copy")
    shutil.rmtree(paths.store)
    (tmp_path / "copy").rename(paths.store)
    assert Presence(paths).away() == "", "its folders have other inodes, and hold something"
    settle(paths, named=True)
    shutil.rmtree(paths.blobs / "sha256")
    with pytest.raises(FailedError):
        BlobStore(paths).size(Digest.of(BODY))
