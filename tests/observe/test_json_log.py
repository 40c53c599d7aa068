"""The program's log as JSON: its lines are what the schema says, and a reader that stands still holds up nobody."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from appliance.limits import station as limits
from appliance.log_lines import REQUESTS, JsonFormatter, QueuedHandler
from appliance.measures.catalogue import RESULT
from appliance.paths import StationPaths
from appliance.registry.services import ACTOR, OpenAccess, RegistrySettings
from tests.conformance.shapes import image
from tests.observe.station import fill, lane, lines
from tests.registry_server import Store

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/reference"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def schema(name: str) -> Draft202012Validator:
    document = json.loads((SCHEMAS / name).read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the logger of requests and another one write."""
    stream, names = StringIO(), (REQUESTS, "appliance.x")
    handler = QueuedHandler(stream)
    handler.setFormatter(JsonFormatter("worker-1"))
    for name in names:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    yield stream
    handler.close()
    for name in names:
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(logging.NOTSET)


def said(stream: StringIO, count: int) -> list[dict[str, Any]]:
    """So many lines, once they are there."""
    while (text := stream.getvalue()).count("\n") < count:
        time.sleep(0.001)  # the suite's own limit ends a test that waits for ever
    return [json.loads(line) for line in text.splitlines()]


class _Ada(OpenAccess):
    async def admit(self, request: Any) -> None:
        request[ACTOR] = "ada"

    def glance(self, *_: object) -> None:
        return None


def test_each_request_has_a_line_of_the_schema(tmp_path: Path, written: StringIO) -> None:
    with Store(tmp_path) as store:
        server = store.serve(access=_Ada(), settings=RegistrySettings(log_requests=True))
        content = image()
        digest = content.push(server, "team/app", "v1")
        while '"method":"PUT"' not in written.getvalue():
            time.sleep(0.001)  # the suite's own limit ends a test that waits for ever
        before = len(written.getvalue().splitlines())
        headers = {"traceparent": TRACE, "User-Agent": "podman/5"}
        body = server.ask("GET", "/v2/team/app/manifests/v1", None, headers).body
        server.ask("GET", "/v2/team/app/manifests/none", None, {"traceparent": "x" * 5000})
        server.ask("GET", f"/v2/team/app/blobs/{digest}x")
        found = said(written, before + 3)
    check = schema("log-line.schema.json")
    for line in found:
        check.validate(line)
    pull, missing, wrong = found[before:]
    assert (pull["account"], pull["repository"], pull["digest"], pull["bytes"], pull["reason"], pull["status"]) == (
        "ada", "team/app", str(digest), len(body), "ok", 200,
    )  # fmt: skip
    assert pull["traceparent"] == TRACE
    assert ("traceparent" in missing, missing["reason"], missing["status"]) == (False, "name", 404)
    assert wrong["reason"] == "request"
    assert len({line["request"] for line in found}) == len(found)


def test_errors_have_their_traceback_in_one_line(written: StringIO) -> None:
    try:
        raise KeyError("a\nb")
    except KeyError:
        logging.getLogger("appliance.x").exception("failed: %s", "\u202e")
    (line,) = said(written, 1)
    schema("log-line.schema.json").validate(line)
    assert (line["level"], line["process"]) == ("error", "worker-1")
    assert "KeyError" in line["traceback"]
    assert written.getvalue().isascii()


def test_a_reader_that_stands_still_holds_up_nobody_and_is_told_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LOG_QUEUE", 3)
    goes_on = threading.Event()

    class Slow(StringIO):
        def flush(self) -> None:
            goes_on.wait()

    stream = Slow()
    handler = QueuedHandler(stream)
    handler.setFormatter(JsonFormatter("control"))

    def handle(text: str) -> None:
        handler.handle(logging.LogRecord("appliance.x", logging.WARNING, "", 0, text, None, None))

    for number in range(100):
        handle(f"line {number}")
    goes_on.set()
    while "the next" not in stream.getvalue():
        handle("the next")
        time.sleep(0.001)
    handler.close()
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in found:
        schema("log-line.schema.json").validate(line)
    assert len(found) < 100
    assert len(found) + sum(line.get("left_out", 0) for line in found) > 100, "each is written, or told as left out"


def test_events_of_the_audit_log_are_what_their_schema_says(paths: StationPaths) -> None:
    fill(paths, 3)
    check = schema("audit-line.schema.json")
    for line in lines(lane(paths)):
        check.validate(json.loads(line))
        assert not check.is_valid(json.loads(line) | {"more": 1})


def test_the_schema_names_every_reason() -> None:
    document = json.loads((SCHEMAS / "log-line.schema.json").read_text())
    assert document["properties"]["reason"]["enum"] == list(RESULT)
