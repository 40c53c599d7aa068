"""What a primary says of its stand-by, and a folder of its role."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.control.standby import StandbyWatch
from appliance.paths import StationPaths
from appliance.settings.faults import faults
from appliance.settings.standby import StandbySettings
from appliance.settings.station import Config
from appliance.standby.documents import PRIMARY, Role
from appliance.standby.role import new_role, require_own_account, write_role
from bundles.errors import RefusedError
from bundles.signing.keys import create_private, save_private


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    made = StationPaths(tmp_path / "bravo")
    made.keys.mkdir(parents=True)
    save_private(made.keys / "audit.pem", create_private(), None)
    return made


def watch(paths: StationPaths, exchange: str = "/mnt/standby", hours: tuple[str, ...] = ()) -> StandbyWatch:
    config = Config(site="bravo", side="inside", standby=StandbySettings(exchange=exchange, hours=hours))
    return StandbyWatch(config, paths)


def write(paths: StationPaths, **fields: object) -> Role:
    return write_role(paths, msgspec.structs.replace(new_role("bravo", "/mnt/standby"), **fields))


def value(paths: StationPaths, name: str) -> float:
    (found,) = watch(paths).gauges()[f"lockgate_standby_{name}"][1].values()
    return found


def test_a_primary_tells_how_far_behind_its_stand_by_is(paths: StationPaths) -> None:
    assert watch(paths, exchange="").check() is None
    assert not any(values for _, values in watch(paths).gauges().values())
    write(paths, number=3, created=clock.now(), heard=clock.after(-100), term=2, role=PRIMARY)
    told = watch(paths).check()
    assert told is not None
    assert told["ok"]
    assert 100 <= value(paths, "lag_seconds") < 3700
    assert (value(paths, "up"), value(paths, "term")) == (1, 2)


@pytest.mark.parametrize(
    ("fields", "well"),
    [
        ({}, True), ({"fault": "the exchange is not there"}, False),
        ({"created": "2026-01-01T00:00:00Z"}, True),
        ({"created": "2026-01-01T00:00:00Z", "heard": "2026-01-01T00:00:00Z"}, False),
        ({"created": "2026-01-01T00:00:00Z", "heard": "2026-01-01T00:00:00Z", "fault": "a\x1b[2J"}, False),
    ],
)  # fmt: skip
def test_a_stand_by_that_is_late_or_a_state_that_cannot_be_written_is_not_well(
    paths: StationPaths, fields: dict[str, str], well: bool
) -> None:
    write(paths, **fields)
    told = watch(paths).check()
    assert told is not None
    assert (told["name"], told["ok"]) == ("stand-by", well)
    assert "\x1b" not in told["detail"]


def test_in_hours_of_rest_a_stand_by_is_not_late(paths: StationPaths) -> None:
    write(paths, created="2026-01-01T00:00:00Z", heard="2026-01-01T00:00:00Z")
    told = watch(paths, hours=("22:00-23:00",)).check()
    assert told is not None
    assert told["ok"]


def test_a_role_that_somebody_changed_is_not_well(paths: StationPaths) -> None:
    write(paths)
    paths.standby_role.write_bytes(paths.standby_role.read_bytes().replace(b'"term":1', b'"term":2'))
    told = watch(paths).check()
    assert told is not None
    assert not told["ok"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('side = "outside"\n[standby]\nexchange = "/mnt/x"', "standby.exchange"),
        ('side = "inside"\n[standby]\nexchange = "mnt/x"', "standby.exchange"),
        ('side = "inside"\n[standby]\nevery = 1', "standby.every"),
        ('side = "inside"\n[standby]\nhours = ["25:00-26:00"]', "standby.hours"),
        ('side = "inside"\n[standby]\nrate = -1', "standby.rate"),
        ('side = "inside"\n[standby]\nfolder = "/mnt/x"', "standby.folder"),
        ('side = "inside"\n[metadata]\nurl = "postgresql:///lockgate?host=/run/pg"\n[standby]\nexchange = "/mnt/x"',
         "standby.exchange"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(text: str, key: str) -> None:
    assert [fault.key for fault in faults(f'site = "bravo"\n{text}\n'.encode())] == [key]


def test_another_account_than_the_folders_writes_nothing_there(paths: StationPaths) -> None:
    require_own_account(paths.root)
    for folder in ("/proc/1", "/"):
        if Path(folder).stat().st_uid != os.geteuid():
            with pytest.raises(RefusedError) as caught:
                require_own_account(Path(folder))
            assert caught.value.code == "standby-account"
    if os.geteuid() == 0:
        os.chown(paths.root, 12345, -1)
        with pytest.raises(RefusedError):
            require_own_account(paths.root)
