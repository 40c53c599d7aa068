"""The rule about changes of duty, in its transactions: who may do what alone, what 72 hours mean, and what ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.api.states import ROLES
from appliance.limits import control as limits
from appliance.permissions import is_guarded
from appliance.store.database import open_writer
from appliance.store.reads import credentials
from appliance.store.writer import LocalWriter
from appliance.store.writes import pending_changes
from appliance.store.writes.access import (
    BindKey,
    BindUid,
    CreateAccount,
    DisableAccount,
    EnableAccount,
    GrantRole,
    SetPassword,
    WithdrawRole,
)
from appliance.store.writes.duties import ChangeAccount, ConfirmChange, EndChange, FirstOfficer, ShowChanges, TakeEffect
from appliance.store.writes.pending_changes import Change
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.times import later

WORDS = {
    "SetPassword": "password", "BindUid": "uid", "BindKey": "bind-key", "EnableAccount": "enable",
    "GrantRole": "grant", "DisableAccount": "disable", "WithdrawRole": "withdraw",
}  # fmt: skip
T0 = "2026-06-01T00:00:00Z"


def at(seconds: int) -> str:
    return later(T0, timedelta(seconds=seconds))


class Station:
    """A database with accounts, and its one writer."""

    def __init__(self, path: Path) -> None:
        self.db: sqlite3.Connection = open_writer(path)
        self.writer = LocalWriter(self.db)
        self.number = 0

    def person(self, name: str, *roles: str) -> None:
        self.writer.submit(CreateAccount(name=name, kind="person", full_name="", password="old", at=T0))
        for role in roles:
            self.writer.submit(GrantRole(account=name, role=role))

    def ask(self, change: Change, actor: str = "ada", time: int = 0, starts: int | None = None) -> str:
        """The change's id; its state is in `state`."""
        self.number += 1
        what = WORDS[type(change).__name__]
        self.writer.submit(
            ChangeAccount(
                id=str(self.number),
                what=what,
                detail="{}",
                change=change,
                actor=actor,
                at=at(time),
                how=pending_changes.how_of(self.db, change, actor),
                starts=at(time if starts is None else starts),
            )
        )
        return str(self.number)

    def confirm(self, change_id: str, actor: str, time: int = 1) -> None:
        self.writer.submit(ConfirmChange(id=change_id, actor=actor, at=at(time)))

    def due(self, change_id: str) -> str | None:
        return pending_changes.due_of(self.db, pending_changes.find(self.db, change_id))

    def password(self, name: str) -> str:
        return str(self.db.execute("SELECT password FROM accounts WHERE name = ?", (name,)).fetchone()[0])


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "metadata.sqlite")
    made.person("ada", "administrator")
    made.person("anna", "security-officer")
    made.writer.submit(FirstOfficer(officer="anna", at=T0))
    yield made
    made.db.close()


def password(name: str = "anna") -> SetPassword:
    return SetPassword(account=name, password="new", at=T0)


def test_the_guarded_roles_follow_from_what_roles_give() -> None:
    assert {role for role in ROLES if is_guarded(role)} == {"security-officer", "administrator"}


def test_before_a_first_officer_called_the_first_administrator_acts_alone(tmp_path: Path) -> None:
    station = Station(tmp_path / "metadata.sqlite")
    station.person("ada", "administrator")
    station.person("anna")
    for change in (GrantRole(account="anna", role="security-officer"), password(), BindUid(account="anna", uid=7)):
        assert pending_changes.how_of(station.db, change, "ada") == "alone"
        station.ask(change)
    assert station.password("anna") == "new"
    assert [change.how for change in pending_changes.unshown(station.db)] == ["alone"] * 3
    station.db.close()


