"""The control API is what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from appliance.control import openapi
from appliance.control.answers import ANSWERS, OTHER_MEDIA
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs.service import Jobs
from appliance.paths import StationPaths
from appliance.permissions import Caller, Permission, Rules
from appliance.station import open_station
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from appliance.store.writes.write import AsyncGuarded, Guarded
from tests.control.described import require_described
from tests.intake.inside import make_station
from tests.job_starter import NoStarter

EXAMPLES = int(os.environ.get("LOCKGATE_SCHEMA_EXAMPLES", "6"))


class Anybody(Callers):
    """Callers who come over TCP, where there are no credentials: one caller for all."""

    def identify(self, request: web.Request) -> Caller:
        return Caller("tester")


class Everything(Rules):
    """Rules that stop nobody: what lies behind them is under test."""

    def require(self, caller: Caller, permission: Permission, repository: str = "") -> None:
        return


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[str, web.Application]]:
    """The control API of a station on a port of loopback, with its jobs."""
    if not root.exists():
        make_station(root)
    paths = StationPaths(root)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    with WriterService(paths.database) as service:
        station = open_station(root, Guarded(service))
        writer = AsyncGuarded(AsyncWriterService(service))

        async def start() -> tuple[web.AppRunner, Jobs, Any, web.Application]:
            held = contextlib.AsyncExitStack()
            await held.enter_async_context(serve_writer(paths.writer_socket, service))
            jobs = Jobs(station, writer, NoStarter())
            callers = Anybody(station.config, Accounts(station.reader))
            app = application(Control(station, writer, jobs, "127.0.0.1:0", callers, Everything()))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return runner, jobs, held, app

        async def stop(runner: web.AppRunner, jobs: Jobs, held: Any) -> None:
            await jobs.stop()
            await runner.cleanup()
            await held.aclose()

        thread.start()
        runner, jobs, held, app = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", app
        finally:
            asyncio.run_coroutine_threadsafe(stop(runner, jobs, held), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, web.Application]]:
    with serving(tmp_path_factory.mktemp("control") / "bravo") as it:
        yield it


@pytest.mark.parametrize(
    "request_", [b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 9000), b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
def test_what_is_no_http_leaves_no_traceback(
    served: tuple[str, web.Application], request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(served[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(request_)
        assert raw.recv(12) in (b"HTTP/1.0 400", b"HTTP/1.1 400")
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_every_route_is_in_the_document_with_its_parameters(served: tuple[str, web.Application]) -> None:
    described = openapi.document(served[1])["paths"]
    for route in served[1].router.routes():
        if route.resource is None or route.method == "HEAD":
            continue
        path = openapi._PARAMETER.sub(r"{\g<name>}", route.resource.canonical)
        operation = described[path][route.method.lower()]
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(openapi._PARAMETER.findall(path))
        assert getattr(route.handler, "permission", "?") in operation["description"]


def test_the_tables_describe_no_route_that_is_not_there(served: tuple[str, web.Application]) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in openapi.document(served[1])["paths"].items()
        for method in methods
    }
    assert set(openapi.QUERIES) | set(openapi.BODIES) <= described


def test_every_answer_has_a_schema(served: tuple[str, web.Application]) -> None:
    document = openapi.document(served[1])
    bare = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for schema in operation["responses"]["200"]["content"].get("application/json", {"schema": None}).values()
        if schema == {"type": "object"}
    }
    assert bare == {f"GET {openapi.PATH}"}
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert set(ANSWERS) | set(OTHER_MEDIA) == described - bare


def test_a_schema_demands_each_field_that_is_always_sent(served: tuple[str, web.Application]) -> None:
    components = openapi.document(served[1])["components"]["schemas"]
    demanded = set(components["Account"]["properties"]) - set(components["Account"]["required"])
    assert demanded == {"waits"}
    assert set(components["Status"]["required"]) == set(components["Status"]["properties"])


def test_it_is_served(served: tuple[str, web.Application]) -> None:
    schema = schemathesis.openapi.from_url(f"{served[0]}{openapi.PATH}")
    assert "/v1/status" in schema.raw_schema["paths"]


def check(base: str, app: web.Application, operation: Any, mode: GenerationMode) -> int:
    """Send what the operation allows (or what it does not); returns how many requests were answered."""
    answered = 0

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        nonlocal answered
        answer = case.call(base_url=base, timeout=30)
        answered += 1
        assert answer.status_code < 500, (operation.label, answer.status_code, answer.text[:300])
        assert str(answer.status_code) in operation.definition.raw["responses"], (operation.label, answer.status_code)
        if answer.headers.get("content-type", [""])[0].startswith("application/json"):
            require_described(app, operation.method, operation.path, answer.status_code, answer.json())
        if answer.status_code >= 400:
            assert set(answer.json()) >= {"error", "what", "thing", "remedy", "exit_status"}
            assert "Traceback" not in answer.text

    with contextlib.suppress(Unsatisfiable):  # nothing is wrong for an operation that takes nothing
        send()
    return answered


MALFORMED = {
    "no number": ("GET", "/v1/ledger?after=x", None),
    "no number of items": ("GET", "/v1/repositories?limit=ten", None),
    "a number below numbers": ("GET", "/v1/jobs?limit=-1", None),
    "a number in other digits": ("GET", "/v1/jobs?limit=%D9%A3", None),
    "no offset": ("GET", "/v1/kept?after=1e3", None),
    "an empty query": ("GET", "/v1/artifact", None),
    "a number for a text": ("POST", "/v1/blocks", b'{"thing": 7, "why": "x"}'),
    "a text for a number": (
        "POST",
        "/v1/accounts",
        b'{"name": "a1", "password": "correct horse one", "uid": "x"}',
    ),
    "true for a number": ("POST", "/v1/accounts", b'{"name": "a1", "password": "correct horse one", "uid": true}'),
    "a field that is missing": ("POST", "/v1/blocks", b'{"thing": "a:b"}'),
    "no body": ("POST", "/v1/jobs", b""),
    "params that are a list": ("POST", "/v1/jobs", b'{"kind": "gc", "params": []}'),
    "a number beyond numbers": ("GET", "/v1/ledger?after=1" + "0" * 40, None),
    "a list": ("POST", "/v1/jobs", b"[]"),
    "half an object": ("POST", "/v1/jobs", b"{"),
    "brackets without end": ("POST", "/v1/jobs", b"[" * 100_000),
    "no params": ("POST", "/v1/jobs", b'{"kind": "gc", "params": null}'),
    "an infinite sequence": ("POST", "/v1/streams/alpha.bravo/reset", b'{"sequence": 1e400, "why": "x"}'),
    "half a surrogate pair": ("POST", "/v1/blocks", b'{"thing": "a:b", "why": "\\ud800"}'),
    "bytes that are no text": ("POST", "/v1/blocks", b"\xff\xfe"),
}


@pytest.mark.parametrize("case", sorted(MALFORMED))
def test_a_malformed_request_is_one_clear_answer(
    served: tuple[str, web.Application], case: str, caplog: pytest.LogCaptureFixture
) -> None:
    method, path, body = MALFORMED[case]
    answer = requests.request(method, served[0] + path, data=body, timeout=30)
    assert (answer.status_code, answer.json()["exit_status"]) == (400, 2)
    assert "malformed" in answer.json()["what"]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


NUL = "a\0b"


def with_nul(schema: dict[str, Any]) -> Iterator[Any]:
    """Values of a schema in which one text holds a NUL, as far as the schema describes texts."""
    for several in ("anyOf", "oneOf"):
        for inner in schema.get(several, ()):
            yield from with_nul(inner)
    if schema.get("type") == "string":
        yield NUL
    if isinstance(schema.get("items"), dict):
        yield from ([inner] for inner in with_nul(schema["items"]))
    for name, inner in schema.get("properties", {}).items():
        yield from ({name: value} for value in with_nul(inner))
        yield {f"{name}\0": ""}


def requests_with_nul(app: web.Application) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body of a request for each text that any operation takes."""
    for path, methods in openapi.document(app)["paths"].items():
        for method, operation in methods.items():
            plain = re.sub(r"\{\w+\}", "1", path)
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    yield method, re.sub(r"\{\w+\}", "1", path.replace(f"{{{parameter['name']}}}", "a%00b")), None
                else:
                    yield method, f"{plain}?{parameter['name']}=a%00b", None
            content = operation.get("requestBody", {}).get("content", {})
            for body in with_nul(content.get("application/json", {}).get("schema", {})):
                yield method, plain, body


