"""Webhooks: every wanted event is told, signed, at least once; to allowed addresses alone; and nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.control.webhooks import Endpoint, alerts
from appliance.jobs.service import Jobs
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from appliance.settings.webhooks import WebhookSettings
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.webhooks import outbox_state
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.webhooks import Message, QueueWebhooks, ReplayWebhooks
from appliance.store.writes.write import under_event
from appliance.webhooks.messages import headers_of, is_wanted, message_of, require_usable, secrets_of
from bundles.errors import FailedError, LockgateError, UsageError
from tests.control.test_who_may_call import served
from tests.intake.inside import Inside
from tests.job_starter import NoStarter
from tests.observe.test_station_metrics import of

SECRET = bytes(range(32))
EVENT = {"act": "block", "actor": "ada", "thing": "sha256:x", "outcome": "done", "detail": {"why": "CVE"},
         "time": "2026-01-01T00:00:00Z", "micros": 1, "lane": 1, "seq": 7, "prev": "0" * 64, "mac": "x"}  # fmt: skip


@dataclass
class Receiver:
    """An endpoint on loopback: what came, and what it answers."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.came]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


class Teller:
    """A station with one webhook, `deploy`."""

    def __init__(self, inside: Inside, port: int, **changes: Any) -> None:
        inside.station.paths.keys.mkdir(exist_ok=True)
        (inside.station.paths.keys / "webhook-deploy.secret").write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
        said = {"url": f"http://127.0.0.1:{port}/hook", "addresses": ("127.0.0.0/8",), "acts": ("block", "intake.*")}
        self.settings = WebhookSettings(**(said | changes))
        config = msgspec.structs.replace(inside.station.config, webhooks={"deploy": self.settings})
        self.station = dataclasses.replace(inside.station, config=config)
        writer, callers = AsyncWriterService(inside.writer), Callers(config, Accounts(self.station.reader))
        self.control = Control(self.station, writer, Jobs(self.station, writer, NoStarter()), "", callers)
        self.start()

    def start(self) -> None:
        """As the control process begins."""
        self.endpoint = Endpoint(self.control, "deploy", self.settings)

    def record(self, thing: str, act: Act = Act.BLOCK) -> None:
        self.station.audit.record(AuditEvent(act, "ada", thing, "done", {"why": "CVE"}))

    async def turn(self) -> None:
        await self.endpoint.queue()
        await self.endpoint.send()

    def later(self) -> None:
        """Let the pauses be over."""
        self.station.writer.submit(_Due())

    @property
    def state(self) -> tuple[int, int]:
        found = outbox_state(self.station.reader, "deploy")
        return found.waiting, found.dead


class _Due(ReplayWebhooks, frozen=True, kw_only=True):
    """All messages are due."""

    unrecorded = "a test moves the clock"
    endpoint: str = ""
    now: int = 0

    def apply(self, db: Any) -> int:
        return int(db.execute("UPDATE webhook_outbox SET due = 0").rowcount)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo") as station:
        yield station