@pytest.mark.parametrize(
    "change",
    [
        password(), BindUid(account="anna", uid=7), BindKey(account="anna", keyid="0" * 16, at=T0),
        GrantRole(account="anna", role="security-officer", pattern="a/*"),
        GrantRole(account="new", role="administrator"),
        GrantRole(account="new", role="security-officer", pattern="nothing/there"), password("ada"),
    ],
    ids=lambda change: f"{type(change).__name__}-{change.account}",
)  # fmt: skip
def test_afterwards_each_such_change_waits(station: Station, change: Change) -> None:
    station.person("new")
    station.person("adam", "administrator")
    asked_by = "adam" if change.account == "ada" else "ada"
    assert pending_changes.how_of(station.db, change, asked_by) == "waits"
    before = list(station.db.iterdump())
    change_id = station.ask(change, asked_by)
    besides = ('INSERT INTO "account_changes"', 'INSERT INTO "commits"')  # how many commits there were is no change
    assert [line for line in station.db.iterdump() if line not in before and not line.startswith(besides)] == []
    with pytest.raises(RefusedError):
        station.confirm(change_id, asked_by)
    with pytest.raises(RefusedError):
        station.confirm(change_id, "new")


def test_what_takes_power_away_or_gives_none_is_done_at_once(station: Station) -> None:
    station.person("carl", "courier")
    station.writer.submit(BindUid(account="anna", uid=9))
    for change in (
        BindUid(account="anna", uid=None), DisableAccount(account="anna", at=T0), password("carl"),
        GrantRole(account="carl", role="reader"), WithdrawRole(account="anna", role="security-officer"),
        EnableAccount(account="anna"),
    ):  # fmt: skip
        assert pending_changes.how_of(station.db, change, "ada") == "plain", change
        station.ask(change)


def test_with_one_administrator_it_takes_effect_after_72_hours(station: Station) -> None:
    change_id = station.ask(password())
    assert station.due(change_id) == at(limits.DUTY_WAIT)
    with pytest.raises(RefusedError, match="not due"):
        station.writer.submit(TakeEffect(id=change_id, at=at(limits.DUTY_WAIT - 1)))
    assert station.password("anna") == "old"
    assert station.writer.submit(TakeEffect(id=change_id, at=at(limits.DUTY_WAIT))) is True
    assert station.password("anna") == "new"
    assert station.db.execute("SELECT change, how FROM account_changes").fetchall() == [("", "delay")]


def test_a_floor_that_is_ahead_makes_the_wait_longer(station: Station) -> None:
    change_id = station.ask(password(), time=0, starts=3600)
    assert station.due(change_id) == at(limits.DUTY_WAIT + 3600)


def test_with_a_second_administrator_no_time_is_enough(station: Station) -> None:
    station.person("adam", "administrator")
    change_id = station.ask(password())
    assert station.due(change_id) is None
    with pytest.raises(RefusedError, match="not due"):
        station.writer.submit(TakeEffect(id=change_id, at=at(10 * limits.DUTY_WAIT)))
    with pytest.raises(RefusedError, match="over"):
        station.confirm(change_id, "adam", limits.DUTY_EXPIRES + 1)
    station.writer.submit(EndChange(id=change_id, state="expired", actor="station", at=at(limits.DUTY_EXPIRES + 1)))
    with pytest.raises(FailedError, match="expired"):
        station.confirm(change_id, "adam")


@pytest.mark.parametrize("how", ["disable", "withdraw"])
def test_removing_the_second_administrator_begins_the_wait_anew(station: Station, how: str) -> None:
    station.person("adam", "administrator")
    change_id = station.ask(password())
    late = limits.DUTY_WAIT - 60
    gone: Change = DisableAccount(account="adam", at=at(late)) if how == "disable" else WithdrawRole(
        account="adam", role="administrator")  # fmt: skip
    station.ask(gone, time=late)
    assert station.due(change_id) == at(late + limits.DUTY_WAIT)
    with pytest.raises(RefusedError):
        station.confirm(change_id, "adam")


