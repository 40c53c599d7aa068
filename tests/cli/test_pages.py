"""Lists come whole, however many pages they have; where a limit cut one, a line says so."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from appliance.cli.shared import pages
from appliance.local_socket import listen_at
from appliance.paths import StationPaths
from tests.cli.conftest import Run

NAMES = [f"team/app-{number:04}" for number in range(2500)]


@pytest.fixture
def paged(station: Path) -> Iterator[list[str]]:
    """A control socket that serves 2,500 repositories, a thousand in a page, and what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        asked.append(target)
        query = parse_qs(urlsplit(target).query)
        start = NAMES.index(query["after"][0]) + 1 if "after" in query else 0
        shown = NAMES[start : start + min(int(query["limit"][0]), 1000)]
        items = [{"name": name, "tags": 1, "manifests": 1, "bytes": 1, "untagged": 0} for name in shown]
        body = json.dumps({"items": items, "next": shown[-1] if shown and shown[-1] != NAMES[-1] else None}).encode()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    paths = StationPaths(station)
    paths.run.mkdir(exist_ok=True)
    listener = listen_at(paths.control_socket)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.start_unix_server(serve, sock=listener))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def names_in(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_a_list_comes_whole(run: Run, station: Path, paged: list[str]) -> None:
    ended = run("repo", "list", "-C", station)
    assert names_in(ended.out) == NAMES
    assert ended.err == ""
    assert len(paged) == 3


@pytest.mark.parametrize("limit", [1, 1000, 1001, 2499])
def test_a_limit_cuts_and_says_so(run: Run, station: Path, paged: list[str], limit: int) -> None:
    ended = run("repo", "list", "--limit", str(limit), "-C", station)
    assert names_in(ended.out) == NAMES[:limit]
    assert ended.err.startswith(f"{limit} shown")


def test_a_limit_that_cuts_nothing_says_nothing(run: Run, station: Path, paged: list[str]) -> None:
    ended = run("repo", "list", "--limit", "2500", "--json", "-C", station)
    assert [item["name"] for item in ended.document["items"]] == NAMES
    assert (ended.document["next"], ended.err) == (None, "")


def test_a_list_goes_on_behind_a_name(run: Run, station: Path, paged: list[str]) -> None:
    assert names_in(run("repo", "list", "--after", NAMES[2490], "-C", station).out) == NAMES[2491:]


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
@pytest.mark.parametrize("command", [("repo", "list"), ("repo", "tags", "a"), ("job", "list"), ("audit", "show")])
def test_a_limit_below_one_is_a_usage_error(run: Run, station: Path, command: tuple[str, ...], limit: str) -> None:
    assert run(*command, "--limit", limit, "-C", station).status == 2


def test_a_table_grows_while_pages_come(
    run: Run, station: Path, paged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is printed before the next one is asked for."""
    printed: list[int] = []
    monkeypatch.setattr(pages.click, "echo", lambda text="", err=False: printed.append(len(paged)))
    run("repo", "list", "-C", station)
    assert printed.count(1) == 1001, "the head and a thousand rows"
    assert printed.count(2) == 1000
    assert printed.count(3) == 500


@pytest.fixture
def newest(station: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """An audit log of 2,500 events, asked for as the control API gives them: the newest page first."""
    asked: list[dict[str, object]] = []

    class Client:
        async def get(self, path: str, **query: Any) -> dict[str, Any]:
            asked.append({"path": path, **query})
            end = int(query["after"] or 2500)
            start = max(0, end - int(query["limit"]))
            event = {"time": "", "act": "", "outcome": "", "actor": "", "detail": {}}
            items = [{**event, "thing": f"thing-{number}"} for number in range(start, end)]
            return {"items": items, "next": str(start) if start else None}

    monkeypatch.setattr("appliance.cli.station.audit.call", lambda _, ask: asyncio.run(ask(Client())))
    return asked


@pytest.mark.parametrize(("limit", "first"), [(50, 2450), (1000, 1500), (2400, 100)])
def test_the_newest_events_are_shown_and_a_line_says_that_there_are_older_ones(
    run: Run, station: Path, newest: list[dict[str, object]], limit: int, first: int
) -> None:
    ended = run("audit", "show", "--limit", str(limit), "--json", "-C", station)
    assert [item["thing"] for item in ended.document["items"]] == [f"thing-{one}" for one in range(first, 2500)]
    assert ended.err == f"{limit} shown, the newest; older ones follow: give a larger --limit\n"


def test_all_events_are_shown_without_a_word(run: Run, station: Path, newest: list[dict[str, object]]) -> None:
    ended = run("audit", "show", "--limit", "9999", "--json", "-C", station)
    assert (len(ended.document["items"]), ended.err) == (2500, "")


def test_a_log_of_a_job_comes_whole(run: Run, station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control API gives a part at a time."""
    parts = ["one\n", "two\nthree\n", ""]

    class Client:
        async def get(self, path: str, after: int) -> dict[str, Any]:
            return {"text": parts[after], "offset": min(after + 1, 2)}

    monkeypatch.setattr("appliance.cli.station.job.call", lambda _, ask: asyncio.run(ask(Client())))
    assert run("job", "log", "job-1", "-C", station).out == "one\ntwo\nthree\n"
    assert run("job", "log", "job-1", "--json", "-C", station).document["text"] == "one\ntwo\nthree\n"