def test_a_nul_in_any_text_of_any_request_is_a_usage_error(
    served: tuple[str, web.Application], caplog: pytest.LogCaptureFixture
) -> None:
    base, app = served
    asked = list(requests_with_nul(app))
    assert len(asked) > 200
    with requests.Session() as session:
        for method, path, body in asked:
            answer = session.request(method, base + path, json=body, timeout=30)
            assert (answer.status_code, answer.json()["exit_status"]) == (400, 2), (method, path, body)
            assert "NUL" in answer.json()["thing"], (method, path, body)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_a_backslash_before_u0000_is_no_nul(served: tuple[str, web.Application]) -> None:
    body = b'{"thing": "a:b", "why": "a\\\\u0000"}'
    answer = requests.post(f"{served[0]}/v1/blocks", data=body, timeout=30)
    assert "NUL" not in answer.text


@pytest.mark.parametrize("error", [KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, OSError])
def test_an_error_of_the_stations_own_is_500_with_a_reference_that_is_in_the_log(
    served: tuple[str, web.Application],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(**_: object) -> None:
        raise error("private detail")

    monkeypatch.setattr("appliance.control.routes.media.mounted_media", broken)
    answer = requests.get(f"{served[0]}/v1/media", timeout=30)
    body = answer.json()
    assert (answer.status_code, body["error"], body["exit_status"]) == (500, "FailedError", 1)
    assert re.fullmatch(r"error [0-9a-f]{8}", body["thing"])
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.exc_info] == [body["thing"]]
    assert "private detail" not in answer.text