def test_an_administrator_made_by_waiting_is_no_second_one_until_a_release_showed_it(station: Station) -> None:
    station.person("puppet")
    made = station.ask(GrantRole(account="puppet", role="administrator"))
    station.writer.submit(TakeEffect(id=made, at=at(limits.DUTY_WAIT)))
    change_id = station.ask(password())
    with pytest.raises(RefusedError, match="waiting alone"):
        station.confirm(change_id, "puppet")
    assert station.due(change_id) is not None
    further = station.ask(GrantRole(account="anna", role="security-officer", pattern="b/*"), "puppet")
    with pytest.raises(RefusedError, match="waiting alone"):
        station.confirm(further, "ada")
    station.writer.submit(ShowChanges(ids=(made,), bundle="a.b-000001"))
    station.confirm(change_id, "puppet")
    assert station.password("anna") == "new"


def test_a_grant_that_waits_guards_the_account_already(station: Station) -> None:
    station.person("eve")
    assert pending_changes.how_of(station.db, password("eve"), "ada") == "plain"
    station.ask(GrantRole(account="eve", role="security-officer"))
    assert pending_changes.how_of(station.db, password("eve"), "ada") == "waits"
    with pytest.raises(RefusedError):
        station.confirm("1", "eve")


def test_who_was_disabled_meanwhile_gets_nothing_by_waiting(station: Station) -> None:
    station.person("adam", "administrator")
    change_id = station.ask(password())
    station.ask(DisableAccount(account="ada", at=at(5)), "adam", 5)
    with pytest.raises(RefusedError):
        station.writer.submit(TakeEffect(id=change_id, at=at(3 * limits.DUTY_WAIT)))


def test_a_change_that_can_no_longer_be_done_ends_and_changes_nothing(station: Station) -> None:
    change_id = station.ask(BindUid(account="anna", uid=7))
    station.person("carl")
    station.writer.submit(BindUid(account="carl", uid=7))
    assert station.writer.submit(TakeEffect(id=change_id, at=at(limits.DUTY_WAIT))) is False
    assert pending_changes.find(station.db, change_id).state == "failed"
    assert station.db.execute("SELECT uid FROM accounts WHERE name = 'anna'").fetchone() == (None,)


def test_what_could_not_be_done_is_not_kept(station: Station) -> None:
    station.person("carl", "courier")
    with pytest.raises(LockgateError):
        station.ask(GrantRole(account="carl", role="security-officer"))
    assert pending_changes.waiting(station.db) == []


def test_a_decision_that_no_longer_holds_is_not_carried_out(station: Station) -> None:
    station.person("eve")
    station.ask(GrantRole(account="eve", role="security-officer"))
    stale = ChangeAccount(
        id="x", what="password", detail="{}", change=password("eve"), actor="ada", how="plain", at=T0, starts=T0
    )
    with pytest.raises(FailedError, match="meanwhile"):
        station.writer.submit(stale)
    assert station.password("eve") == "old"


def test_at_a_grant_what_another_had_set_waits_and_what_the_person_set_stays(station: Station) -> None:
    station.person("adam", "administrator")
    station.person("eve")
    station.writer.submit(SetPassword(account="eve", password="hers", at=T0, by="eve"))
    station.writer.submit(BindUid(account="eve", uid=9, at=T0, by="ada"))
    station.writer.submit(BindKey(account="eve", keyid="1" * 16, at=T0, by="adam"))
    grant = station.ask(GrantRole(account="eve", role="security-officer"))
    station.confirm(grant, "adam")
    assert station.password("eve") == "hers"
    assert [(one.what, one.set_by) for one in credentials.of_account(station.db, "eve")] == [("password", "eve")]
    waits = {one.what: one for one in pending_changes.waiting(station.db)}
    assert {what: one.asked_by for what, one in waits.items()} == {"uid": "ada", "bind-key": "adam"}
    with pytest.raises(RefusedError):
        station.confirm(waits["bind-key"].id, "adam")
    station.confirm(waits["bind-key"].id, "ada")
    station.confirm(waits["uid"].id, "eve")
    assert [one.confirmed_by for one in credentials.of_account(station.db, "eve")] == ["", "eve", "ada"]
    further = station.ask(GrantRole(account="eve", role="security-officer", pattern="b/*"))
    station.confirm(further, "adam")
    assert pending_changes.waiting(station.db) == []


