"""Accounts, roles, keys, uids, passwords and secrets are what the audit log tells of, or are found; and nobody decides
by an account that somebody changed with the database's file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance import clock
from appliance.access.identity import StationIdentity
from appliance.access.passwords import HashingThreads, hash_secret
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control import duties
from appliance.control.accounts_by_log import AccountsByLog
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs.service import Jobs
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.release_check import changed_deeds as module
from appliance.release_check import explained_accounts as explained_module
from appliance.release_check.changed_deeds import changed_deeds
from appliance.release_check.explained_accounts import ExplainedAccounts
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.access import CreateAccount, FirstAdministrator, GrantRole
from appliance.store.writes.write import AsyncGuarded
from bundles.signing.keys import create_private
from tests.access.site import HASH, PASSWORD
from tests.control.test_who_may_call import served
from tests.intake.inside import Inside
from tests.job_starter import NoStarter
from tests.passwords import hash_password

OTHER = "another password of some length"
OTHER_HASH = hash_password(OTHER)
PEOPLE = {"ada": "administrator", "adam": "administrator", "anna": "security-officer", "carl": "reader"}


@dataclass
class Desk:
    """The control API of a closed station with accounts, its log in files."""

    inside: Inside
    client: aiohttp.ClientSession
    control: Control

    async def log_in(self, name: str, password: str = PASSWORD) -> dict[str, str]:
        body = {"account": name, "password": password}
        async with self.client.post("/v1/session", json=body) as answer:
            document = await answer.json()
            assert answer.status == 200, document
            return {"Authorization": f"Bearer {document['session']}"}

    async def kept_out(self, name: str, password: str = PASSWORD) -> str:
        """Why a log-in is refused."""
        async with self.client.post("/v1/session", json={"account": name, "password": password}) as answer:
            assert answer.status == 403
            return str(await answer.json())

    async def post(self, who: dict[str, str], path: str, **body: Any) -> Any:
        async with self.client.post(path, headers=who, json=body) as answer:
            document = await answer.json()
            assert answer.status == 200, document
            return document

    async def refused(self, who: dict[str, str], path: str = "/v1/accounts") -> str:
        """Why a call is refused, "" where it is not."""
        async with self.client.get(path, headers=who) as answer:
            document = await answer.json()
            assert answer.status in (200, 403), document
            return str(document) if answer.status == 403 else ""

    def sql(self, statement: str, *values: object) -> None:
        """Whoever has the file."""
        edit(self.inside.station.paths.database, statement, *values)

    def found(self) -> list[tuple[str, str]]:
        return [(one["thing"], one["found"]) for one in changed_deeds(self.inside.station)]

    async def again(self) -> None:
        """As after a start."""
        self.control.by_log = AccountsByLog()
        await self.control.by_log.ensure(self.inside.station)


def edit(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as intruder:
        intruder.execute(statement, values)
        intruder.commit()


@asynccontextmanager
async def a_desk(root: Path) -> AsyncIterator[Desk]:
    with Inside(root / "bravo", open_=False) as inside:
        if not Accounts(inside.station.reader).exist():
            people(inside)
        station, accounts, threads = inside.station, Accounts(inside.station.reader), HashingThreads()
        writer = AsyncGuarded(AsyncWriterService(inside.writer))
        explained = ExplainedAccounts(station.paths, station.config.site, station.reader)
        identity = StationIdentity(accounts, writer, threads, SharedEpoch(station.paths.database), explained)
        control = Control(
            station, writer, Jobs(station, writer, NoStarter()), "127.0.0.1:0", Callers(station.config, accounts),
            identity=identity, by_log=AccountsByLog(explained),
            called=duties.note_caller,
        )  # fmt: skip
        async with served(application(control), root) as client:
            yield Desk(inside, client, control)
        threads.close()


def people(inside: Inside) -> None:
    """Accounts from before the log had a base."""
    inside.writer.submit(FirstAdministrator(name="ada", full_name="", password=HASH, uid=None, at=clock.now()))
    for name, role in PEOPLE.items():
        if name != "ada":
            inside.writer.submit(CreateAccount(name=name, kind="person", full_name="", password=HASH, at=clock.now()))
            inside.writer.submit(GrantRole(account=name, role=role))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLES", 0)


def prune(inside: Inside, out: Path) -> None:
    for number in range(16):
        inside.station.audit.record(AuditEvent(Act.JOB_READ, "ada", str(number), "done", {"pad": "x" * 400}))
    export.export(inside.station.paths, out, {}, site="bravo", at=clock.now())
    assert prune_log(inside.station.paths, out)[0] > 0


@pytest.mark.parametrize("pruned", [False, True])
async def test_what_people_do_to_accounts_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruned: bool
) -> None:
    """Everything that the control API does to an account, and again behind a cut of the log."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    async with a_desk(tmp_path) as desk:
        ada, adam = await desk.log_in("ada"), await desk.log_in("adam")
        assert await desk.refused(ada) == ""
        key = create_private()
        desk.inside.trust(key.public, "release", "Anna")
        await desk.post(ada, "/v1/accounts", name="eve", password=PASSWORD, full_name="Eve", uid=4711)
        await desk.post(ada, "/v1/accounts/eve/grant", role="reader", pattern="team/*")
        await desk.post(ada, "/v1/accounts/eve/grant", role="reader", pattern="other/*")
        await desk.post(ada, "/v1/accounts/eve/withdraw", role="reader")
        await desk.post(ada, "/v1/accounts/eve/grant", role="writer", pattern="team/*")
        await desk.post(ada, "/v1/accounts/eve/grant", role="writer", pattern="other/*")
        await desk.post(ada, "/v1/accounts/eve/withdraw", role="writer", pattern="team/*")
        await desk.post(ada, "/v1/accounts/eve/bind-key", keyid=key.public.keyid)
        robot = await desk.post(ada, "/v1/accounts", kind="robot", name="robot-ci", full_name="", days=9)
        rotated = await desk.post(ada, "/v1/accounts/robot-ci/secret", days=9, overlap_seconds=60)
        await desk.post(ada, f"/v1/tokens/{robot['secret_id']}/revoke")
        await desk.post(ada, "/v1/accounts/carl/disable")
        await desk.post(ada, "/v1/accounts/carl/enable")
        await desk.post(ada, "/v1/accounts/carl/password", password=OTHER)
        assert desk.found() == []
        anna = await desk.log_in("anna")
        assert await desk.refused(anna, "/v1/intake") == ""  # from now on no administrator acts alone
        waits = (await desk.post(ada, "/v1/accounts/anna/password", password=OTHER))["waits"]
        assert desk.found() == []
        if pruned:
            prune(desk.inside, tmp_path / "first")
            await desk.again()
            assert desk.found() == []
        await desk.post(anna, f"/v1/account-changes/{waits['id']}/confirm")
        assert desk.found() == []
        cancelled = (await desk.post(ada, "/v1/accounts/anna/uid", uid=4712))["waits"]
        await desk.post(adam, f"/v1/account-changes/{cancelled['id']}/cancel")
        waits = (await desk.post(ada, "/v1/accounts/eve/grant", role="security-officer"))["waits"]
        then = (await desk.post(adam, f"/v1/account-changes/{waits['id']}/confirm"))["then"]
        assert {one["what"] for one in then} == {"password", "uid", "bind-key"}  # ada had set them
        assert desk.found() == []
        if pruned:
            prune(desk.inside, tmp_path / "second")
        for one in then:
            await desk.post(adam, f"/v1/account-changes/{one['id']}/confirm")
        await desk.again()
        assert desk.found() == []
        assert len(desk.inside.events("accounts.base")) <= 1, "a base is recorded once"
        assert rotated["secret_id"] != robot["secret_id"]
        for statement, thing in (
            ("UPDATE account_keys SET account = 'carl'", f"that the key {key.public.keyid} stands for carl"),
            ("UPDATE robot_secrets SET revoked = NULL", f"the secret {robot['secret_id']} of robot-ci"),
            ("INSERT INTO grants VALUES ('eve', 'reader', 'team/*')", "that eve is reader on team/*"),
        ):
            desk.sql(statement)
            assert (thing, "unexplained") in desk.found()


