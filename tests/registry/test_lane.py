"""The pull lane answers byte for byte what the handlers answer, hands over what it does not, and skips no check."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import clock
from appliance.audit.acts import Act
from appliance.log_lines import FIELDS, REQUESTS
from appliance.registry.plain_head import END, HEAD, head_of, may_become_plain
from appliance.registry.services import RegistrySettings
from appliance.settings.gates import Gate
from appliance.store.writes.access import RevokeTokens
from appliance.store.writes.lifecycle import Block
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.access.site import Site, basic, bearer, token
from tests.conformance.shapes import image
from tests.image_signatures.pulling import Held, rule, signed
from tests.observe.counted import Counted
from tests.registry.wire import HOST, Seen, exchange, head, lane
from tests.registry_server import Server, Store

__all__ = ["lane"]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"
REPOSITORY = "team/app"


class Both:
    """A worker with the lane, one without it, over one store that holds an image, its referrer and some blobs."""

    def __init__(self, store: Store, on: Server, off: Server, sent: dict[str, str]) -> None:
        self.store, self.on, self.off, self.sent = store, on, off, sent
        content = image()
        writer = store.serve()
        self.digest = content.push(writer, REPOSITORY, "v1")
        self.layer = Digest.of(content.blobs[0])
        self.large = writer.push_blob(REPOSITORY, b"x" * 70_000)
        self.config = writer.push_blob(REPOSITORY, b"{}")
        self.elsewhere = writer.push_blob("other/app", b"elsewhere")
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(self.config), "size": 2}
        writer.push_manifest(
            REPOSITORY,
            {
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x-note", "config": empty,
                "layers": [empty], "subject": {"mediaType": OCI_MANIFEST, "digest": str(self.digest), "size": 1},
            },
        )  # fmt: skip
        for number in range(4):
            content.push(writer, REPOSITORY, f"t{number}")

    def ask(self, server: Server, *heads: tuple[str, str, dict[str, str]]) -> tuple[bytes, ...]:
        raw = [head(method, target, **self.sent | fields) for method, target, fields in heads]
        return exchange(server, [b"".join(raw)], [method for method, _, _ in heads])

    def targets(self) -> list[str]:
        base = f"/v2/{REPOSITORY}"
        return [
            f"{base}/manifests/v1", f"{base}/manifests/{self.digest}", f"{base}/manifests/none",
            f"{base}/manifests/v1?ns=docker.io", f"{base}/manifests/{Digest.of(b'none')}", f"{base}/manifests/sha256:1",
            f"{base}/manifests/-", f"{base}/blobs/{self.layer}", f"{base}/blobs/{self.large}",
            f"{base}/blobs/{self.elsewhere}", f"{base}/blobs/{self.layer}?ns=x", f"{base}/blobs/v1",
            f"{base}/tags/list", f"{base}/tags/list?n=2", f"{base}/tags/list?n=2&last=t1", f"{base}/tags/list?n=x",
            f"{base}/tags/list?last=%74%31", f"{base}/tags/list?n=0", f"{base}/referrers/{self.digest}",
            f"{base}/referrers/{self.digest}?artifactType=application/x-note", f"{base}/referrers/{self.layer}",
            f"{base}/referrers/{self.digest}?artifactType=application%2Fx-note", "/v2/none/app/tags/list",
            "/v2/none/app/manifests/v1", "/v2/", "/v2/_catalog", "/v2/Bad/manifests/v1", "/v2/team//app/tags/list",
            "/v2/team/app/manifests/v%31", "/v2/team/../team/app/manifests/v1", "/v2/other/app/tags/list", "/readyz",
            f"{base}/blobs/uploads/none", f"{base}/manifests/v1?x=%00", f"{base}/manifests/v1?",
        ]  # fmt: skip


@pytest.fixture(params=["open", "accounts"])
def both(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Both]:
    if request.param == "open":
        with Store(tmp_path) as store:
            yield Both(store, store.serve(), store.serve(with_lane=False), {})
        return
    with Site(tmp_path) as site:
        on, off = site.worker(rate=1e6), site.worker(rate=1e6, with_lane=False)
        site.person("ada", "reader team/**")
        yield Both(site, on, off, bearer(token(on, "ada", f"repository:{REPOSITORY}:pull")))


def test_every_route_has_the_same_answer(both: Both, lane: Seen) -> None:
    for target, method in itertools.product(both.targets(), ("GET", "HEAD")):
        asked = (method, target, {"Accept": ACCEPT, "User-Agent": "containerd/2"})
        expected = both.ask(both.off, asked)
        for _ in range(2):  # what was not at hand is at the second
            assert both.ask(both.on, asked) == expected, (method, target)
    assert lane.take() >= 35


def test_every_condition_and_field_has_the_same_answer(both: Both, lane: Seen) -> None:
    base = f"/v2/{REPOSITORY}"
    held = [(f"{base}/manifests/v1", both.digest), (f"{base}/blobs/{both.layer}", both.layer)]
    for target, digest in held:
        fields = [
            {"If-None-Match": "*"}, {"If-None-Match": f'"{digest}"'}, {"If-None-Match": f'W/"{digest}", "x"'},
            {"If-None-Match": f"x, {digest}"}, {"If-None-Match": '"x"'}, {"If-None-Match": ""}, {"If-Match": '"x"'},
            {"Range": "bytes=1-3"}, {"Range": "bytes=-2"}, {"Range": "bytes=9999999-"}, {"Range": "bytes=1-2,4-5"},
            {"Range": "bytes=0-", "If-Range": '"x"'}, {"Accept": "text/plain"}, {"Accept": "*/*", "accept": "a/b"},
            {"Connection": "keep-alive"}, {"Connection": "close"}, {"Connection": "Upgrade", "Upgrade": "h2c"},
            {"Expect": "x"}, {"Content-Length": "0"}, {"Content-Length": "00"},
            {"Accept-Encoding": "gzip"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic !"},
            {"X-Forwarded-For": "1.2.3.4"}, {"Cookie": "a=b"}, {"Host": "evil.example"}, {"traceparent": "x"},
        ]  # fmt: skip
        for asked, method in itertools.product(fields, ("GET", "HEAD")):
            methods = (method, target, asked)
            expected = both.ask(both.off, methods)
            assert both.ask(both.on, methods) == expected, methods
    assert lane.take() >= 30


def _plain(both: Both) -> list[tuple[str, str, dict[str, str]]]:
    base = f"/v2/{REPOSITORY}"
    return [
        ("GET", f"{base}/manifests/v1", {}), ("HEAD", f"{base}/blobs/{both.layer}", {"Accept": "*/*"}),
        ("GET", f"{base}/manifests/none", {}), ("GET", f"{base}/blobs/{both.layer}", {}),
        ("GET", f"{base}/tags/list?n=2", {"Connection": "keep-alive"}), ("HEAD", f"{base}/manifests/v1", {}),
    ]  # fmt: skip


def test_pipelined_and_split_input_has_the_same_answers(both: Both, lane: Seen) -> None:
    heads = _plain(both)
    raw = b"".join(head(method, target, **both.sent | fields) for method, target, fields in heads)
    methods = [method for method, _, _ in heads]
    expected = exchange(both.off, [raw], methods)
    assert len(expected) == len(heads)
    exchange(both.on, [raw], methods)
    lane.take()
    assert exchange(both.on, [raw], methods) == expected
    assert lane.take() == 2  # the third is not the lane's, and so what came with it is not either
    for place in range(1, len(raw), 13 if both.sent else 3):
        assert exchange(both.on, [raw[:place], raw[place:]], methods) == expected, place
    assert exchange(both.on, [raw[place : place + 1] for place in range(len(raw))], methods) == expected
    one = head(*heads[0][:2], **both.sent)
    lane.take()
    places = range(1, len(one), 7 if both.sent else 1)
    for place in places:
        exchange(both.on, [one[:place], one[place:]])
    assert lane.take() == len(places)
    assert exchange(both.on, [one * 40], ["GET"] * 40) == exchange(both.off, [one * 40], ["GET"] * 40)


def test_a_connection_comes_back_to_the_lane_behind_what_it_did_not_answer(both: Both, lane: Seen) -> None:
    good, missing = (head(*_plain(both)[number][:2], **both.sent) for number in (0, 2))
    exchange(both.on, [good])

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(HOST, both.on.port)

        async def answer(raw: bytes) -> bytes:
            writer.write(raw)
            found = await reader.readuntil(END)
            await reader.readexactly(int(found.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
            return found

        for _ in range(3):
            lane.take()
            assert b"404" in await answer(missing)
            assert lane.take() == 0
            assert b"200" in await answer(good)
            assert lane.take() == 1
        writer.close()

    asyncio.run(ask())


SMUGGLED = b"GET /v2/other/app/tags/list HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LINE = f"GET /v2/{REPOSITORY}/manifests/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()


@pytest.mark.parametrize(
    "raw",
    [
        LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        LINE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LINE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        LINE + b"Transfer-Encoding: xchunked\r\n\r\n",
        LINE + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        LINE + b"Content-Length: 0\r\nContent-Length: 58\r\n\r\n" + SMUGGLED,
        LINE + b"Content-Length: +0\r\n\r\n",
        LINE + b"Content-Length: 0, 0\r\n\r\n",
        LINE + b"X-A: b\n\r\n",
        LINE.replace(b"\r\n", b"\n") + b"\n",
        LINE + b"X-A: b\r\r\n\r\n",
        LINE + b"X-A: b\0c\r\n\r\n",
        LINE + b"X-A: b\r\n folded\r\n\r\n",
        LINE + b"X-A: b\r\n\tfolded\r\n\r\n",
        LINE + b"X-A\t: b\r\n\r\n",
        LINE + b"X-A:\tb\r\n\r\n",
        LINE + b"X-\xc3\xa9: b\r\n\r\n",
        LINE + b"X-A: \xff\r\n\r\n",
        LINE + b": b\r\n\r\n",
        LINE + b"X-A\r\n\r\n",
        LINE + b"Host: 127.0.0.1\r\n\r\n",
        LINE + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        LINE + b"If-None-Match: x\r\nIf-None-Match: *\r\n\r\n",
        LINE + b"Connection: keep-alive, close\r\n\r\n",
        LINE + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n",
        LINE + b"X-A: " + b"a" * 9_000 + b"\r\n\r\n",
        LINE + b"".join(b"X-A%d: b\r\n" % number for number in range(200)) + b"\r\n",
        LINE.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
        LINE.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n",
        LINE.replace(b" HTTP/1.1", b"") + b"\r\n",
        LINE.replace(b"GET ", b"get ") + b"\r\n",
        LINE.replace(b"GET ", b"GET\t") + b"\r\n",
        LINE.replace(b"GET ", b"GET  ") + b"\r\n",
        LINE.replace(b"GET ", b" GET ") + b"\r\n",
        LINE.replace(b"/v2/", b"http://127.0.0.1/v2/", 1) + b"\r\n",
        LINE.replace(b"/v2/", b"http://evil.example/v2/", 1) + b"\r\n",
        LINE.replace(b"/v2/", b"//v2/", 1) + b"\r\n",
        LINE.replace(b"/v1", b"/v1#a") + b"\r\n",
        LINE.replace(b"/v1", b"/v%31") + b"\r\n",
        LINE.replace(b"/v1", b"/v1 ") + b"\r\n",
        b"\r\n" + LINE + b"\r\n",
        b"GET /v2/team/app/manifests/v1 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
def test_what_may_be_read_in_two_ways_is_not_the_lanes(served: tuple[Server, Server], lane: Seen, raw: bytes) -> None:
    on, off = served
    good = head("GET", f"/v2/{REPOSITORY}/manifests/v1")
    exchange(on, [good])
    lane.take()
    assert (len(exchange(on, [good])), lane.take()) == (1, 1)
    count = 2 if raw.endswith(SMUGGLED) and b"chunked" in raw else 1
    closing = head("GET", "/healthz", Connection="close")
    methods = ["GET"] * (count + 1)
    assert exchange(on, [raw, closing], methods) == exchange(off, [raw, closing], methods)
    assert lane.take() == 0
    assert exchange(on, [good, raw, closing], ["GET", *methods]) == exchange(
        off, [good, raw, closing], ["GET", *methods]
    )
    assert lane.take() == 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    with Store(tmp_path_factory.mktemp("lane")) as store:
        on, off = store.serve(), store.serve(with_lane=False)
        image().push(off, REPOSITORY, "v1")
        yield on, off


GOOD = head("GET", f"/v2/{REPOSITORY}/manifests/v1?ns=a", Accept=ACCEPT, Authorization="Bearer a.b.c", x_a="b")
PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"Host: x\r\n", b"Content-Length: 1\r\n", b"chunked",
     b"Transfer-Encoding: chunked\r\n", b"%", b"?", b"#", b"HTTP/1.0", b"HEAD", b"\xff", b"Upgrade: h2c\r\n"]
)  # fmt: skip


def aiohttp_reads(raw: bytes) -> list[tuple[str, str, list[tuple[str, str]], bool]]:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        parser = HttpRequestParser(
            BaseProtocol(loop), loop, 2**16, max_line_size=2**14, max_field_size=2**14, max_headers=128
        )
        messages, upgraded, tail = parser.feed_data(raw)
        assert (upgraded, tail) == (False, b"")
        assert all(payload.is_eof() for _, payload in messages)
        return [(one.method, one.path, list(one.headers.items()), one.should_close) for one, _ in messages]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 6), PIECES | st.binary(max_size=3)), max_size=4))
def test_whatever_the_reader_takes_aiohttp_reads_in_the_same_way(edits: list[tuple[int, int, bytes]]) -> None:
    raw = GOOD
    for place, cut, piece in edits:
        raw = raw[:place] + piece + raw[place + cut :]
    end = raw.find(END)
    for size in (0, end // 2, end):
        assert may_become_plain(raw[: max(size, 0)]) in (True, False)
    found = head_of(raw[:end]) if 0 <= end <= HEAD else None
    if found is None:
        return
    assert may_become_plain(raw[:end])
    ((method, path, fields, closes),) = aiohttp_reads(raw[: end + len(END)])
    said = {name.lower(): value for name, value in fields if name.lower() != "accept"}
    assert (method, path, closes) == (found.method, found.target, False)
    assert (said["host"], said.get("authorization"), said.get("if-none-match"), said.get("user-agent", "")) == (
        found.fields.host, found.fields.authorization, found.fields.if_none_match, found.fields.user_agent,
    )  # fmt: skip


def status(server: Server, sent: dict[str, str], path: str = "manifests/v1", method: str = "GET") -> int:
    (answer, *_) = exchange(server, [head(method, f"/v2/{REPOSITORY}/{path}", **sent)], [method])
    return int(answer[9:12])


def test_no_check_is_skipped(tmp_path: Path, lane: Seen) -> None:
    with Site(tmp_path) as site:
        worker, other = site.worker(rate=1e6), site.worker(rate=1e6)
        slow, fenced = site.worker(rate=0.5), site.worker(addresses=("10.0.0.0/8",))
        site.person("ada", "maintainer team/**")
        content = image()
        sent = bearer(token(worker, "ada", f"repository:{REPOSITORY}:pull"))
        writer = site.serve()

        def warm(server: Server = worker, path: str = "manifests/v1") -> None:
            """The lane answers."""
            status(server, sent, path)
            lane.take()
            assert (status(server, sent, path), lane.take()) == (200, 1)

        digest = content.push(writer, REPOSITORY, "v1")
        layer = Digest.of(content.blobs[0])
        # A tag that another worker moves or takes away.
        warm()
        warm(path="tags/list")
        assert other.ask("DELETE", f"/v2/{REPOSITORY}/manifests/v1", headers=basic("ada")).status == 202
        assert status(worker, sent) == 404
        assert b'"tags": []' in exchange(worker, [head("GET", f"/v2/{REPOSITORY}/tags/list", **sent)])[0]
        content.push(writer, REPOSITORY, "v1")
        # A blob that is taken away, and comes back.
        warm(path=f"blobs/{layer}")
        assert other.ask("DELETE", f"/v2/{REPOSITORY}/blobs/{layer}", headers=basic("ada")).status == 202
        assert status(worker, sent, f"blobs/{layer}") == 404
        content.push(writer, REPOSITORY, "v1")
        # A file that changes on the disk.
        warm(path=f"blobs/{layer}")
        warm(path=f"blobs/{layer}")
        path = site.paths.blob(layer)
        whole = path.read_bytes()
        path.write_bytes(b"y" * len(whole))
        assert status(worker, sent, f"blobs/{layer}") == 404
        content.push(writer, REPOSITORY, "v1")
        warm(path=f"blobs/{layer}")
        os.truncate(path, 1)
        assert {status(worker, sent, f"blobs/{layer}", method) for method in ("GET", "HEAD")} <= {404, 503}
        content.push(writer, REPOSITORY, "v1")
        # Another's repository, under a token for this one.
        warm()
        assert exchange(worker, [head("GET", "/v2/other/app/manifests/v1", **sent)])[0][9:12] in (b"401", b"403")
        # A bucket, and a network.
        answers = [status(slow, sent) for _ in range(12)]
        assert (answers[0], answers[-1]) == (200, 429)
        assert status(fenced, sent) == 403
        # A block, of a manifest and of a blob.
        warm()
        warm(path=f"blobs/{layer}")
        for blocked in (digest, layer):
            site.submit(Block(digest=str(blocked), why="CVE", at=clock.now(), actor="ada"))
        assert {status(worker, sent), status(worker, sent, f"blobs/{layer}")} == {403}
        # The token.
        warm(path="tags/list")
        site.submit(RevokeTokens(account="ada", at=clock.now()))
        assert (status(worker, sent, "tags/list"), lane.take()) == (401, 0)


def test_the_policy_for_images_holds_in_the_lane(tmp_path: Path, lane: Seen) -> None:
    with Held(tmp_path) as held:
        held.push(signed(), "v1")
        sent = held.headers("node", "pull", REPOSITORY)
        worker = held.workers[0]
        held.apply(rule())
        for _ in range(2):
            lane.take()
            assert status(worker, sent) == 200
        assert lane.take() == 1
        gate = Gate(repositories=["**"], sbom="own", at=["pull"])
        for rules, gates in (([rule(owners=["Nobody"])], []), ([], [gate])):
            held.apply(*rules, gate=gates)
            lane.take()
            answers = {status(worker, sent, method=method) for method in ("GET", "HEAD") for _ in range(2)}
            assert (answers, lane.take()) == ({403}, 0)


def test_an_open_station_answers_under_loopback_names_alone(served: tuple[Server, Server], lane: Seen) -> None:
    on, _ = served
    raw = head("GET", f"/v2/{REPOSITORY}/manifests/v1")
    exchange(on, [raw])
    lane.take()
    refused = (
        b"evil.example",
        b"localhost:0",
        b"localhost:99999",
        b"localhost:",
        b"127.1",
        b"::1",
        b"[127.0.0.1]",
        b"x@[::1]",
    )
    taken = (b"localhost", b"127.0.0.1:5000", b"[::1]:80")
    for host, expected in (*((one, 1) for one in taken), *((one, 0) for one in refused)):
        answer = exchange(on, [raw.replace(HOST.encode(), host)])[0]
        assert (answer[9:12], lane.take()) == (b"200" if expected else b"403", expected), host


def test_pulls_are_counted_recorded_and_logged_as_without_the_lane(
    tmp_path: Path, lane: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, object]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = dict(getattr(record, FIELDS))
            del fields["request"], fields["seconds"]
            logged.append(fields)

    logger, handler = logging.getLogger(REQUESTS), Lines()
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger._cache.clear()  # type: ignore[attr-defined]
    found, content = [], image()
    for number, with_lane in enumerate((True, False)):
        (tmp_path / str(number)).mkdir()
        with Store(tmp_path / str(number)) as store:
            counted = Counted(("team", ("team/**",)), ("all", ("**",)))
            to_log = RegistrySettings(log_requests=True)
            server = store.serve(measures=counted.measures, with_lane=with_lane, settings=to_log)
            content.push(server, REPOSITORY, "v1")
            layer = Digest.of(content.blobs[0])
            logger.addHandler(handler)
            for path in ("manifests/v1", f"blobs/{layer}", "tags/list", "manifests/none"):
                for method, _ in itertools.product(("GET", "HEAD"), range(3)):
                    status(server, {"Authorization": "Bearer x", "traceparent": TRACE, "User-Agent": "a"}, path, method)
                    status(server, {"If-None-Match": "*"}, path, method)
            logger.removeHandler(handler)
            moved = {name: value for name, value in counted.now().items() if "_seconds" not in name}
            events = [(one.act, one.thing, one.detail) for one in store.audit.events if one.act is Act.PULL]
            found.append((moved, events, list(logged)))
            logged.clear()
    assert lane.take() > 10
    assert found[0] == found[1]
    assert (len(found[0][1]), len(found[0][2])) == (1, 48)
