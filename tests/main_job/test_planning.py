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
    assert f"[!!] {media[1]}: no mount point: a folder of this disk (mounted at " in ended.stdout
    assert "safe to remove" not in ended.stdout
    assert ended.last_line == str(media[1] / folder.name)
    assert contents(Path(ended.last_line)) == good
    assert gap.bring_in(media[1]) == folder.name
    gap.alpha.run("bundle", "recut", folder.name, "--medium", "2", "--out", media[0], expect=2)


def test_a_wrong_destination_or_medium_is_one_line_and_takes_nothing(
    gap: Gap, media: list[Path], tmp_path: Path
) -> None:
    def build(status: int, *words: str | Path) -> str:
        ended = gap.alpha.run("bundle", "build", "--sign-with", "engineer", *words, REFERENCE, expect=status)
        assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)
        return ended.stderr

    gap.alpha.run("site", "add", "bravo")
    before = gap.alpha.run("bundle", "list", "--json").stdout
    for extra in ((), ("--dry-run",)):
        assert "a bundle for one's own site: alpha" in build(2, "--to", "alpha", "--out", media[0], *extra)
        assert "brav0; did you mean bravo?" in build(2, "--to", "brav0", "--out", media[0], *extra)
        missing = tmp_path / "media" / "nope"
        assert f"the medium's folder is not there: {missing}; mount" in build(
            1, "--to", "bravo", "--out", missing, *extra
        )
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(media[0])
        for again in (media[0], tmp_path / "link", f"{media[0]}/../{media[0].name}"):
            assert "given twice" in build(2, "--to", "bravo", "--out", media[0], "--out", again, *extra)
    assert not missing.parent.exists()
    gap.alpha.run("bundle", "recut", "alpha.bravo-000001", "--medium", "1", "--out", missing, expect=1)
    assert not missing.parent.exists()
    assert gap.alpha.run("bundle", "list", "--json").stdout == before


def test_the_list_of_sites_is_kept_by_hand(gap: Gap, tmp_path: Path) -> None:
    key = tmp_path / "receipt.pem"
    key.write_text(gap.bravo.run("key", "export", "receipt").stdout)
    told = gap.alpha.run("site", "add", "delta", "--receipt-key", key, "--json").json
    assert (told["site"], told["new"]) == ("delta", True)
    pinned = [one for one in gap.alpha.run("key", "list", "--json").json["trusted"] if one["keyid"] == told["keyid"]]
    assert [(one["purposes"], one["owner"], one["sites"]) for one in pinned] == [
        (["receipt"], "Station delta", ["delta"])
    ]
    assert gap.alpha.run("site", "add", "delta", "--json").json["new"] is False
    assert "delta" in [one["site"] for one in gap.alpha.run("site", "list", "--json").json["items"]]
    assert "delta" in gap.alpha.run("site", "list").stdout
    gap.alpha.run("site", "remove", "delta")
    gap.alpha.run("site", "remove", "delta", expect=1)
    gap.alpha.run("site", "add", "alpha", expect=2)
    gap.alpha.run("site", "add", "Delta!", expect=2)
    exported = gap.bravo.run("receipt", "export", "--out", tmp_path / "receipt.json")
    assert f"[!!] {tmp_path}: no mount point: a folder of this disk (mounted at " in exported.stdout
    assert exported.last_line == str(tmp_path / "receipt.json")
    acts = [event["act"] for event in gap.alpha.run("audit", "show", "--json").json["items"]]
    assert {"site.add", "site.remove"} <= set(acts)


def test_a_build_takes_patterns_lists_and_what_has_changed(gap: Gap, media: list[Path], tmp_path: Path) -> None:
    for name in ("tools/a:1", "tools/a:2", "tools/b/c:1"):
        (tmp_path / "content").write_text(name)
        gap.collect_file(tmp_path / "content", name)
    (tmp_path / "list.txt").write_text("tools/a  # both tags\ntools/b/*:1\n")
    for words in (("tools/**",), ("-f", str(tmp_path / "list.txt"))):
        told = gap.build(*words, out=media[:1], options=("--dry-run", "--json")).json
        assert [one["reference"] for one in told["chosen"]] == ["tools/a:1", "tools/a:2", "tools/b/c:1"]
    assert "tools/b/c:1" in gap.build("tools/**", out=media[:1], options=("--dry-run",)).stdout
    made = gap.build("tools/a", out=media[:1]).last_line
    told = gap.build("tools/**", out=media[:1], options=("--changed", "--dry-run", "--json")).json
    assert [(one["reference"], one["before"]) for one in told["chosen"]] == [("tools/b/c:1", None)]
    gap.build("tools/**", out=media[:1], options=("--changed",))
    nothing = gap.build("tools/**", out=media[:1], options=("--changed",))
    assert (nothing.stdout, "nothing has changed for bravo since" in nothing.stderr) == ("", True)
    shown = {one["id"]: one for one in gap.alpha.run("bundle", "list", "--json").json["items"]}
    assert (shown[Path(made).name]["standing"], shown[Path(made).name]["places"]) == ("written", [made])
    assert gap.build("tools/*", out=media[:1], options=("--changed", "--dry-run")).stdout.startswith(
        "nothing has changed"
    )
    gap.build("nowhere/**", out=media[:1], expect=1)