async def test_an_event_is_told_once_as_a_signed_cloud_event(inside: Inside, receiver: Receiver) -> None:
    teller = Teller(inside, receiver.port)
    teller.record("before")
    await teller.turn()
    teller.record("sha256:a")
    teller.record("sha256:b", Act.UNBLOCK)
    for _ in range(2):
        await teller.turn()
    ((headers, body),) = receiver.came
    told = json.loads(body)
    assert (told["specversion"], told["type"], told["source"], told["subject"]) == (
        "1.0", "lockgate.block", "urn:lockgate:bravo", "sha256:a",
    )  # fmt: skip
    assert (told["data"]["actor"], told["data"]["detail"]) == ("ada", {"why": "CVE"})
    assert not {"mac", "prev"} & told["data"].keys()
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["webhook-id"] == told["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert teller.state == (0, 0)
    assert of(teller.control.measures) == {'lockgate_webhook_deliveries_total{result="delivered"}': 1}


@pytest.mark.parametrize(
    "edit",
    [
        """UPDATE webhook_outbox SET body = replace(body, 'sha256:a', 'sha256:b')""",
        """UPDATE webhook_outbox SET event = 'bravo-01-99'""",
        """UPDATE webhook_outbox SET seal = ''""",
        """UPDATE webhook_outbox SET seal = 'ü'""",
        """UPDATE webhook_outbox SET event = 'bravo-01-99', body = '{"type": "lockgate.intake.release"}', seal = ''""",
    ],
)
async def test_what_somebody_wrote_into_the_outbox_is_never_signed(
    inside: Inside, receiver: Receiver, edit: str
) -> None:
    teller = Teller(inside, receiver.port)
    await teller.turn()
    teller.record("sha256:a")
    await teller.endpoint.queue()
    with contextlib.closing(sqlite3.connect(inside.station.paths.database)) as intruder:
        intruder.execute(edit)
        intruder.commit()
    await teller.endpoint.send()
    assert (receiver.came, teller.state) == ([], (0, 1))
    assert "changed by hand" in alerts(teller.control)[0]
    teller.record("sha256:c")
    await teller.turn()
    assert [one["subject"] for one in receiver.told] == ["sha256:c"]


async def test_a_message_for_one_endpoint_is_not_told_to_another(inside: Inside, receiver: Receiver) -> None:
    teller = Teller(inside, receiver.port)
    await teller.turn()
    teller.record("sha256:a")
    await teller.endpoint.queue()
    (inside.station.paths.keys / "webhook-other.secret").write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    with contextlib.closing(sqlite3.connect(inside.station.paths.database)) as intruder:
        intruder.execute("UPDATE webhook_outbox SET endpoint = 'other'")
        intruder.commit()
    await Endpoint(teller.control, "other", teller.settings).send()
    assert receiver.came == []


async def test_what_is_not_taken_is_tried_again_with_the_same_id_then_dead_and_replayed(
    inside: Inside, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_PAUSES", (5, 300))
    teller = Teller(inside, receiver.port)
    await teller.turn()
    teller.record("sha256:a")
    receiver.statuses = [500, 302, 503]
    for attempts in (1, 2, 3):
        await teller.turn()
        await teller.turn()  # it is not due
        assert len(receiver.came) == attempts
        teller.later()
    assert teller.state == (0, 1)
    assert "503" in alerts(teller.control)[0]
    await teller.turn()
    assert len(receiver.came) == 3, "nothing more is sent"
    async with served(application(teller.control), inside.station.paths.root) as client:
        async with client.get("/v1/webhooks") as answer:
            (item,) = (await answer.json())["items"]
        async with client.post("/v1/webhooks/deploy/replay", json={}) as answer:
            assert await answer.json() == {"name": "deploy", "messages": 1}
        async with client.post("/v1/webhooks/none/replay", json={}) as answer:
            assert answer.status == 404
    assert (item["host"], item["dead"]) == (f"127.0.0.1:{receiver.port}", 1)
    await teller.turn()
    assert teller.state == (0, 0)
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert inside.events("webhook.replay")[0]["thing"] == "deploy"


async def test_a_restart_loses_nothing_and_tells_nothing_twice(inside: Inside, receiver: Receiver) -> None:
    teller = Teller(inside, receiver.port)
    await teller.turn()
    teller.record("sha256:a")
    await teller.endpoint.queue()
    teller.start()
    await teller.endpoint.queue()
    teller.record("sha256:b")
    teller.start()  # it was not running when that was written
    await teller.turn()
    assert [told["subject"] for told in receiver.told] == ["sha256:a", "sha256:b"]


async def test_what_cannot_be_queued_is_queued_later(
    inside: Inside, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = Teller(inside, receiver.port)
    await teller.turn()
    writer = teller.control.writer

    class Full:
        async def submit(self, write: object) -> Any:
            raise FailedError("the disk is full")

    teller.record("sha256:a")
    teller.control.writer = Full()
    with pytest.raises(LockgateError):
        await teller.turn()
    teller.control.writer = writer
    monkeypatch.setattr(limits, "WEBHOOK_OUTBOX", 0)
    await teller.turn()
    assert receiver.came == []
    monkeypatch.setattr(limits, "WEBHOOK_OUTBOX", 10)
    await teller.turn()
    assert [told["subject"] for told in receiver.told] == ["sha256:a"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nothing_goes_to_an_address_that_the_site_does_not_allow(
    inside: Inside, receiver: Receiver, host: str
) -> None:
    url = f"http://{host}:{receiver.port}/hook"
    teller = Teller(inside, receiver.port, url=url, addresses=("10.0.0.0/8", "192.0.2.0/24"))
    await teller.turn()
    teller.record("sha256:a")
    await teller.turn()
    assert receiver.came == []
    assert teller.state == (1, 0)


async def test_a_redirect_is_not_followed_and_gone_is_for_good(inside: Inside, receiver: Receiver) -> None:
    teller = Teller(inside, receiver.port)
    await teller.turn()
    receiver.statuses = [302, 410]
    teller.record("sha256:a")
    await teller.turn()
    assert (len(receiver.came), teller.state) == (1, (1, 0))
    teller.later()
    await teller.turn()
    assert (len(receiver.came), teller.state) == (2, (0, 1))


async def test_what_is_wrong_is_said_once(inside: Inside, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not each second, for as long as nobody makes a secret: that filled the log."""
    teller, said, looks = Teller(inside, receiver.port), list[str](), 0
    (inside.station.paths.keys / "webhook-deploy.secret").unlink()
    await teller.turn()
    teller.record("sha256:a")
    monkeypatch.setattr(limits, "LOG_LOOK", 0.0)
    monkeypatch.setattr("appliance.control.webhooks.report", lambda what, error: said.append(error.what))
    send = teller.endpoint.send

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await send()

    monkeypatch.setattr(teller.endpoint, "send", counted)
    telling = asyncio.create_task(teller.endpoint.keep_telling())
    async with asyncio.timeout(60):
        while looks < 5:
            await asyncio.sleep(0)
    telling.cancel()
    assert said == ["a webhook has no secret"]


async def test_without_a_secret_messages_wait_and_status_says_so(inside: Inside, receiver: Receiver) -> None:
    teller = Teller(inside, receiver.port)
    secret = inside.station.paths.keys / "webhook-deploy.secret"
    kept = secret.read_text()
    secret.unlink()
    await teller.turn()
    teller.record("sha256:a")
    with pytest.raises(UsageError):
        await teller.turn()
    assert "secret" in alerts(teller.control)[0]
    secret.write_text(kept + f"whsec_{base64.b64encode(b'n' * 24).decode()}\n")
    await teller.turn()
    ((headers, _),) = receiver.came
    assert len(headers["webhook-signature"].split()) == 2, "while it is exchanged, both sign"
    text = b"".join(
        path.read_bytes() for path in inside.station.paths.root.rglob("*") if path.is_file() and path != secret
    )
    assert base64.b64encode(SECRET) not in text
    assert SECRET not in text


def test_filters_say_which_events_are_wanted() -> None:
    push = EVENT | {"act": "push-manifest", "thing": "prod/app@sha256:x"}
    tag = EVENT | {"act": "delete-tag", "thing": "prod/app:v1"}
    some = WebhookSettings(acts=("push-*", "delete-tag"), repositories=("prod/**",))
    assert [is_wanted(some, event) for event in (push, tag, EVENT)] == [True, True, False]
    assert not is_wanted(some, push | {"thing": "team/app@sha256:x"})
    assert is_wanted(WebhookSettings(acts=("*",)), EVENT)


def test_a_large_event_is_told_without_its_detail() -> None:
    message = message_of("bravo", EVENT | {"detail": {"digests": ["x" * 100] * 5_000}})
    told = json.loads(message.body)
    assert len(message.body) < limits.WEBHOOK_BODY
    assert (told["data"]["detail"], told["data"]["detail_cut"], told["id"]) == ({}, True, "bravo-01-7")


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of Standard Webhooks 1.0."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', [secret], 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_%%%", f"whsec_{base64.b64encode(b'short').decode()}"])
def test_a_secret_that_cannot_be_used_is_named_and_never_shown(tmp_path: Path, text: str) -> None:
    paths = StationPaths(tmp_path)
    paths.keys.mkdir()
    (paths.keys / "webhook-deploy.secret").write_text(text)
    with pytest.raises(UsageError) as told:
        secrets_of(paths, "deploy")
    assert told.value.thing == "deploy"
    assert text == "" or text not in told.value.diagnostics().replace("printf whsec_", "")


def test_an_act_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        require_usable(StationPaths(tmp_path), "deploy", WebhookSettings(acts=("intake.releas",)))
    assert "intake.releas" in told.value.thing


def test_an_event_is_queued_once_and_dead_messages_make_room(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_OUTBOX", 3)

    def put(*events: str) -> bool:
        messages = tuple(Message(event, "{}") for event in events)
        write = QueueWebhooks(endpoint="deploy", heads={1: 1}, messages=messages, now=0, at="x")
        return bool(inside.writer.submit(write))

    assert put("1", "1", "2")
    assert put("1")
    assert outbox_state(inside.station.reader, "deploy").waiting == 2
    assert put("3")
    assert not put("4"), "nothing that waits is given up"
    with under_event():
        assert inside.writer.submit(ReplayWebhooks(endpoint="deploy", now=0)) == 0


def test_a_message_names_the_trace_that_its_act_belongs_to_and_no_other_text() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    message = message_of("alpha", EVENT | {"detail": {"traceparent": trace}})
    assert json.loads(message.body)["traceparent"] == trace
    assert headers_of(message.event, message.body.encode(), [SECRET], 1)["traceparent"] == trace
    for other in ("00-junk\r\nX: y", 7, None, trace.upper()):
        message = message_of("alpha", EVENT | {"detail": {"traceparent": other}})
        assert "traceparent" not in json.loads(message.body)
        assert "traceparent" not in headers_of(message.event, message.body.encode(), [SECRET], 1)
