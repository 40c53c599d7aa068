"""Log-ins: locks with back-off, no hint who exists, argon2id off the event loop, and storms that cost no pull."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance import clock
from appliance.access import passwords
from appliance.access.identity import LockedError, StationIdentity
from appliance.access.passwords import BusyError, HashingThreads
from appliance.access.rate_limits import Buckets
from appliance.addresses import origin_of
from appliance.limits import access as limits
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.access import DisableAccount
from appliance.store.writes.logins import ForgetFailures
from appliance.store.writes.tokens import RevokeToken
from bundles.oci.digest import Digest
from tests.access.site import PASSWORD, Site, ask_token, basic, bearer, post_token, token

PULL = "repository:team/app:pull"
NAMES = ("alice", "nobody-here")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_locked_after_failures_whether_it_exists_or_not(site: Site, name: str) -> None:
    server = site.worker()
    site.person("alice", "reader")
    answers = [server.ask("GET", "/v2/", headers=basic(name, f"wrong {n}")) for n in range(limits.LOGIN_FREE + 2)]
    assert [answer.status for answer in answers] == [401] * (limits.LOGIN_FREE + 1) + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    accounts = Accounts(Metadata(site.paths.database).connection)
    assert accounts.locked_until(name, clock.now()) is not None


def test_the_right_password_does_not_open_a_locked_name_and_an_administrator_does(site: Site) -> None:
    server = site.worker()
    site.person("alice", "reader")
    for number in range(limits.LOGIN_FREE + 3):
        server.ask("GET", "/v2/", headers=basic("alice", f"wrong {number}"))
    assert server.ask("GET", "/v2/", headers=basic("alice")).status == 429
    site.submit(ForgetFailures(name="alice"))
    assert server.ask("GET", "/v2/", headers=basic("alice")).status == 200


@contextlib.contextmanager
def identity(site: Site) -> Iterator[StationIdentity]:
    """A worker's identities, to be asked without HTTP."""
    threads = HashingThreads()
    try:
        yield StationIdentity(
            Accounts(Metadata(site.paths.database).connection),
            AsyncWriterService(site.writer),
            threads,
            SharedEpoch(site.paths.database),
        )
    finally:
        threads.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was hashed, in order."""
    seen: list[str] = []
    real = passwords.verify

    def watched(stored: str | None, text: str, *, robot: bool) -> bool:
        seen.append(text)
        return real(stored, text, robot=robot)

    monkeypatch.setattr("appliance.access.identity.verify", watched)
    return seen


async def test_wrong_passwords_in_any_number_delay_no_log_in_from_elsewhere(site: Site, hashed: list[str]) -> None:
    site.person("alice", "reader", hashed=passwords.hash_password(PASSWORD))
    with identity(site) as asked:
        flood = [asyncio.create_task(asked.identify("alice", f"wrong {n}", "192.0.2.1")) for n in range(300)]
        while not hashed:
            await asyncio.sleep(0)
        before = len(hashed)
        known = await asked.identify("alice", PASSWORD, "192.0.2.2")
        assert known is not None
        assert hashed.index(PASSWORD) <= before + 1, "it waits for no hash but the one that runs"
        outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == limits.LOGIN_FREE + 1
    assert all(isinstance(outcome, LockedError) for outcome in outcomes if outcome is not None)


async def test_nothing_is_hashed_for_an_address_without_attempts_left(site: Site, hashed: list[str]) -> None:
    with identity(site) as asked:
        for name in range(2 * int(limits.FAILURE_RATE[1])):
            with contextlib.suppress(LockedError):
                await asked.identify(f"robot-{name}", "wrong", "192.0.2.1")
    assert int(limits.FAILURE_RATE[1]) <= len(hashed) < int(limits.FAILURE_RATE[1]) + 20


async def test_a_login_that_holds_costs_no_attempt(site: Site) -> None:
    robots = [site.robot(f"robot-{n}", "reader") for n in range(2 * int(limits.FAILURE_RATE[1]))]
    with identity(site) as asked:
        known = await asyncio.gather(*(asked.identify(name, secret, "192.0.2.1") for name, secret, _ in robots))
    assert None not in known


async def test_an_addresss_waiting_logins_have_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_WAITING", 3)
    with identity(site) as asked:
        outcomes = await asyncio.gather(
            *(asked.identify(f"robot-{n}", "wrong", "192.0.2.1") for n in range(9)), return_exceptions=True
        )
        assert sum(isinstance(outcome, BusyError) for outcome in outcomes) == 6
        assert await asked.identify("robot-x", "wrong", "192.0.2.2") is None


@pytest.mark.parametrize("name", NAMES)
async def test_a_lock_is_for_the_address_that_failed_alone(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_LOCKS", (900,))  # longer than this test, however busy the machine is
    site.person("alice", "reader")
    with identity(site) as asked:
        for number in range(limits.LOGIN_FREE + 1):
            assert await asked.identify(name, f"wrong {number}", "192.0.2.1") is None
        with pytest.raises(LockedError):
            await asked.identify(name, PASSWORD, "192.0.2.1")
        for origin in ("192.0.2.2", "uid 1001"):
            known = await asked.identify(name, PASSWORD, origin)
            assert (known is not None) is (name == "alice")
        with pytest.raises(LockedError):  # a success elsewhere unlocks nobody here
            await asked.identify(name, PASSWORD, "192.0.2.1")
        site.submit(ForgetFailures(name=name))
        assert (await asked.identify(name, PASSWORD, "192.0.2.1") is not None) is (name == "alice")


def test_addresses_of_one_ipv6_network_are_one_origin() -> None:
    assert origin_of("2001:db8::1") == origin_of("2001:db8::ffff:2") != origin_of("2001:db8:0:1::1")
    assert origin_of("::ffff:192.0.2.1") == origin_of("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize(("name", "robot"), [("alice", False), ("nobody-here", False), ("robot-x", True)])
def test_every_failure_costs_one_hash_of_its_kind(
    site: Site, name: str, robot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = site.worker()
    site.person("alice", "reader")
    calls: list[bool] = []
    real = passwords.verify

    def counted(stored: str | None, text: str, *, robot: bool) -> bool:
        calls.append(robot)
        return real(stored, text, robot=robot)

    monkeypatch.setattr("appliance.access.identity.verify", counted)
    assert server.ask("GET", "/v2/", headers=basic(name, "wrong")).status == 401
    assert calls == [robot]


def test_a_password_is_hashed_in_another_thread_than_the_loops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.worker()
    site.person("alice", "reader")
    seen: list[str] = []
    real = passwords.verify

    def watched(stored: str | None, text: str, *, robot: bool) -> bool:
        seen.append(threading.current_thread().name)
        return real(stored, text, robot=robot)

    monkeypatch.setattr("appliance.access.identity.verify", watched)
    assert server.ask("GET", "/v2/", headers=basic("alice")).status == 200
    assert server.ask("GET", "/v2/", headers=basic("alice")).status == 200, "the second is remembered"
    assert len(seen) == 1
    assert seen[0].startswith("argon2")


async def test_the_queue_for_hashing_has_an_end() -> None:
    threads, gate = HashingThreads(threads=1, queue=2), threading.Event()
    waiting = [asyncio.create_task(threads.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await threads.run(lambda: None)
    gate.set()
    assert await asyncio.gather(*waiting) == [True, True]
    threads.close()


def test_what_was_remembered_is_forgotten_with_the_account(site: Site) -> None:
    server, other = site.worker(), site.worker()
    site.person("alice", "reader")
    for worker in (server, other):
        assert worker.ask("GET", "/v2/", headers=basic("alice")).status == 200
    site.submit(DisableAccount(account="alice", at=clock.now()))
    for worker in (server, other):
        assert worker.ask("GET", "/v2/", headers=basic("alice")).status == 401


def test_a_revocation_counts_on_every_worker_in_its_next_request(site: Site) -> None:
    workers = [site.worker() for _ in range(3)]
    name, secret, secret_id = site.robot("robot-ci", "reader")
    got = bearer(token(workers[0], name, PULL, secret=secret))
    assert {worker.ask("GET", "/v2/team/app/tags/list", headers=got).status for worker in workers} == {404}
    site.submit(RevokeToken(id=secret_id, at=clock.now()))
    assert {worker.ask("GET", "/v2/team/app/tags/list", headers=got).status for worker in workers} == {401}


@pytest.mark.parametrize("how", ["one robot", "one refresh token", "a robot each"])
def test_five_hundred_clients_renew_at_once_and_every_pull_succeeds(site: Site, how: str) -> None:
    server = site.worker()
    owner = site.person("owner", "maintainer")
    body = b"a layer"
    digest = Digest.of(body)
    assert server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", body, basic(owner)).status == 201
    refresh = ask_token(server, basic(owner), PULL, offline_token="true").json["refresh_token"]
    robots = [site.robot(f"robot-{n}", "reader team/**") for n in range(500 if how == "a robot each" else 1)]

    def one(number: int) -> tuple[int, int]:
        if how == "one refresh token":
            answer = post_token(server, grant_type="refresh_token", refresh_token=refresh, scope=PULL)
        else:
            name, secret, _ = robots[number % len(robots)]
            answer = ask_token(server, basic(name, secret), PULL)
        if answer.status != 200:
            return answer.status, 0
        got = server.ask("GET", f"/v2/team/app/blobs/{digest}", headers=bearer(answer.json["token"]))
        return answer.status, got.status if got.body == body else 0

    with ThreadPoolExecutor(100) as threads:
        outcomes = set(threads.map(one, range(500)))
    assert outcomes == {(200, 200)}


def test_who_asks_too_often_is_told_when_to_come_back(site: Site) -> None:
    server = site.worker(rate=1.0)
    site.person("alice", "reader")
    answers = [server.ask("GET", "/v2/") for _ in range(14)]
    assert {answer.status for answer in answers} == {401, 429}
    late = answers[-1]
    assert (late.status, late.code) == (429, "TOOMANYREQUESTS")
    assert int(late.headers["Retry-After"]) >= 1
    assert [event.detail["status"] for event in site.audit.events] == [429], "a flood is one event"


def test_a_bucket_fills_again_with_time() -> None:
    now = [0.0]
    buckets = Buckets(2.0, 3.0, kept=2, now=lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [None] * 3
    empty = buckets.take("a")
    assert empty is not None
    assert (empty.seconds, empty.first) == (1, True)
    again = buckets.take("a")
    assert again is not None
    assert not again.first
    now[0] = 0.5
    assert buckets.take("a") is None
    assert buckets.take("b") is None
    assert buckets.take("c") is None


def test_a_refused_name_is_as_slow_as_a_wrong_password() -> None:
    """The same parameters of argon2id: the dummy is not a cheaper hash. A person's are the second recommended option
    of RFC 9106, section 4, in one lane."""
    kinds = {False: (passwords.hash_password("x" * 12), "t=3"), True: (passwords.hash_secret("x"), "t=1")}
    memory = {False: "m=65536", True: "m=8192"}
    for robot, (made, passes) in kinds.items():
        assert made.split("$")[1:4] == ["argon2id", "v=19", f"{memory[robot]},{passes},p=1"]
        assert passwords._NOBODY[robot].split("$")[1:4] == made.split("$")[1:4]


class Told:
    """An audit log that does not explain some accounts."""

    def __init__(self) -> None:
        self.changed: set[str] = set()

    async def wrong(self, name: str) -> tuple[str, str] | None:
        return (f"the password of {name}", "changed") if name in self.changed else None


def test_an_account_that_the_log_does_not_explain_opens_nothing_at_the_registry(site: Site) -> None:
    """Neither by a header, nor by a token, nor by a refresh token from before; and nobody else is kept out."""
    told = Told()
    server = site.worker(explained=told)
    site.person("alice", "reader")
    site.person("bob", "reader")
    before = ask_token(server, basic("alice"), PULL, offline_token="true")
    assert before.status == 200
    told.changed.add("alice")
    fields = {"username": "alice", "password": PASSWORD, "scope": PULL}
    answers = [
        server.ask("GET", "/v2/", headers=basic("alice")),
        ask_token(server, basic("alice"), PULL),
        post_token(server, grant_type="password", **fields),
        post_token(server, grant_type="refresh_token", refresh_token=before.json["refresh_token"], scope=PULL),
    ]
    assert [(answer.status, answer.json["errors"][0]["code"]) for answer in answers] == [(403, "DENIED")] * 4
    assert server.ask("GET", "/v2/", headers=basic("alice", "wrong")).status == 401
    assert server.ask("GET", "/v2/", headers=basic("bob")).status == 200
    told.changed.clear()
    assert server.ask("GET", "/v2/", headers=basic("alice")).status == 200
