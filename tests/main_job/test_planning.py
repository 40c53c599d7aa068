"""A plan before anything is written: shown, refused early, by profile; a medium cut again through the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.main_job.gap import Gap, random_file

REFERENCE = "files/large:1"
SIZE = 3_000_000


@pytest.fixture(scope="module")
def gap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gap]:
    with Gap(tmp_path_factory.mktemp("gap")) as gap:
        gap.collect_file(random_file(gap.root / "large.bin", SIZE), REFERENCE)
        yield gap


@pytest.fixture
def media(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / f"medium-{number}" for number in (1, 2)]
    for folder in folders:
        folder.mkdir()
    return folders


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(gap: Gap, media: list[Path]) -> None:
    before = gap.alpha.run("bundle", "list", "--json").stdout
    told = gap.build(REFERENCE, out=media, options=("--dry-run", "--volume", "1MiB", "--json")).stdout
    plan = json.loads(told)
    assert plan["blobs"] == 3
    assert SIZE < plan["bytes"] < SIZE + 10_000
    assert len(plan["volumes"]) == 3
    assert plan["space"]["media"] > sum(volume["size"] for volume in plan["volumes"]) > SIZE
    assert plan["space"]["inside"] > SIZE
    assert plan["space"]["outside"] > 0
    assert [medium["size"] > 0 for medium in plan["media"]] == [True, False]
    text = gap.build(REFERENCE, out=media, options=("--dry-run", "--volume", "1MiB")).stdout
    assert "3 volumes" in text
    assert "at its peak it takes" in text
    assert text.splitlines()[-1] == "nothing was written"
    assert [list(folder.iterdir()) for folder in media] == [[], []]
    assert gap.alpha.run("bundle", "list", "--json").stdout == before


@pytest.mark.parametrize("profile", ["fat32", "dvd", "dvd-dl", "bd25", "bd50", "BD100", "2GiB"])
def test_every_profile_is_a_volume_size(gap: Gap, media: list[Path], profile: str) -> None:
    told = gap.build(REFERENCE, out=media, options=("--dry-run", "--volume", profile, "--json")).stdout
    assert len(json.loads(told)["volumes"]) == 1


def test_a_size_that_is_none_is_a_usage_error_that_names_the_profiles(gap: Gap, media: list[Path]) -> None:
    ended = gap.build(REFERENCE, out=media, options=("--dry-run", "--volume", "floppy"), expect=2)
    assert "fat32, dvd, dvd-dl, bd25, bd50, bd100" in ended.stderr


def test_a_medium_is_cut_again_byte_for_byte_and_comes_in(gap: Gap, media: list[Path], tmp_path: Path) -> None:
    folder = Path(gap.build(REFERENCE, out=media[:1], options=("--volume", "1MiB")).last_line)
    good = contents(folder)
    shutil.rmtree(folder)
    ended = gap.alpha.run("bundle", "recut", folder.name, "--medium", "1", "--out", media[1])
    assert "safe to remove" in ended.stdout
    assert ended.last_line == str(media[1] / folder.name)
    assert contents(Path(ended.last_line)) == good
    assert gap.bring_in(media[1]) == folder.name
    gap.alpha.run("bundle", "recut", folder.name, "--medium", "2", "--out", media[0], expect=2)
