"""Log-ins on the control socket: they end after silence, after a shift, and with anything that happens to the account;
who has none is known by the system account that calls, and what a key approved counts as its holder's."""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance import clock
from appliance.access.identity import MARK, Known, StationIdentity
from appliance.access.passwords import HashingThreads, hash_secret, new_secret
from appliance.api.errors import LOG_IN_OVER, NO_ACCOUNT
from appliance.audit.event import AuditEvent
from appliance.audit.port import MemoryAudit
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs import queue
from appliance.jobs.service import Jobs
from appliance.limits import access as limits
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.access import (
    BindKey,
    BindUid,
    CreateAccount,
    DisableAccount,
    GrantRole,
    RevokeTokens,
    SetPassword,
    UnbindKey,
    WithdrawRole,
)
from appliance.store.writes.tokens import AddSecret, RevokeToken
from bundles.errors import FailedError
from bundles.signing.keys import PrivateKey
from tests.access.site import HASH, PASSWORD
from tests.control.test_who_may_call import served
from tests.intake.inside import Inside, name_of, small_bundle
from tests.job_starter import NoStarter


@dataclasses.dataclass
class Desk:
    """The control API of a station with accounts; the clock's hand of its log-ins."""

    inside: Inside
    client: aiohttp.ClientSession
    audit: MemoryAudit
    moment: list[float]
    control: Control

    def person(self, name: str, *roles: str, uid: int | None = None) -> str:
        self.inside.writer.submit(
            CreateAccount(name=name, kind="person", full_name="", password=HASH, uid=uid, at=clock.now())
        )
        for role in roles:
            self.inside.writer.submit(GrantRole(account=name, role=role, pattern="**"))
        return name

    def robot(self, name: str, *roles: str) -> tuple[str, str]:
        """A robot's secret, and the secret's id."""
        secret_id = "0123456789abcdef"
        secret = f"{MARK}{secret_id}_{new_secret()}"
        self.inside.writer.submit(CreateAccount(name=name, kind="robot", full_name="", at=clock.now()))
        self.inside.writer.submit(
            AddSecret(account=name, id=secret_id, hash=hash_secret(secret), at=clock.now(), expires=clock.after(3600))
        )
        for role in roles:
            self.inside.writer.submit(GrantRole(account=name, role=role, pattern="**"))
        return secret, secret_id

    async def robot_in(self, name: str, secret: str) -> dict[str, str]:
        body = {"account": name, "password": secret, "kind": "robot"}
        status, document = await self.ask("POST", "/v1/session", {}, body)
        assert status == 200, document
        return {"Authorization": f"Bearer {document['session']}"}

    async def log_in(self, name: str, password: str = PASSWORD) -> dict[str, str]:
        """What a client sends from then on."""
        status, document = await self.ask("POST", "/v1/session", {}, {"account": name, "password": password})
        assert status == 200, document
        return {"Authorization": f"Bearer {document['session']}"}

    async def ask(
        self, method: str, path: str, headers: dict[str, str], body: Any = None, **query: str
    ) -> tuple[int, Any]:
        async with self.client.request(method, path, headers=headers, json=body, params=query) as answer:
            return answer.status, await answer.json()

    async def good(self, headers: dict[str, str]) -> bool:
        status, document = await self.ask("GET", "/v1/session", headers)
        assert status == 200 or document["code"] == LOG_IN_OVER, document
        return status == 200


@asynccontextmanager
async def a_desk(root: Path) -> AsyncIterator[Desk]:
    with Inside(root / "bravo", open_=False) as inside:
        audit, moment = MemoryAudit(), [1000.0]
        station = dataclasses.replace(inside.station, audit=audit)
        writer, accounts, threads = AsyncWriterService(inside.writer), Accounts(station.reader), HashingThreads()
        callers = Callers(station.config, accounts, lambda: moment[0])
        identity = StationIdentity(accounts, writer, threads, SharedEpoch(station.paths.database))
        control = Control(
            station, writer, Jobs(station, writer, NoStarter()), "127.0.0.1:0", callers, identity=identity
        )
        async with served(application(control), root) as client:
            yield Desk(inside, client, audit, moment, control)
        threads.close()


async def test_a_silent_log_in_ends_and_each_call_keeps_it_for_so_long_again(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        session = await desk.log_in("alice")
        for _ in range(3):
            desk.moment[0] += limits.SESSION_IDLE - 1
            assert await desk.good(session)
        desk.moment[0] += limits.SESSION_IDLE + 1
        assert not await desk.good(session)
        desk.moment[0] -= limits.SESSION_IDLE
        assert not await desk.good(session), "what is over stays over"


async def test_a_log_in_is_not_silent_while_it_follows_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "RUNNING", 0)  # the job waits until it is cancelled
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "collector")
        session = await desk.log_in("alice")
        job = await desk.control.jobs.submit("scrub", {}, "alice")
        async with desk.client.get(f"/v1/jobs/{job.id}/events", headers=session) as following:
            desk.moment[0] += limits.SESSION_IDLE - 1
            await desk.control.jobs.cancel(job.id, "alice")
            await following.read()
        desk.moment[0] += limits.SESSION_IDLE - 1
        assert await desk.good(session)


