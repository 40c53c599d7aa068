"""What changes of duty take is asked of the audit log too: nobody who has the database's file ends the 72 hours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control import duties
from appliance.control.api import Control
from appliance.limits import control as limits
from appliance.store.writer import AsyncWriterService
from appliance.store.writes import pending_changes
from appliance.store.writes.access import CreateAccount, GrantRole, SetPassword
from appliance.store.writes.duties import ChangeAccount, FirstOfficer
from appliance.store.writes.write import AsyncGuarded
from bundles.io.times import later
from tests.intake.inside import Inside


class Desk:
    """The control process's part of a closed station with one administrator and one officer."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "bravo", open_=False)
        self.control = self.process()
        for name, role in (("ada", "administrator"), ("anna", "security-officer")):
            self.inside.writer.submit(
                CreateAccount(name=name, kind="person", full_name="", password="old", at=clock.now())
            )
            self.inside.writer.submit(GrantRole(account=name, role=role))

    def process(self) -> Control:
        """As after a start."""
        writer = AsyncGuarded(AsyncWriterService(self.inside.writer))
        nothing = cast(Any, None)
        return Control(self.inside.station, writer, nothing, "", nothing)

    def say(self, act: Act, thing: str, **detail: object) -> None:
        self.inside.station.audit.record(AuditEvent(act, "ada", thing, "done", detail))

    def call(self) -> None:
        """The officer calls for the first time."""
        self.say(Act.ACCOUNT_FIRST_OFFICER, "anna")
        self.inside.writer.submit(FirstOfficer(officer="anna", at=clock.now()))

    def sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.inside.station.paths.database) as intruder:
            intruder.execute(statement, values)
        intruder.close()

    def ask(self) -> str:
        """The administrator asks for a new password of the officer; its id."""
        self.say(Act.ACCOUNT_ASK, "anna", change="password", id="0badcafe")
        change, now = SetPassword(account="anna", password="new", at=clock.now()), clock.now()
        self.inside.writer.submit(
            ChangeAccount(
                id="0badcafe", what="password", detail="{}", change=change, actor="ada", how="waits", at=now, starts=now
            )
        )
        return "0badcafe"

    async def look(self) -> str:
        """What the password is, after the station has looked whether the change is due."""
        await duties._look(self.control, pending_changes.find(self.inside.station.reader, "0badcafe"))
        row = self.inside.station.reader.execute("SELECT password FROM accounts WHERE name = 'anna'").fetchone()
        return str(row[0])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with made.inside:
        yield made


async def test_a_first_officer_has_called_whatever_the_database_says(desk: Desk) -> None:
    desk.call()
    desk.sql("DELETE FROM duties")
    assert await duties.has_called(desk.control)
    reader = desk.inside.station.reader
    assert pending_changes.first_officer(reader) == "anna", "the row is back"
    change = SetPassword(account="anna", password="new", at=clock.now())
    desk.sql("DELETE FROM duties")
    assert pending_changes.how_of(reader, change, "ada", called=True) == "waits"
    assert await duties.has_called(desk.control)


async def test_a_station_on_which_none_called_is_asked_once(desk: Desk) -> None:
    assert not await duties.has_called(desk.control)
    assert desk.control.asked_log
    assert desk.inside.events("account.first-officer") == []


async def test_a_call_that_an_earlier_version_did_not_record_is_recorded(desk: Desk) -> None:
    desk.inside.writer.submit(FirstOfficer(officer="anna", at=clock.now()))
    assert await duties.has_called(desk.control)
    desk.sql("DELETE FROM duties")
    assert await duties.has_called(desk.process())


async def test_a_change_that_was_made_older_by_hand_waits_its_hours(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.call()
    desk.ask()
    long_ago = later(clock.now(), timedelta(seconds=-limits.DUTY_WAIT - 60))
    desk.sql("UPDATE account_changes SET starts = ?, asked = ?", long_ago, long_ago)
    assert await desk.look() == "old"
    in_time = later(clock.now(), timedelta(seconds=limits.DUTY_WAIT + 60))
    monkeypatch.setattr(duties, "clock", SimpleNamespace(now=lambda: in_time))
    assert await desk.look() == "new"


async def test_a_change_that_nobody_asked_for_takes_no_effect(desk: Desk) -> None:
    desk.call()
    desk.ask()
    long_ago = later(clock.now(), timedelta(seconds=-limits.DUTY_WAIT - 60))
    desk.sql("UPDATE account_changes SET id = '00000000', starts = ?, asked = ?", long_ago, long_ago)
    await duties._look(desk.control, pending_changes.find(desk.inside.station.reader, "00000000"))
    assert pending_changes.find(desk.inside.station.reader, "00000000").state == "waits"


async def test_the_hours_begin_anew_when_an_administrator_went_whatever_the_rows_say(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.call()
    desk.ask()
    began = later(clock.now(), timedelta(seconds=limits.DUTY_WAIT - 60))
    monkeypatch.setattr("appliance.audit.lane.clock", SimpleNamespace(
        now=lambda: began, micros=lambda: clock.seconds(began) * 1_000_000, seconds=clock.seconds
    ))  # fmt: skip
    desk.say(Act.ACCOUNT_DISABLE, "adam", how="alone")
    in_time = later(clock.now(), timedelta(seconds=limits.DUTY_WAIT + 60))
    monkeypatch.setattr(duties, "clock", SimpleNamespace(now=lambda: in_time))
    assert await desk.look() == "old"