def test_a_malformed_request_names_its_field(served: tuple[str, web.Application]) -> None:
    asked = {
        "GET /v1/jobs?limit=ten": "limit",
        "GET /v1/find?q=a&limit=-": "limit",
        "GET /v1/repositories?limit=0": "limit",
        "GET /v1/recall": "thing",
    }
    for request, field in asked.items():
        method, _, path = request.partition(" ")
        answer = requests.request(method, served[0] + path, timeout=30)
        assert answer.status_code == 400
        assert answer.json()["thing"].startswith(f"{field}: ")
        assert answer.json()["remedy"]


PLAIN = ("/v1/status", "/v1/activity", "/v1/session", "/v1/accounts", "/v1/account-changes", "/v1/tls", "/v1/metrics",
         "/v1/audit", "/v1/audit/head",
         "/v1/audit/check", "/v1/trust", "/v1/trust/rules", "/v1/keys", "/v1/media", "/v1/deltas", "/v1/kept",
         "/v1/wants", "/v1/receipts", "/v1/bundles", "/v1/custody", "/v1/streams", "/v1/ledger", "/v1/clock",
         "/v1/damage", "/v1/blocks", "/v1/approvals", "/v1/releases/check", "/v1/intake", "/v1/jobs", "/v1/find",
         "/v1/advisories", "/v1/scan/new", "/v1/repositories", "/v1/sites", "/v1/webhooks", "/v1/probe", "/v1/live",
         "/v1/transfer-hosts", "/v1/drop-folders", "/v1/access-review", "/v1/access-review/exposure", "/v1/diodes",
         "/v1/retirements", "/v1/channels", "/v1/replicas", "/v1/workloads", "/readyz", "/healthz")  # fmt: skip


def test_every_list_answers_on_a_new_station(served: tuple[str, web.Application]) -> None:
    documented = openapi.document(served[1])["paths"]
    told = {
        path for path, methods in documented.items()
        if "get" in methods and not any(one["required"] for one in methods["get"]["parameters"])
    }  # fmt: skip
    assert told == {*PLAIN, openapi.PATH}
    answers = {path: requests.get(served[0] + path, timeout=30) for path in PLAIN}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(PLAIN, 200)
    for path, answer in answers.items():
        if path != "/v1/metrics":
            require_described(served[1], "GET", path, answer.status_code, answer.json())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent_is_answered_as_described_without_a_traceback(
    served: tuple[str, web.Application], mode: GenerationMode, caplog: pytest.LogCaptureFixture
) -> None:
    base, app = served
    caplog.set_level(logging.WARNING)
    operations = [found.ok() for found in schemathesis.openapi.from_dict(openapi.document(app)).get_all_operations()]
    answered = {operation.label: check(base, app, operation, mode) for operation in operations}
    assert sum(count > 0 for count in answered.values()) > 15
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