def test_a_credential_that_nobody_is_known_to_have_set_counts_as_anothers(station: Station) -> None:
    station.person("adam", "administrator")
    station.person("eve")
    station.db.execute("DELETE FROM credentials")
    station.confirm(station.ask(GrantRole(account="eve", role="security-officer")), "adam")
    (waits,) = pending_changes.waiting(station.db)
    assert (waits.what, waits.asked_by) == ("password", "ada")
    assert station.db.execute("SELECT password FROM accounts WHERE name = 'eve'").fetchone() == (None,)


def test_by_waiting_a_grant_takes_its_credentials_with_it_and_a_release_shows_them(station: Station) -> None:
    station.person("eve")
    grant = station.ask(GrantRole(account="eve", role="security-officer"))
    station.writer.submit(TakeEffect(id=grant, at=at(limits.DUTY_WAIT)))
    assert station.password("eve") == "old"
    assert {(one.what, one.how) for one in pending_changes.unshown(station.db)} == {
        ("grant", "delay"),
        ("password", "before"),
    }
    assert pending_changes.waiting(station.db) == []


def test_what_is_confirmed_under_anothers_log_in_counts_as_anothers(station: Station) -> None:
    station.person("adam", "administrator")
    station.person("eve")
    grant = station.ask(GrantRole(account="eve", role="security-officer"))
    station.confirm(station.ask(BindKey(account="eve", keyid="1" * 16, at=T0, by="ada")), "eve")
    station.confirm(grant, "adam")
    assert {one.what for one in pending_changes.waiting(station.db)} == {"password", "bind-key"}


def test_who_changes_a_password_under_anothers_shows_it(station: Station) -> None:
    station.person("eve")
    station.writer.submit(SetPassword(account="eve", password="given", at=T0, by="ada"))
    station.writer.submit(SetPassword(account="eve", password="hers", at=at(1), by="eve"))
    (held,) = credentials.of_account(station.db, "eve")
    assert (held.set_by, held.under, held.is_foreign) == ("eve", "ada", False)


def test_what_took_effect_ends_what_was_asked_for_earlier(station: Station) -> None:
    station.person("adam", "administrator")
    first, second = station.ask(password(), time=1), station.ask(password(), "adam", 2)
    key = station.ask(BindKey(account="anna", keyid="1" * 16, at=T0), time=1)
    station.confirm(second, "ada", 3)
    assert pending_changes.find(station.db, first).state == "cancelled"
    assert pending_changes.find(station.db, key).state == "waits"
    third = station.ask(password(), time=5)
    station.ask(SetPassword(account="anna", password="hers", at=at(6), by="anna"), "anna", 6)
    assert pending_changes.find(station.db, third).state == "cancelled"
    older, newer = station.ask(password(), time=7), station.ask(password(), time=8)
    station.confirm(older, "anna", 9)
    assert pending_changes.find(station.db, newer).state == "waits"


def test_who_may_confirm_is_named_and_nobody_who_cannot(station: Station) -> None:
    change_id = station.ask(password())
    found = pending_changes.find(station.db, change_id)
    assert pending_changes.confirmers(station.db, found) == ["anna"]
    assert "72 hours after it was asked for: no second administrator" in pending_changes.remedy_of(station.db, found)
    station.writer.submit(DisableAccount(account="anna", at=T0))
    assert pending_changes.confirmers(station.db, found) == []
    assert pending_changes.remedy_of(station.db, found).startswith("it takes effect at ")
    station.person("adam", "administrator")
    assert pending_changes.remedy_of(station.db, found) == "ask adam"
    station.writer.submit(DisableAccount(account="adam", at=T0))
    assert pending_changes.confirmers(station.db, found) == []


def test_only_so_much_waits(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DUTIES_WAITING", 2)
    station.ask(password())
    station.ask(password())
    with pytest.raises(RefusedError, match="too many"):
        station.ask(password())
