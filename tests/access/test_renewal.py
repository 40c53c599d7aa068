"""The server's certificate renews itself: before it ends, for the same names and key, recorded, and in one step."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from appliance.access.certificates import SERVER, is_due, load, make_ca, make_server, names_of, recertify_server
from appliance.access.tls import server_context
from appliance.audit.acts import Act
from appliance.control.renewal import renew_if_due
from appliance.limits import access as limits
from appliance.paths import StationPaths
from appliance.settings.access import TlsSettings
from appliance.settings.station import Config
from bundles.errors import FailedError, UsageError
from tests.control.test_who_may_call import Played, a_station

CONFIG = Config(site="bravo", side="inside")
NAMES = ["registry.bravo.example", "10.0.0.5", "::1"]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, days: float) -> StationPaths:
    """A station's TLS folder whose certificate was made as one of so many days."""
    paths = StationPaths(folder)
    make_ca(paths, "bravo")
    monkeypatch.setattr(limits, "SERVER_DAYS", days)
    make_server(paths, NAMES)
    monkeypatch.setattr(limits, "SERVER_DAYS", 397)
    return paths


@pytest.mark.parametrize(("days", "due"), [(397, False), (46, False), (16, False), (0.2, True), (-0.5, True)])
def test_it_is_due_in_the_last_third_of_a_short_life(
    days: float, due: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_due(CONFIG, made(tmp_path, monkeypatch, days)) is due


@pytest.mark.parametrize(("left", "due"), [(timedelta(days=45, seconds=1), False), (timedelta(days=44), True)])
def test_it_is_due_forty_five_days_before_its_end(
    left: timedelta, due: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = made(tmp_path, monkeypatch, 397)
    assert is_due(CONFIG, paths, load(paths.tls / SERVER).not_valid_after_utc - left) is due


def test_a_new_one_is_for_the_same_names_and_key_and_of_the_same_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = made(tmp_path, monkeypatch, 0.2)
    old, key = load(paths.tls / SERVER), (paths.tls / "server.key").read_bytes()
    ended = recertify_server(paths)
    new = load(paths.tls / SERVER)
    assert (names_of(new), new.public_key(), new.issuer) == (names_of(old), old.public_key(), old.issuer)
    assert new.serial_number != old.serial_number
    assert ended.days in (396, 397)
    assert (paths.tls / "server.key").read_bytes() == key, "a cut in between leaves a pair that fits"
    new.verify_directly_issued_by(load(paths.tls / "ca.pem"))
    assert {type(one.value) for one in new.extensions} == {type(one.value) for one in old.extensions}
    assert server_context(CONFIG, paths).verify_mode == ssl.CERT_NONE
    assert not is_due(CONFIG, paths)


def test_what_is_not_the_stations_own_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = made(tmp_path, monkeypatch, 0.2)
    own: Any = Config(site="bravo", side="inside", tls=TlsSettings(certificate="tls/site.pem", key="tls/site.key"))
    assert not is_due(own, paths)
    assert not is_due(Config(site="bravo", side="inside", open=True), paths)
    (paths.tls / "ca.key").rename(paths.tls / "away.key")
    assert not is_due(CONFIG, paths), "the CA's key is elsewhere"
    with pytest.raises(UsageError):
        recertify_server(paths)
    (paths.tls / "away.key").rename(paths.tls / "ca.key")
    make_ca(paths, "charlie")
    assert not is_due(CONFIG, paths), "another CA: people decide"


def test_under_a_ca_that_is_over_nothing_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CA_DAYS", -0.5)
    assert not is_due(CONFIG, made(tmp_path, monkeypatch, 0.2))


async def test_it_is_recorded_before_it_happens_and_only_where_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_station(tmp_path, Played("administrator"), open_=False) as (control, audit):
        paths = made(control.station.paths.root, monkeypatch, 0.2)
        seen: list[x509.Certificate] = []
        real = audit.record

        def record(event: Any) -> None:
            seen.append(load(paths.tls / SERVER))
            real(event)

        monkeypatch.setattr(audit, "record", record)
        old = load(paths.tls / SERVER)
        assert await renew_if_due(control)
        assert not await renew_if_due(control)
    said = [(one.act, one.actor, one.outcome) for one in audit.events]
    assert said == [(Act.TLS_RENEW, "station", "done"), (Act.TLS_RELOAD, "station", "done")]
    assert audit.events[0].detail["names"] == names_of(old)
    assert seen[0] == old
    assert seen[1] != old


async def test_what_cannot_be_recorded_is_not_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_station(tmp_path, Played("administrator"), open_=False) as (control, audit):
        paths = made(control.station.paths.root, monkeypatch, 0.2)

        def full(_: object) -> None:
            raise FailedError("the audit log cannot be written")

        monkeypatch.setattr(audit, "record", full)
        old = load(paths.tls / SERVER)
        with pytest.raises(FailedError):
            await renew_if_due(control)
        assert load(paths.tls / SERVER) == old
