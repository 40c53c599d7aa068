"""The settings of transfer hosts, limits and windows of time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from appliance.settings.faults import faults
from appliance.settings.transfer_hosts import TransferHostSettings, split_address
from appliance.sftp.names import check_bundle, find_host
from appliance.sftp.pace import Pace, opens
from bundles.errors import UsageError

_STATION = 'site = "bravo"\nside = "inside"\n'
_PRINT = "SHA256:" + "A" * 43
_HOST = f'address = "sftp.example"\nuser = "lockgate"\nhost_keys = ["{_PRINT}"]\n'


def _faults(text: str) -> list[str]:
    return [fault.key for fault in faults((_STATION + text).encode())]


def test_a_whole_transfer_host_has_no_fault() -> None:
    more = 'key = "keys/x"\nfolder = "/in"\nrate = 1000000\nparallel = 2\nhours = ["22:00-05:30"]\ncompare = false\n'
    assert _faults(f"[transfer_hosts.drop]\n{_HOST}{more}") == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('address = "a b"', "address"), ('address = "sftp.example:0"', "address"), ('user = "a b"', "user"),
        ('host_keys = ["MD5:aa"]', "host_keys"), ('host_keys = []', "host_keys"), ('folder = "../up"', "folder"),
        ('hours = ["25:00-26:00"]', "hours"), ('hours = ["22:00-22:00"]', "hours"), ("rate = -1", "rate"),
        ("parallel = 0", "parallel"), ('agent = "agent"', "agent"), ('through = "drop"', "through"),
        ('through = "nobody"', "through"), ('certificate = "x"', "certificate"), ('passwort = "x"', "passwort"),
        ("password = \"secret\"", "password"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(line: str, key: str) -> None:
    kept = "".join(one + "\n" for one in _HOST.splitlines() if not one.startswith(key))
    assert _faults(f"[transfer_hosts.drop]\n{kept}{line}\n") == [f"transfer_hosts.drop.{key}"]


def test_a_drop_folder_is_an_inside_stations_and_has_a_whole_path() -> None:
    folder = '[drop_folders.incoming]\npath = "/srv/incoming"\n'
    assert _faults(folder) == []
    assert _faults('[drop_folders.incoming]\npath = "srv/../x"\n') == ["drop_folders.incoming.path"]
    assert _faults("[drop_folders.incoming]\n") == ["drop_folders.incoming.path"]
    outside = f'site = "alpha"\nside = "outside"\n{folder}'
    assert [fault.key for fault in faults(outside.encode())] == ["drop_folders.incoming"]


def test_hosts_that_are_reached_through_one_another_are_a_fault() -> None:
    text = "".join(f'[transfer_hosts.{a}]\n{_HOST}through = "{b}"\n' for a, b in (("a", "b"), ("b", "a")))
    assert set(_faults(text)) == {"transfer_hosts.a.through", "transfer_hosts.b.through"}


def test_a_secret_in_the_file_is_no_setting() -> None:
    assert _faults(f'[transfer_hosts.drop]\n{_HOST}passphrase = "x"\n') == ["transfer_hosts.drop.passphrase"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.example", "a.example", 22),
        ("a.example:2022", "a.example", 2022),
        ("[::1]:22", "::1", 22),
        ("[::1]", "::1", 22),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert split_address(text) == (host, port)


def test_a_host_is_found_by_its_name_with_or_without_a_folder() -> None:
    hosts = {"drop": TransferHostSettings(address="a", user="u", folder="/in/")}
    assert find_host(hosts, "drop")[2] == "/in"
    assert find_host(hosts, "drop:other/")[2] == "other"
    assert find_host(hosts, "drop:/")[2] == "/"
    for wrong in ("drop2", "", "../drop", "drop:a/../b", "drop:a\nb"):
        with pytest.raises(UsageError):
            find_host(hosts, wrong)
    with pytest.raises(UsageError):
        check_bundle("../alpha.bravo-000001")


def test_windows_of_time_over_midnight_and_not() -> None:
    hours = ("22:00-05:30", "12:00-13:00")

    def at(hour: int, minute: int) -> datetime | None:
        return opens(hours, datetime(2026, 6, 1, hour, minute, tzinfo=UTC))

    assert at(23, 0) is None
    assert at(5, 29) is None
    assert at(12, 30) is None
    assert at(5, 30) == datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    assert at(13, 0) == datetime(2026, 6, 1, 22, 0, tzinfo=UTC)
    assert opens(("03:00-04:00",), datetime(2026, 6, 1, 5, 0, tzinfo=UTC)) == datetime(2026, 6, 2, 3, 0, tzinfo=UTC)
    assert opens((), datetime(2026, 6, 1, tzinfo=UTC)) is None


def test_a_limit_of_bytes_is_kept_over_any_number_of_pieces() -> None:
    moment = 0.0

    def sleep(seconds: float) -> None:
        nonlocal moment
        moment += seconds

    pace = Pace(1000, lambda: moment, sleep)
    for _ in range(100):
        pace.take(100)
    assert moment == pytest.approx(10.0, abs=0.3)
