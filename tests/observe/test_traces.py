"""Spans are what OpenTelemetry reads, of whole requests, in files that stay small; and who says what is recorded."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.control.client import ControlClient
from appliance.jobs.documents import Job
from appliance.jobs.trails import JobTrails, passed_on, place_of
from appliance.limits import station as limits
from appliance.paths import StationPaths
from appliance.registry.services import ACTOR, OpenAccess, Passed, RegistrySettings
from appliance.settings.station import Config
from appliance.settings.traces import TraceSettings
from appliance.store.reserve import Reserve
from appliance.tracing.context import TraceContext
from appliance.tracing.files import SpanFiles, clear
from appliance.tracing.spans import Resource, Span
from appliance.tracing.tracer import Tracer, tracer_of
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.observe.otlp import Read, read
from tests.registry_server import Server, Store
from tests.stage import Station

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"
RARE = f"00-{'a' * 18}{'0' * 14}-{SPAN}"
"""Of a trace that no share but all of them picks."""

RESOURCE = Resource("bravo", "worker-1", "1.0")


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ([SENT], SENT),
        ([SENT[:-1] + "0"], SENT[:-1] + "0"),
        ([SENT[:-2] + "ff"], SENT),  # of the flags one is known
        (["cc" + SENT[2:] + "-what-comes-later"], SENT),  # a later version's beginning is this one's
        (["cc" + SENT[2:]], SENT),
        ([], None),
        ([SENT, SENT], None),
        (["ff" + SENT[2:]], None),
        ([SENT + "-more"], None),
        (["cc" + SENT[2:] + "more"], None),
        ([SENT.upper()], None),
        ([f"00-{'0' * 32}-{SPAN}-01"], None),
        ([f"00-{TRACE}-{'0' * 16}-01"], None),
        ([f"00-{TRACE}-{SPAN}"], None),
        ([SENT + "\n"], None),
        ([" " + SENT], None),
        (["x" * 100_000], None),
    ],
)
def test_a_traceparent_is_what_the_specification_says_or_none(sent: list[str], read_as: str | None) -> None:
    found = TraceContext.parse(sent)
    assert (None if found is None else str(found)) == read_as


def test_a_share_of_traces_is_the_same_in_every_program() -> None:
    contexts = [TraceContext.begin() for _ in range(2_000)]
    few = {one.trace for one in contexts if one.is_among(0.1)}
    assert few < {one.trace for one in contexts if one.is_among(0.5)}
    assert 100 < len(few) < 320
    assert all(one.is_among(1.0) for one in contexts)
    assert not TraceContext.parse([RARE + "-01"]).is_among(0.999)  # type: ignore[union-attr]


def files(folder: Path, most: int = 1_000_000) -> tuple[SpanFiles, list[int]]:
    lost: list[int] = []
    return SpanFiles(folder / "traces", RESOURCE, most, Reserve(folder / "reserve"), lost.append), lost


def span(name: str, **more: Any) -> Span:
    return Span(TRACE, SPAN, name, 1, 2, **more)


def test_a_span_is_read_as_it_was_written(tmp_path: Path) -> None:
    made, lost = files(tmp_path)
    said = {"text": "\udcff\u202e\n", "number": 2**62, "part": 0.5, "true": True}
    assert made.take([span("a", parent="1" * 16, remote=True, kind=2, error="disk", attributes=said), span("b")])
    made.close()
    first, second = read(tmp_path / "traces")
    assert (first.trace, first.id, first.parent, first.kind, first.error) == (TRACE, SPAN, "1" * 16, 2, "disk")
    assert first.attributes == said | {"text": "?\u202e\n"}
    assert (first.flags, second.flags, second.error, second.parent) == (0x301, 0x101, "", "")
    assert first.resource == {
        "service.name": "lockgate", "service.namespace": "bravo", "service.instance.id": "bravo/worker-1",
        "service.version": "1.0",
    }  # fmt: skip
    (path,) = (tmp_path / "traces").iterdir()
    assert (path.name, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (
        "worker-1.jsonl", 0o600, 0o700,
    )  # fmt: skip
    assert path.read_bytes().isascii()
    assert lost == []


def test_files_turn_and_stay_within_their_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRACE_LINE", 1)
    made, _ = files(tmp_path, 40_000)
    for number in range(300):
        assert made.take([span(f"{number}")])
    made.close()
    names = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert names == ["worker-1.1.jsonl", "worker-1.2.jsonl", "worker-1.3.jsonl", "worker-1.jsonl"]
    assert sum(path.stat().st_size for path in (tmp_path / "traces").iterdir()) <= 40_000
    kept = {int(one.name) for one in read(tmp_path / "traces")}
    assert kept == set(range(min(kept), 300)), "the newest are there, and none between them is missing"


def test_a_disk_that_takes_no_span_holds_up_nobody_and_keeps_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRACE_LINE", 1)
    made, lost = files(tmp_path)
    write, full = os.write, threading.Event()

    def half(descriptor: int, data: Any) -> int:
        if not full.is_set():
            return write(descriptor, data)
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "no space")
        return write(descriptor, data[: len(data) - 50])

    made.take([span("before")])
    while not (tmp_path / "traces/worker-1.jsonl").is_file() or not read(tmp_path / "traces"):
        pass  # the suite's own limit ends a test that waits for ever
    monkeypatch.setattr(os, "write", half)
    full.set()
    made.take([span("lost")])
    while not lost:
        pass
    full.clear()
    monkeypatch.setattr(Reserve, "read_only", lambda _: "the disk is nearly full")
    made.take([span("no room")])
    while len(lost) < 2:
        pass
    monkeypatch.setattr(Reserve, "read_only", lambda _: "")
    made.take([span("after")])
    made.close()
    assert [one.name for one in read(tmp_path / "traces")] == ["before", "after"]
    assert lost == [1, 1]


def test_files_of_workers_that_are_no_more_go_and_others_stay(tmp_path: Path) -> None:
    for name in ("control.jsonl", "worker-1.2.jsonl", "worker-9.jsonl", "worker-9.3.jsonl", "notes.txt"):
        (tmp_path / name).touch()
    clear(tmp_path, {"control", "worker-1"})
    assert {path.name for path in tmp_path.iterdir()} == {"control.jsonl", "worker-1.2.jsonl", "notes.txt"}
    clear(tmp_path / "none", ())


def test_no_more_than_so_many_requests_a_second_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRACES_A_SECOND", 3)
    counted: list[tuple[str, int]] = []
    made, _ = files(tmp_path)
    moment = [0.0]
    tracer = Tracer(1.0, made, lambda *what: counted.append(what), lambda: moment[0])
    for _ in range(5):
        tracer.take([span("a"), span("b")])
    moment[0] = 1.5
    tracer.take([span("c")])
    tracer.close()
    assert counted == [("taken", 2)] * 3 + [("dropped", 2)] * 2 + [("taken", 1)]
    assert len(read(tmp_path / "traces")) == 7


def test_who_is_not_known_does_not_say_what_is_recorded(tmp_path: Path) -> None:
    made, _ = files(tmp_path)
    tracer = Tracer(0.01, made)
    asked, silent = TraceContext.parse([RARE + "-01"]), TraceContext.parse([RARE + "-00"])
    assert (tracer.picks(asked, known=True), tracer.picks(asked, known=False)) == (True, False)
    assert not tracer.picks(silent, known=True)


class _Ada(OpenAccess):
    """Whoever sends a credential is ada."""

    async def admit(self, request: Any) -> None:
        if "Authorization" in request.headers:
            request[ACTOR] = "ada"

    def glance(self, fields: Any, *_: object) -> Passed | None:
        return Passed("ada" if fields.authorization else "")


class Traced:
    """A registry that records spans."""

    def __init__(self, folder: Path, percent: float = 100.0, *, with_lane: bool = True) -> None:
        self.store = Store(folder)
        self.paths = self.store.paths
        config = Config(site="bravo", side="inside", traces=TraceSettings(percent=percent))
        tracer = tracer_of(config, self.paths, "worker-1")
        assert tracer is not None
        self.tracer, access, settings = tracer, _Ada(), RegistrySettings(log_requests=True, log_phases=True)
        self.server: Server = self.store.serve(access=access, tracer=tracer, settings=settings, with_lane=with_lane)

    def __enter__(self) -> Traced:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.__exit__()

    def spans(self) -> list[Read]:
        """What was recorded. No request may come after it."""
        self.store.__exit__()
        self.tracer.close()
        return read(self.paths.traces)


@pytest.fixture(params=[True, False], ids=["lane", "handlers"])
def traced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Traced]:
    with Traced(tmp_path, with_lane=request.param) as found:
        yield found


def test_a_request_is_a_span_with_its_phases_below_it(traced: Traced) -> None:
    server, content = traced.server, image()
    digest = content.push(server, "team/app", "v1")
    layer = Digest.of(content.blobs[0])
    for _ in range(3):
        server.ask("GET", "/v2/team/app/manifests/v1", None, {"User-Agent": "podman/5"})
    server.ask("GET", f"/v2/team/app/blobs/{layer}", None, {"traceparent": SENT})
    server.ask("MKCOL", "/v2/team/app/manifests/none")
    server.ask("GET", "/v2/team/app/manifests/none", None, {"traceparent": "00-0-0-0"})
    found = traced.spans()
    roots = [one for one in found if one.kind == 2]
    below: dict[str, set[str]] = {one.id: set() for one in roots}
    for one in found:
        assert 0 < one.begun <= one.ended
        if one.kind != 2:
            below[one.parent].add(one.name)
            (above,) = [root for root in roots if root.id == one.parent]
            assert above.begun <= one.begun <= one.ended <= above.ended
            assert one.trace == above.trace
    pulls = [one for one in roots if one.name == "GET /v2/{name}/manifests/{reference}"]
    good = [one for one in pulls if one.attributes["http.response.status_code"] == 200]
    assert len(good) == 3
    assert good[0].attributes["lockgate.repository"] == "team/app"
    assert good[0].attributes["lockgate.digest"] == str(digest)
    assert good[0].attributes["user_agent.original"] == "podman/5"
    assert below[good[0].id] >= {"access", "audit"}
    (put,) = [one for one in roots if one.name == "PUT /v2/{name}/manifests/{reference}"]
    assert below[put.id] >= {"access", "receive", "store", "turn", "audit", "commit"}
    (blob,) = [one for one in roots if one.name == "GET /v2/{name}/blobs/{digest}"]
    assert (blob.trace, blob.parent, blob.flags) == (TRACE, SPAN, 0x301)
    (odd,) = [one for one in roots if one.attributes["http.request.method"] == "_OTHER"]
    assert (odd.name, odd.attributes["lockgate.reason"]) == ("HTTP /v2/{name}/manifests/{reference}", "request")
    (missing,) = [one for one in pulls if one.attributes["http.response.status_code"] == 404]
    assert (missing.parent, missing.attributes["lockgate.reason"], missing.error) == ("", "name", "")
    assert len({one.trace for one in roots}) == len(roots)


def test_what_a_known_client_records_is_recorded_and_what_the_station_fails(tmp_path: Path) -> None:
    with Traced(tmp_path, 0.000001) as traced:
        server = traced.server
        held, lost = server.push_blob("team/app", b"held"), server.push_blob("team/app", b"lost")
        image().push(server, "team/app", "v1")
        for path in (f"blobs/{held}", "manifests/v1", "manifests/v1"):
            known = {"Authorization": "Basic x", "traceparent": RARE + "-01"}
            for headers in (known, known | {"traceparent": RARE + "-00"}, {"traceparent": RARE + "-01"}, {}):
                assert server.ask("GET", f"/v2/team/app/{path}", None, headers).status == 200
        traced.paths.blob(lost).unlink()
        assert server.ask("GET", f"/v2/team/app/blobs/{lost}").status == 503
        roots = [one for one in traced.spans() if one.kind == 2]
    assert [(one.attributes.get("user.name"), one.error) for one in roots] == [("ada", "")] * 3 + [(None, "damaged")]


def test_an_act_says_which_trace_it_belongs_to(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        server, content = store.serve(), image()
        server.ask("POST", f"/v2/a/b/blobs/uploads/?digest={Digest.of(b'x')}", b"x", {"traceparent": SENT})
        server.ask("POST", f"/v2/a/b/blobs/uploads/?digest={Digest.of(b'y')}", b"y", {"traceparent": "00-junk"})
        content.push(server, "a/b", "v1")
        pushed = [event.detail.get("traceparent") for event in store.audit.events if event.act is Act.PUSH_BLOB]
    assert pushed[:2] == [SENT, None], "where no span is recorded, what the client said is passed on"
    (tmp_path / "traced").mkdir()
    with Traced(tmp_path / "traced") as traced:
        traced.server.push_blob("a/b", b"z")
        (root,) = [one for one in traced.spans() if one.kind == 2]
        (event,) = [event for event in traced.store.audit.events if event.act is Act.PUSH_BLOB]
    assert event.detail["traceparent"] == f"00-{root.trace}-{root.id}-01"


def test_without_the_setting_there_is_no_tracer(tmp_path: Path) -> None:
    assert tracer_of(Config(site="a", side="inside"), Store(tmp_path).paths, "control") is None


class _Files(Tracer):
    """Keeps spans."""

    def __init__(self, folder: Path) -> None:
        super().__init__(1.0, files(folder)[0])
        self.found: list[Span] = []

    def take(self, spans: Sequence[Span]) -> None:
        self.found += spans


def job(state: str = "queued", **more: Any) -> Job:
    return Job("job-1", "collect", {}, state, "ada", clock.now(), **more)


def test_a_job_is_a_span_with_what_it_went_through_below_it(tmp_path: Path) -> None:
    tracer = _Files(tmp_path)
    trails, made = JobTrails(tracer), job()
    sent = TraceContext.parse([SENT])
    place = trails.place(sent)
    assert place is not None
    trails.begin(made, place)
    for made.state, made.phase in (("starting", ""), ("running", ""), ("running", "fetch"), ("running", "fetch"),
                                   ("to-sign", "fetch"), ("running", "x" * 5_000), ("failed", "")):  # fmt: skip
        trails.changed(made)
    made.error = {"code": "no-space"}
    trails.ended(made)
    trails.ended(made)
    root, *below = tracer.found
    assert (root.name, root.trace, root.parent, root.id) == ("job collect", TRACE, SPAN, place.own.span)
    assert (root.error, root.attributes["lockgate.job.state"]) == ("no-space", "failed")
    assert [one.name for one in below] == ["queued", "starting", "running", "fetch", "to-sign", "x" * 100]
    assert {(one.trace, one.parent) for one in below} == {(TRACE, root.id)}
    moments = [root.begun, *(moment for one in below for moment in (one.begun, one.ended)), root.ended]
    assert moments == sorted(moments)


def test_a_job_keeps_its_place_and_what_is_in_its_place_is_none(tmp_path: Path) -> None:
    sent = TraceContext.parse([SENT])
    assert JobTrails().place(None) is None
    untraced = JobTrails().place(sent)
    assert untraced is not None
    untraced.keep(tmp_path)
    assert (place_of(tmp_path), passed_on(tmp_path)) == (untraced, SENT)
    for junk in (b"", b"[]", b"{}", b'{"own":7,"sent":null}', b"[" * 900, b"x" * 5_000, b"\xff"):
        (tmp_path / "trace.json").write_bytes(junk)
        assert (place_of(tmp_path), passed_on(tmp_path)) == (None, "")


async def test_a_trace_goes_from_a_client_through_a_station_to_a_registry_that_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", SENT)
    (tmp_path / "upstream").mkdir()
    station = Station(tmp_path / "alpha", "alpha", "outside")
    paths = StationPaths(station.folder)
    paths.config.write_text(paths.config.read_text().replace("percent = 0.0", "percent = 100.0"))
    with Traced(tmp_path / "upstream") as upstream, station:
        image().push(upstream.server, "team/app", "v1")
        async with ControlClient(station.folder) as client:
            source = {"kind": "registry", "reference": f"{upstream.server.host}/team/app:v1"}
            made = await client.submit("collect", {"sources": [source]})
            states = [said["state"] async for what, said in client.watch(made["id"]) if what == "job"]
        assert states[-1] == "done"
        asked = [one for one in upstream.spans() if one.trace == TRACE]
    written = b"".join(path.read_bytes() for path in (paths.audit / "lanes").iterdir())
    (event,) = [one for one in map(json.loads, written.splitlines()) if one["act"] == "collect.start"]
    (of_job,) = [one for one in read(paths.traces) if one.name == "job collect"]
    assert (of_job.trace, of_job.parent, of_job.error) == (TRACE, SPAN, "")
    assert {one.parent for one in asked if one.kind == 2} == {of_job.id}
    assert event["detail"]["traceparent"] == f"00-{TRACE}-{of_job.id}-01"
