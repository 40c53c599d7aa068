"""A medium that fails on its way is cut again alone, byte for byte, long after its bundle was written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from appliance.jobs.kinds import Result
from appliance.outgoing import recut
from appliance.outgoing.resume import locked
from appliance.store.reads.bundles_out import listed
from appliance.store.writes.deltas import VoidBundle
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

MIB = 1024 * 1024
NAME = "alpha.bravo-000001"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Sent:
    """A bundle on three media, long written."""

    def __init__(self, outside: Outside, root: Path, layout: Layout) -> None:
        self.outside = outside
        self.layers = [os.urandom(MIB) for _ in range(5)]
        layout.tag("1", layout.artifact({str(number): data for number, data in enumerate(self.layers)}))
        (reference,) = outside.collect_layout(layout.folder)
        self.media = [root / f"stick-{number}" for number in (1, 2, 3)]
        for medium in self.media:
            medium.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("appliance.outgoing.build.room_on", lambda found, _: [5 * MIB // 2 for _ in found])
            result = outside.build(self.media, reference)
        self.folders = [Path(path) for path in result["media"]]
        assert len(self.folders) == 3

    def recut(self, *media: int, out: list[Path], name: str = NAME) -> Result:
        context = self.outside.context("recut", {"id": name, "media": list(media), "out": [str(path) for path in out]})
        return self.outside.run(context, recut.run)


@pytest.fixture
def sent(outside: Outside, tmp_path: Path, layout: Layout) -> Sent:
    return Sent(outside, tmp_path, layout)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_medium_is_cut_again_alone_and_every_file_is_the_same(sent: Sent, fresh: Path, number: int) -> None:
    good = contents(sent.folders[number - 1])
    shutil.rmtree(sent.folders[number - 1])
    result = sent.recut(number, out=[fresh])
    assert contents(Path(result["path"])) == good
    assert sent.outside.bundles() == {NAME: "written"}
    (event,) = sent.outside.events("bundle.recut")
    assert (event["outcome"], event["detail"]["media"]) == ("done", {str(number): str(fresh)})


def test_on_the_same_medium_only_the_damaged_volume_is_written(sent: Sent) -> None:
    good = contents(sent.folders[1])
    damaged, *others = sorted(sent.folders[1].glob("volumes/*.7z"))
    assert others
    kept = [path.stat().st_ino for path in others]
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    sent.recut(2, out=[sent.media[1]])
    assert contents(sent.folders[1]) == good
    assert [path.stat().st_ino for path in others] == kept


def test_the_list_keeps_where_the_first_media_are(sent: Sent, fresh: Path) -> None:
    sent.recut(2, out=[fresh])
    (entry,) = listed(sent.outside.station.reader, 10)
    assert entry.standing == "written"
    assert entry.places == (*map(str, sent.folders), str(fresh / NAME))
    sent.recut(1, 2, 3, out=[sent.media[0], fresh, sent.media[2]])
    assert listed(sent.outside.station.reader, 10)[0].places == entry.places, "a place is named once"


def test_two_media_go_to_two_folders(sent: Sent, fresh: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    result = sent.recut(3, 1, out=[fresh, other])
    assert contents(fresh / NAME) == contents(sent.folders[2])
    assert contents(other / NAME) == contents(sent.folders[0])
    assert result["media"] == [str(fresh / NAME), str(other / NAME)]


@pytest.mark.parametrize(
    ("media", "what"), [([4], "4; .*has 1 to 3"), ([0], "no such media"), ([], "a folder for each"), ([1, 1], "twice")]
)
def test_media_that_the_bundle_has_not_are_named(sent: Sent, fresh: Path, media: list[int], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        sent.recut(*media, out=[fresh] * len(media))
    assert list(fresh.iterdir()) == []


def test_a_bundle_that_was_not_made_here_or_is_voided_is_not_cut(sent: Sent, fresh: Path) -> None:
    with pytest.raises(LockgateError, match="no such bundle was made here"):
        sent.recut(1, out=[fresh], name="alpha.bravo-000009")
    sent.outside.writer.submit(VoidBundle(id=NAME))
    with pytest.raises(FailedError, match="voided"):
        sent.recut(1, out=[fresh])


def test_content_that_the_store_no_longer_has_is_named(sent: Sent, fresh: Path) -> None:
    digest = Digest.of(sent.layers[0])
    sent.outside.station.paths.blob(digest).unlink()
    with pytest.raises(LockgateError, match=digest.hex):
        sent.recut(1, 2, 3, out=[fresh / "1", fresh / "2", fresh / "3"])


def test_a_bundle_whose_build_still_writes_is_left_to_it(sent: Sent, fresh: Path) -> None:
    (job,) = sent.outside.station.reader.execute("SELECT job_id FROM bundles_out").fetchone()
    with locked(sent.outside.station.paths.job(job)), pytest.raises(FailedError, match="wait for its build"):
        sent.recut(1, out=[fresh])