async def test_a_robot_logs_in_by_its_secret_where_it_says_that_it_is_one(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        secret, _ = desk.robot("robot-ci", "collector")
        for body in (
            {"account": "robot-ci", "password": secret},  # as the console asks
            {"account": "robot-ci", "password": PASSWORD, "kind": "robot"},
            {"account": "alice", "password": PASSWORD, "kind": "robot"},
            {"account": "robot-no", "password": secret, "kind": "robot"},
        ):
            status, document = await desk.ask("POST", "/v1/session", {}, body)
            assert (status, document["what"].startswith("wrong name or ")) == (403, True), body
        session = await desk.robot_in("robot-ci", secret)
        status, document = await desk.ask("GET", "/v1/session", session)
        assert (status, document["account"], document["kind"]) == (200, "robot-ci", "robot")
        assert {"build", "sign"} <= set(document["permissions"])


@pytest.mark.parametrize("how", ["revoked", "over", "disabled", "every log-in revoked"])
async def test_a_robots_log_in_ends_with_its_secret(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_desk(tmp_path) as desk:
        secret, secret_id = desk.robot("robot-ci", "collector")
        session = await desk.robot_in("robot-ci", secret)
        assert await desk.good(session)
        if how == "over":
            monkeypatch.setattr("appliance.clock.now", lambda: "2999-01-01T00:00:00Z")
        else:
            ends = {
                "revoked": RevokeToken(id=secret_id, at=clock.now()),
                "disabled": DisableAccount(account="robot-ci", at=clock.now()),
                "every log-in revoked": RevokeTokens(account="robot-ci", at=clock.now()),
            }
            desk.inside.writer.submit(ends[how])
        assert not await desk.good(session)


async def test_many_log_ins_of_one_account_end_its_own_oldest_and_nobody_elses(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        desk.person("bob", "reader")
        account = desk.control.accounts.find("alice")
        assert account is not None
        his, first = await desk.log_in("bob"), await desk.log_in("alice")
        for _ in range(limits.SESSIONS):
            desk.moment[0] += 0.01
            last = desk.control.callers.log_in(Known(account))
        assert await desk.good(his)
        assert not await desk.good(first)
        assert await desk.good({"Authorization": f"Bearer {last}"})


async def test_a_log_in_ends_after_a_shift_however_busy_it_was(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        session = await desk.log_in("alice")
        for _ in range(int(limits.SESSION_LIFE // 600)):
            desk.moment[0] += 600
            assert await desk.good(session)
        desk.moment[0] += 600
        assert not await desk.good(session)


@pytest.mark.parametrize("what", ["disabled", "a new password", "a log-out", "a restart"])
async def test_a_log_in_ends_with_what_it_stood_on(what: str, tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        session, other = await desk.log_in("alice"), await desk.log_in("alice")
        assert await desk.good(session)
        if what == "a log-out":
            assert (await desk.ask("DELETE", "/v1/session", session))[0] == 200
            assert await desk.good(other), "another log-in of hers goes on"
        elif what == "a restart":
            desk.control.callers = Callers(desk.inside.station.config, desk.control.accounts)
        else:
            desk.inside.writer.submit(
                {
                    "disabled": DisableAccount(account="alice", at=clock.now()),
                    "a new password": SetPassword(account="alice", password=HASH, at=clock.now()),
                }[what]
            )
        assert not await desk.good(session)


async def test_a_role_that_is_taken_away_is_gone_from_the_next_call_on(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader", "auditor")
        session = await desk.log_in("alice")
        assert (await desk.ask("GET", "/v1/audit", session))[0] == 200
        desk.inside.writer.submit(WithdrawRole(account="alice", role="auditor"))
        assert (await desk.ask("GET", "/v1/audit", session))[0] == 403
        assert await desk.good(session)


@pytest.mark.parametrize("sent", ["Bearer ", "Bearer nonsense", "Basic YWxpY2U6eA==", "Bearer  {}", "bearer {}x"])
async def test_a_header_that_is_no_session_is_not_helped_by_the_uid_behind_it(sent: str, tmp_path: Path) -> None:
    """Root's own account is not what a wrong session falls back to."""
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        desk.person("root-of-it", "administrator", uid=os.getuid())
        assert (await desk.ask("GET", "/v1/session", {}))[1]["account"] == "root-of-it"
        session = (await desk.log_in("alice"))["Authorization"].removeprefix("Bearer ")
        assert not await desk.good({"Authorization": sent.format(session)})


async def test_a_system_account_is_the_account_bound_to_it_while_it_is(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        status, document = await desk.ask("GET", "/v1/session", {})
        assert (status, document["code"]) == (403, NO_ACCOUNT)
        assert [event.outcome for event in desk.audit.events] == ["refused"]
        desk.person("alice", "reader", uid=os.getuid())
        assert (await desk.ask("GET", "/v1/session", {}))[1]["account"] == "alice"
        desk.inside.writer.submit(BindUid(account="alice", uid=None))
        assert (await desk.ask("GET", "/v1/session", {}))[0] == 403
        desk.inside.writer.submit(BindUid(account="alice", uid=os.getuid()))
        desk.inside.writer.submit(DisableAccount(account="alice", at=clock.now()))
        assert (await desk.ask("GET", "/v1/session", {}))[0] == 403


# A key is somebody's.


async def decide(desk: Desk, session: dict[str, str], key: PrivateKey, decision: str = "approve") -> tuple[int, Any]:
    """Draft, sign and hand in a decision, as a client does."""
    path, query = f"/v1/intake/{name_of()}/approval", {"decision": decision, "why": "because"}
    status, document = await desk.ask("GET", path, session, None, keyid=key.public.keyid, **query)
    assert status == 200, document
    signature = base64.b64encode(key.sign(base64.b64decode(document["payload"]))).decode()
    body = {"payload": document["payload"], "keyid": key.public.keyid, "signature": signature}
    return await desk.ask("POST", path, session, body)


@asynccontextmanager
async def a_hearing(root: Path) -> AsyncIterator[tuple[Desk, dict[str, PrivateKey], dict[str, dict[str, str]]]]:
    """A bundle in quarantine; two officers, each with a log-in and a key that is pinned for releases."""
    async with a_desk(root) as desk:
        carried = small_bundle(root / "carried")
        desk.inside.trust(carried.key.public)
        desk.inside.bring(carried.folder)
        names = [desk.person(name, "security-officer") for name in ("bob", "carol")]
        keys = {name: desk.inside.officer(name.title()) for name in names}
        yield desk, keys, {name: await desk.log_in(name) for name in names}


async def test_an_approval_counts_as_its_holders_whoever_hands_it_in(tmp_path: Path) -> None:
    async with a_hearing(tmp_path) as (desk, keys, sessions):
        status, document = await decide(desk, sessions["bob"], keys["bob"])
        assert (status, document["what"]) == (403, "the key stands for nobody here"), "a key that is nobody's"
        for name, key in keys.items():
            desk.inside.writer.submit(BindKey(account=name, keyid=key.public.keyid, at=clock.now()))
        assert [event.act for event in desk.audit.events if event.outcome == "refused"] == ["intake.decide"]
        status, document = await decide(desk, sessions["bob"], keys["carol"])
        assert (status, [entry["owner"] for entry in document["decisions"]]) == (200, ["carol"]), "whoever hands it in"
        assert document["state"] == "quarantined", "one of two"
        await decide(desk, sessions["bob"], keys["carol"])
        assert desk.inside.state(name_of()) == "quarantined", "the same person again"
        status, document = await decide(desk, sessions["bob"], keys["bob"])
        assert (status, document["state"]) == (200, "approved")


async def test_a_second_key_of_the_same_person_is_no_second_person(tmp_path: Path) -> None:
    async with a_hearing(tmp_path) as (desk, keys, sessions):
        spare = desk.inside.officer("Bob's other name")
        for key in (keys["bob"], spare):
            desk.inside.writer.submit(BindKey(account="bob", keyid=key.public.keyid, at=clock.now()))
        assert (await decide(desk, sessions["bob"], keys["bob"]))[0] == 200
        await decide(desk, sessions["bob"], spare)
        assert desk.inside.state(name_of()) == "quarantined"


async def test_a_key_that_was_taken_from_somebody_decides_nothing_more(tmp_path: Path) -> None:
    async with a_hearing(tmp_path) as (desk, keys, _):
        keyid = keys["bob"].public.keyid
        desk.inside.writer.submit(BindKey(account="bob", keyid=keyid, at=clock.now()))
        desk.inside.writer.submit(UnbindKey(account="bob", keyid=keyid))
        session = await desk.log_in("bob")
        assert (await decide(desk, session, keys["bob"], "reject"))[0] == 403
        assert desk.inside.state(name_of()) == "quarantined"


class FullLog:
    """An audit log on a full disk."""

    def record(self, event: AuditEvent) -> None:
        raise FailedError("the audit log cannot be written", thing=str(event.act))


async def test_a_log_in_that_cannot_be_recorded_opens_no_session(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("anna", "auditor")
        desk.control.station = dataclasses.replace(desk.control.station, audit=FullLog())
        status, document = await desk.ask("POST", "/v1/session", {}, {"account": "anna", "password": PASSWORD})
        assert (status, document["what"]) == (409, "the audit log cannot be written")
        assert "session" not in document
        assert desk.control.callers._sessions == {}
        desk.control.station = dataclasses.replace(desk.control.station, audit=desk.audit)
        assert await desk.good(await desk.log_in("anna"))
