"""A drop folder: what is whole, what waits, and what is never touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from appliance.control.drop_folders import DropFolder, DropFolders, _look
from appliance.intake.drop_folder import list_folder, look
from appliance.limits import transfer as limits
from appliance.settings.drop_folders import DropFolderSettings
from appliance.settings.quarantine import QuarantineSettings
from appliance.settings.station import Config
from tests.intake.inside import Inside, name_of, small_bundle
from tests.sftp.station import files_of
from tests.stage import Station

NAME = "alpha.bravo-000001"


def test_a_bundle_is_whole_when_all_is_there_that_it_names(tmp_path: Path) -> None:
    made = small_bundle(tmp_path / "made").folder
    into = tmp_path / "drop" / NAME
    (into / "volumes").mkdir(parents=True)
    before = look(into)
    assert (before.digest, before.why) == ("", "it has not come yet: SHA256SUMS")
    names = sorted(files_of(made), reverse=True)
    for name in names:
        assert look(into).digest == ""
        (into / name).write_bytes((made / name).read_bytes()[:-1])
        assert look(into).digest == ""
        (into / name).write_bytes((made / name).read_bytes())
    whole = look(into)
    assert whole.digest.startswith("sha256:")
    assert whole.why == ""
    assert look(into, whole) is whole
    (into / "volumes" / "0002.7z").unlink()
    (into / "volumes" / "0002.7z").symlink_to(made / "volumes" / "0002.7z")
    assert "links are not followed: volumes/0002.7z" in look(into, whole).why


def test_foreign_names_and_links_are_counted_and_never_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / "alpha.bravo-000002").symlink_to(tmp_path / NAME)
    (tmp_path / "alpha.bravo-000003").write_bytes(b"a file")
    (tmp_path / "other").mkdir()
    assert list_folder(tmp_path).bundles == (NAME,)
    assert (list_folder(tmp_path).others, list_folder(tmp_path).more) == (3, False)
    monkeypatch.setattr(limits, "DROP_NAMES", 2)
    assert list_folder(tmp_path).more


def test_no_number_of_others_keeps_a_bundle_from_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty folders under names that come before the bundle's."""
    monkeypatch.setattr(limits, "DROP_BUNDLES", 3)
    for number in range(10):
        (tmp_path / f"alpha.aaaa-{number:06d}").mkdir()
    shutil.copytree(small_bundle(tmp_path.parent / "made").folder, tmp_path / NAME)
    folder = DropFolder("incoming", tmp_path)
    steady = [found.name for _ in range(8) for found in _look(folder)]
    assert steady == [NAME]
    assert len(folder.found) == 11  # and all of them are told of
    shutil.rmtree(tmp_path / NAME)
    _look(folder)
    assert NAME not in folder.found