EDITS = {
    "a role that is gone": ("DELETE FROM grants WHERE account = 'anna'", "that anna is security-officer on **",
                            "missing"),
    "an account that is gone": ("DELETE FROM accounts WHERE name = 'dora'", "the account dora", "missing"),
    "a role": ("INSERT INTO grants VALUES ('carl', 'security-officer', '**')",
               "that carl is security-officer on **", "unexplained"),
    "a wider role": ("UPDATE grants SET pattern = 'all/*' WHERE account = 'carl'", "that carl is reader on all/*",
                     "unexplained"),
    "another password": (f"UPDATE accounts SET password = '{OTHER_HASH}' WHERE name = 'anna'", "the password of anna",
                         "changed"),
    "another's record": ("UPDATE accounts SET password = (SELECT password FROM accounts WHERE name = 'dora')"
                         " WHERE name = 'anna'", "the password of anna", "changed"),
    "who tells who it is": ("INSERT INTO directory_accounts VALUES ('anna', '')",
                            "that the directory tells who anna is", "unexplained"),
    "a uid": ("UPDATE accounts SET uid = 4711 WHERE name = 'anna'", "that uid 4711 calls for anna", "unexplained"),
    "a key": ("INSERT INTO account_keys VALUES ('0123456789abcdef', 'anna', '')",
              "that the key 0123456789abcdef stands for anna", "unexplained"),
    "an account": ("INSERT INTO accounts VALUES ('mallory', 'person', '', 'x', NULL, NULL, 1, '')",
                   "the account mallory", "unexplained"),
    "a robot's secret": (f"INSERT INTO robot_secrets VALUES ('ff', 'robot-ci', '{hash_secret('x')}', '',"
                         " '2999-01-01T00:00:00Z', NULL)", "the secret ff of robot-ci", "unexplained"),
    "a secret's end": ("UPDATE robot_secrets SET expires = '2999-01-01T00:00:00Z'",
                       "the secret SECRET of robot-ci", "changed"),
    "a secret's record": (f"UPDATE robot_secrets SET hash = '{hash_secret('x')}'", "the secret SECRET of robot-ci",
                          "changed"),
    "a robot made a person": ("UPDATE accounts SET kind = 'person' WHERE name = 'robot-ci'", "the account robot-ci",
                              "changed"),
    "who was disabled": ("UPDATE accounts SET disabled = NULL WHERE name = 'dora'", "that dora may log in",
                         "unexplained"),
    "a change that waits": ("INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked,"
                            " starts) VALUES ('ffffffff', 'carl', 'grant', '{}', '{\"type\":\"GrantRole\",\"account\":"
                            "\"carl\",\"role\":\"administrator\"}', 'waits', 'ada', '', '')",
                            "the change ffffffff of carl that waits", "unexplained"),
    "what waits": ("UPDATE account_changes SET change = replace(change, '4713', '0') WHERE state = 'waits'",
                   "the change CHANGE of adam that waits", "changed"),
    "a password that waits": ("UPDATE account_changes SET change = 'x' WHERE state = 'waits'",
                              "the change CHANGE of adam that waits", "unexplained"),
}  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A station with a robot, somebody who is disabled and a change that waits; its folder, and their ids."""
    folder, names = tmp_path_factory.mktemp("accounts"), {}

    async def make() -> None:
        async with a_desk(folder) as desk:
            ada = await desk.log_in("ada")
            robot = await desk.post(ada, "/v1/accounts", kind="robot", name="robot-ci", full_name="", days=9)
            await desk.post(ada, "/v1/accounts", name="dora", password=PASSWORD)
            await desk.post(ada, "/v1/accounts/dora/disable")
            await desk.refused(await desk.log_in("anna"), "/v1/intake")
            waits = (await desk.post(ada, "/v1/accounts/adam/uid", uid=4713))["waits"]
            names.update(SECRET=robot["secret_id"], CHANGE=waits["id"])

    asyncio.run(make())
    return folder / "bravo", names


def test_a_row_that_no_event_explains_is_found(template: tuple[Path, dict[str, str]]) -> None:
    root, names = template
    with Inside(root) as inside:
        database = inside.station.paths.database
        with closing(sqlite3.connect(":memory:")) as kept:
            with closing(sqlite3.connect(database)) as before:
                before.backup(kept)
            assert changed_deeds(inside.station) == []
            for edited, (statement, about, how) in EDITS.items():
                edit(database, statement)
                thing = about.replace("SECRET", names["SECRET"]).replace("CHANGE", names["CHANGE"])
                found = [(one["thing"], one["found"]) for one in changed_deeds(inside.station)]
                if edited == "a wider role":  # the one that the log gives is gone
                    assert found.pop() == ("that carl is reader on **", "missing")
                assert found == [(thing, how)], edited
                with closing(sqlite3.connect(database)) as after:
                    kept.backup(after)


async def test_nobody_decides_by_an_account_that_was_changed_by_hand(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        ada, adam, anna, carl = [await desk.log_in(name) for name in ("ada", "adam", "anna", "carl")]
        assert await desk.refused(ada) == ""
        assert await desk.refused(anna, "/v1/intake") == ""
        desk.sql("INSERT INTO grants VALUES ('carl', 'administrator', '**')")
        assert "by the audit log that carl is administrator" in await desk.refused(carl)
        desk.sql("INSERT INTO accounts VALUES ('mallory', 'person', '', ?, NULL, NULL, 1, '')", OTHER_HASH)
        desk.sql("INSERT INTO grants VALUES ('mallory', 'administrator', '**')")
        assert "the account mallory is unexplained" in await desk.kept_out("mallory", OTHER)
        desk.sql("UPDATE accounts SET password = ? WHERE name = 'adam'", OTHER_HASH)
        assert "the password of adam is changed" in await desk.refused(adam)
        # What is changed by hand does not explain itself: the next password is not set by it, nothing is confirmed.
        body = {"old": OTHER, "password": PASSWORD}
        async with desk.client.post("/v1/accounts/adam/password", headers=adam, json=body) as answer:
            assert answer.status == 403
            assert "the password of adam" in await answer.text()
        waits = (await desk.post(ada, "/v1/accounts/anna/uid", uid=4711))["waits"]
        async with desk.client.post(f"/v1/account-changes/{waits['id']}/confirm", headers=adam) as answer:
            assert answer.status == 403
        assert {event["outcome"] for event in desk.inside.events("account.password")} == {"refused"}
        assert await desk.refused(ada) == ""
        refusals = desk.inside.events("account")
        assert {event["actor"] for event in refusals} == {"carl", "adam"}
        # What an administrator does about it is an event, and explains what stands from then on.
        await desk.post(ada, "/v1/accounts/carl/withdraw", role="administrator")
        await desk.post(ada, "/v1/accounts/mallory/disable")
        assert [one for one in desk.found() if "adam" not in one[0]] == []
        assert "may not" in await desk.refused(carl), "he is a reader again"
        assert await desk.refused(carl, "/v1/status") == ""


LOG_INS = {
    "a role": "INSERT INTO grants VALUES ('carl', 'maintainer', '**')",
    "a wider role": "UPDATE grants SET pattern = 'all/*' WHERE account = 'carl'",
    "another password": f"UPDATE accounts SET password = '{OTHER_HASH}' WHERE name = 'carl'",
    "a uid": "UPDATE accounts SET uid = 4711 WHERE name = 'carl'",
    "a key": "INSERT INTO account_keys VALUES ('0123456789abcdef', 'carl', '')",
    "another's account": "UPDATE accounts SET name = 'karl' WHERE name = 'carl'",
}
"""By hand, to log in as carl, or as karl."""


async def test_nobody_logs_in_as_an_account_that_was_changed_by_hand(tmp_path: Path) -> None:
    """Nor with a role that opens no decision; everybody else does, and an administrator sets it right."""
    async with a_desk(tmp_path) as desk:
        ada = await desk.log_in("ada")
        assert await desk.refused(ada) == ""  # now the log has its base
        for edited, statement in LOG_INS.items():
            with closing(sqlite3.connect(":memory:")) as kept:
                database = desk.inside.station.paths.database
                with closing(sqlite3.connect(database)) as before:
                    before.backup(kept)
                await desk.log_in("carl")
                desk.sql(statement)
                name, password = {"another's account": ("karl", PASSWORD), "another password": ("carl", OTHER)}.get(
                    edited, ("carl", PASSWORD)
                )
                for _ in range(2):
                    assert "by the audit log" in await desk.kept_out(name, password), edited
                with closing(sqlite3.connect(database)) as after:
                    kept.backup(after)
        assert "refused" in {event["outcome"] for event in desk.inside.events("session.login")}
        desk.sql(LOG_INS["another password"])
        desk.sql(LOG_INS["a role"])
        await desk.post(ada, "/v1/accounts/carl/withdraw", role="maintainer")
        await desk.post(ada, "/v1/accounts/carl/password", password=PASSWORD)
        await desk.log_in("carl")
        # An earlier password that is put back by hand opens nothing.
        await desk.post(ada, "/v1/accounts/carl/password", password=OTHER)
        desk.sql("UPDATE accounts SET password = ? WHERE name = 'carl'", HASH)
        assert "the password of carl is changed" in await desk.kept_out("carl")


async def test_a_uid_that_was_bound_by_hand_calls_for_nobody(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        assert await desk.refused(await desk.log_in("ada")) == ""
        desk.sql("UPDATE accounts SET uid = ? WHERE name = 'carl'", os.getuid())
        assert "calls for carl" in await desk.refused({}, "/v1/status")
        (event,) = desk.inside.events("call")
        assert event["outcome"] == "refused"


async def test_the_log_is_read_once_for_many_log_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    real = explained_module.read_log

    def counted(*args: Any, **named: Any) -> Any:
        reads.append(1)
        return real(*args, **named)

    monkeypatch.setattr(explained_module, "read_log", counted)
    async with a_desk(tmp_path) as desk:
        ada = await desk.log_in("ada")
        assert await desk.refused(ada) == ""
        reads.clear()
        for name in PEOPLE:
            await desk.log_in(name)
        assert len(reads) <= 1
        desk.sql("INSERT INTO grants VALUES ('carl', 'maintainer', '**')")
        for _ in range(3):
            await desk.kept_out("carl")
        await desk.post(ada, "/v1/accounts/carl/withdraw", role="maintainer")
        await desk.log_in("carl")
        assert len(reads) <= 1, "who is refused does not make the station read its log with each attempt"


async def test_a_base_is_recorded_once_and_again_after_a_restore(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        for _ in range(2):
            await desk.again()
        assert len(desk.inside.events("accounts.base")) == 1
        desk.sql("INSERT INTO grants VALUES ('carl', 'maintainer', '**')")
        assert desk.found() == [("that carl is maintainer on **", "unexplained")]
        desk.inside.shut()
        assert [one for one in desk.found() if "carl" in one[0]] == [], "of a copy the log cannot know"
        await desk.again()
        assert len(desk.inside.events("accounts.base")) == 2
        desk.sql("INSERT INTO grants VALUES ('carl', 'writer', '**')")
        assert desk.found() == [("that carl is writer on **", "unexplained")]


async def test_a_change_that_a_kill_undid_locks_nobody_out(tmp_path: Path) -> None:
    """Its event was recorded, and the process died before the transaction."""
    async with a_desk(tmp_path) as desk:
        ada = await desk.log_in("ada")
        assert await desk.refused(ada) == ""
        say = desk.inside.station.audit.record
        say(AuditEvent(Act.ACCOUNT_PASSWORD, "adam", "ada", "done", {"mark": "0" * 64}))
        say(AuditEvent(Act.ACCOUNT_GRANT, "ada", "carl", "done", {"role": "writer", "pattern": "**"}))
        say(AuditEvent(Act.ACCOUNT_CREATE, "ada", "eve", "done", {"kind": "person", "mark": ""}))
        assert desk.found() == [
            ("the password of ada", "changed"), ("that carl is writer on **", "missing"),
            ("the account eve", "missing"),
        ]  # fmt: skip
        await desk.again()
        assert desk.found() == []
        assert desk.inside.events("account.password")[-1]["detail"]["takes_back"]
        assert await desk.refused(ada) == ""
        # What is older than the log's last seconds was done: a row that shows something else was changed by hand.
        say(AuditEvent(Act.ACCOUNT_PASSWORD, "adam", "ada", "done", {"mark": "0" * 64}))
        desk.control.by_log = AccountsByLog(began=clock.micros() + 60_000_000)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("appliance.control.accounts_by_log._IN_FLIGHT", -1)
            await desk.control.by_log.ensure(desk.inside.station)
        assert desk.found() == [("the password of ada", "changed")]


async def test_a_review_says_who_holds_what_since_when(tmp_path: Path) -> None:
    """To administrators and auditors; to nobody else, and that is recorded."""
    async with a_desk(tmp_path) as desk:
        ada, before = await desk.log_in("ada"), clock.now()
        await desk.post(ada, "/v1/accounts/carl/grant", role="writer", pattern="**")
        await desk.post(ada, "/v1/accounts", name="olga", password=PASSWORD)
        await desk.post(ada, "/v1/accounts/olga/grant", role="auditor")
        async with desk.client.get("/v1/access-review", headers=ada, params={"limit": "3"}) as answer:
            first = await answer.json()
        async with desk.client.get("/v1/access-review", headers=ada, params={"after": first["next"]}) as answer:
            accounts = {one["name"]: one for one in [*first["items"], *(await answer.json())["items"]]}
        assert sorted(accounts) == sorted([*PEOPLE, "olga"])
        roles = {one["role"]: one["since"] for one in accounts["carl"]["roles"]}
        assert roles["reader"] is None
        assert roles["writer"] >= before
        assert "writes-everywhere" in accounts["carl"]["concerns"]
        assert accounts["ada"]["seen"] is not None
        assert HASH not in str(accounts)
        async with desk.client.get("/v1/access-review/exposure", headers=ada) as answer:
            assert (await answer.json())["exposed"] == []
        carl, olga = await desk.log_in("carl"), await desk.log_in("olga")
        for path in ("/v1/access-review", "/v1/access-review/exposure"):
            assert await desk.refused(olga, path) == ""
            assert await desk.refused(carl, path) != ""


async def test_a_robot_whose_secret_cannot_be_made_is_not_made(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        ada = await desk.log_in("ada")
        body = {"kind": "robot", "name": "robot-ci", "full_name": "", "days": 900}
        async with desk.client.post("/v1/accounts", headers=ada, json=body) as answer:
            assert answer.status == 400
        assert Accounts(desk.inside.station.reader).find("robot-ci") is None
