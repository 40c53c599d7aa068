"""A drop folder: what is whole, what waits, and what is never touched."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import limits
from appliance.intake.drop_folder import list_folder, look
from appliance.tour.stage import Station
from tests.intake.inside import small_bundle
from tests.sftp.station import files_of

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