async def test_a_look_that_fails_is_told_and_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun cannot be written down: the disk is full, or somebody laid a folder there."""
    monkeypatch.setattr(limits, "DROP_LOOK", 0.0)
    drop = tmp_path / "drop"
    shutil.copytree(small_bundle(tmp_path / "made").folder, drop / NAME)
    inside = Inside(tmp_path / "bravo")
    inside.station.paths.drop_folders.mkdir(parents=True)
    begun = list[str]()

    class Begins:
        async def submit(self, kind: str, params: Any, actor: str, handed: Any) -> Any:
            begun.append(params["paths"][0])
            for _, _, descriptor in handed.descriptors:
                os.close(descriptor)
            return SimpleNamespace(id="job-1")

        def find(self, job: str) -> Any:
            return SimpleNamespace(state="running", error=None)

    config = Config(site="bravo", side="inside", drop_folders={"incoming": DropFolderSettings(path=str(drop))})
    station = SimpleNamespace(reader=inside.station.reader, config=config, paths=inside.station.paths)
    drops = DropFolders(cast(Any, station), cast(Any, Begins()))
    looking = asyncio.create_task(drops.keep_looking())
    while not drops.folders[0].fault:
        assert not looking.done()
        await asyncio.sleep(0)
    check = drops.check()
    assert check is not None
    assert check["ok"] is False
    while drops.folders[0].fault:  # the next look clears it
        await asyncio.sleep(0)
    assert (looking.done(), begun) == (False, [str(drop / NAME)])
    looking.cancel()


async def test_a_bundle_beyond_its_sources_quota_waits_and_is_not_begun(tmp_path: Path) -> None:
    inside, drop = Inside(tmp_path / "bravo"), tmp_path / "drop"
    first = small_bundle(tmp_path / "first")
    inside.trust(first.key.public)
    inside.bring(*first.folders)
    for sequence in (2, 3):
        again = small_bundle(tmp_path / str(sequence), sequence=sequence)
        shutil.copytree(again.folder, drop / again.folder.name)
    quota = QuarantineSettings(source_bytes=look(drop / "alpha.bravo-000002").size)
    folders = {"incoming": DropFolderSettings(path=str(drop))}
    config = Config(site="bravo", side="inside", drop_folders=folders, quarantine=quota)
    station = SimpleNamespace(reader=inside.station.reader, config=config, paths=inside.station.paths)
    drops = DropFolders(cast(Any, station), cast(Any, None))  # who would submit a job fails
    folder = drops.folders[0]
    for _ in range(2):
        for dropped in _look(folder):
            await drops._begin(folder, dropped)
    assert [(one["id"], one["state"]) for one in drops.bundles(folder)] == [
        ("alpha.bravo-000002", "waits"), ("alpha.bravo-000003", "waits"),
    ]  # fmt: skip
    assert all("quota" in one["why"] for one in drops.bundles(folder))
    inside.decide(name_of(), inside.officer(), "reject", "too much of it")
    assert not any("quota" in one["why"] for one in drops.bundles(folder))


async def test_a_folder_that_is_changed_without_end_keeps_no_other_out_and_fills_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DROP_LOOK", 0.0)
    monkeypatch.setattr(limits, "DROP_RATE", (1e-9, 6))
    made = small_bundle(tmp_path / "made").folder
    hostile, honest = tmp_path / "a-hostile", tmp_path / "b-honest"
    for number in range(8):
        shutil.copytree(made, hostile / f"alpha.bravo-{number:06d}")
    honest.mkdir()
    inside = Inside(tmp_path / "bravo")
    begun, ended = list[str](), set[str]()

    class Begins:
        async def submit(self, kind: str, params: Any, actor: str, handed: Any) -> Any:
            begun.append(params["paths"][0])
            for _, _, descriptor in handed.descriptors:
                os.close(descriptor)
            return SimpleNamespace(id=f"job-{len(begun)}")

        def find(self, job: str) -> Any:
            return SimpleNamespace(state="refused" if job in ended else "running", error=None)

    folders = {one.name: DropFolderSettings(path=str(one)) for one in (hostile, honest)}
    config = Config(site="bravo", side="inside", drop_folders=folders)
    station = SimpleNamespace(reader=inside.station.reader, config=config, paths=inside.station.paths)
    drops = DropFolders(cast(Any, station), cast(Any, Begins()))
    looking = asyncio.create_task(drops.keep_looking())

    async def looks(count: int) -> None:
        for _ in range(count):
            seen = drops.folders[1].listed
            while drops.folders[1].listed is seen:
                assert not looking.done()
                await asyncio.sleep(0)

    await looks(4)
    assert len(begun) == limits.DROP_AT_ONCE
    shutil.copytree(made, honest / NAME)
    await looks(4)
    assert begun[limits.DROP_AT_ONCE :] == [str(honest / NAME)]
    for number in range(20):
        ended |= {f"job-{one + 1}" for one in range(len(begun))}
        os.utime(hostile / "alpha.bravo-000000" / "README.txt", (number, number))
        await looks(2)
    assert sum(path.startswith(str(hostile)) for path in begun) == 6
    looking.cancel()


def _until(what: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_a_station_imports_what_is_whole_once_and_keeps_what_it_refused(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    good, strange = small_bundle(tmp_path / "good"), small_bundle(tmp_path / "strange", sequence=2)
    bravo = Station(tmp_path / "bravo", "bravo", "inside")
    config = tmp_path / "bravo" / "config.toml"
    config.write_text(config.read_text() + f'\n[drop_folders.incoming]\npath = "{drop}"\n')
    (tmp_path / "alpha.pem").write_bytes(good.key.public.to_pem())

    def states() -> dict[str, str]:
        (folder,) = bravo.run("sftp", "watch", "--json").json["items"]
        assert folder["fault"] == ""
        return {one["id"]: one["state"] for one in folder["bundles"]}

    with bravo:
        bravo.run("key", "trust", tmp_path / "alpha.pem", "--purpose", "bundle", "--owner", "A", "--from", "alpha")
        shutil.copytree(strange.folder, drop / strange.folder.name)
        (drop / NAME / "volumes").mkdir(parents=True)
        (drop / "notes.txt").write_text("not a bundle's")
        refused = _until(lambda: states().get(strange.folder.name) == "refused" and states())
        assert refused[NAME] == "waits"
        shutil.copytree(good.folder, drop / NAME, dirs_exist_ok=True)
        _until(lambda: states().get(NAME) == "imported")
    with bravo:
        assert _until(lambda: len(states()) == 2 and states()) == {NAME: "imported", strange.folder.name: "refused"}
        jobs = bravo.run("job", "list", "--json").json["items"]
        assert sorted((one["state"], one["actor"]) for one in jobs) == [("done", "station"), ("refused", "station")]
        assert files_of(drop / NAME) == files_of(good.folder)
        assert (drop / "notes.txt").exists()
        entries = bravo.run("intake", "list", "--json").json["items"]
        assert [one["state"] for one in entries] == ["quarantined"]
        checks = {one["name"]: one["ok"] for one in bravo.run("status", "--json").json["health"]["checks"]}
        assert checks["drop-folders"] is False
