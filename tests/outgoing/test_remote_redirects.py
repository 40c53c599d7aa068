"""`collect` from real servers on loopback: redirects, tokens and pages of a registry that means no good."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from appliance.limits import collecting as limits
from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.host_client import HostClient, Hosts
from appliance.outgoing.collect.opening import redirects_of
from appliance.outgoing.collect.pace import Pace
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from tests.outgoing.asking import Asking
from tests.outgoing.outside import Outside

Headers = dict[str, str]
Answer = tuple[int, Headers, bytes]

BLOB = b"firmware" * 1000
ELSEWHERE = [
    "http://169.254.169.254/latest",
    "https://169.254.169.254/latest",
    "https://10.0.0.1/x",
    "https://192.168.1.1:8443/x",
    "https://100.64.0.1/x",
    "https://[fe80::1]/x",
    "https://[fd00::1]/x",
    "https://0.0.0.0/x",
    "https://[::]/x",
    "https://224.0.0.1/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "http://registry.example/x",
    "https://me:secret@127.0.0.1/x",
    "gopher://127.0.0.1/x",
    "https://a..b/",
    "https://./",
    f"https://{'a' * 64}.example/x",
    "https://a%00b/x",
    "https://*.a/x",
    "http://127.0.0.1:0/x",
]


@dataclass
class Web:
    """A server whose answers are a function of the path and the request's headers."""

    answer: Callable[[str, Headers], Answer] = lambda _, __: (404, {}, b"")
    asked: list[tuple[str, Headers]] = field(default_factory=list)
    port: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def source(self, tag: str = "1", redirects: tuple[tuple[str, ...], ...] = ()) -> Asking:
        return Asking(f"127.0.0.1:{self.port}/team/app:{tag}", redirects)


def serve(web: Web) -> Iterator[Web]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            web.asked.append((self.path, headers))
            status, sent, body = web.answer(self.path, headers)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **sent}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def registry() -> Iterator[Web]:
    yield from serve(Web())


@pytest.fixture
def other() -> Iterator[Web]:
    yield from serve(Web())


def fetch(registry: Web, redirects: tuple[tuple[str, ...], ...] = ()) -> bytes:
    with registry.source(redirects=redirects) as source:
        return source.blob(Descriptor("application/octet-stream", Digest.of(BLOB), len(BLOB)))


def refused(registry: Web, error: type[LockgateError] = RefusedError) -> LockgateError:
    with pytest.raises(error) as caught:
        fetch(registry)
    assert "\n" not in caught.value.diagnostics()
    return caught.value


def to(location: str, status: int = 307) -> Callable[[str, Headers], Answer]:
    return lambda _, __: (status, {"Location": location, "Set-Cookie": "a=b"}, b"")


def wants_token(realm: str, then: Callable[[str, Headers], Answer]) -> Callable[[str, Headers], Answer]:
    def answer(path: str, headers: Headers) -> Answer:
        if path.startswith("/token"):
            return 200, {}, b'{"token": "secret"}'
        if "authorization" not in headers:
            return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}, b""
        return then(path, headers)

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_of_another_host_is_fetched_there_without_the_token(registry: Web, other: Web, status: int) -> None:
    registry.answer = wants_token(f"{registry.base}/token", to(f"{other.base}/store?signed=%2Fa", status))
    other.answer = lambda _, __: (200, {}, BLOB)
    assert fetch(registry) == BLOB
    assert [path for path, _ in other.asked] == ["/store?signed=%2Fa"]
    assert not {"authorization", "cookie"} & set(other.asked[0][1])
    assert [headers.get("authorization") for _, headers in registry.asked] == [None, None, "Bearer secret"]


def test_the_token_is_not_sent_again_where_a_redirect_comes_back(registry: Web, other: Web) -> None:
    def answer(path: str, _: Headers) -> Answer:
        return (200, {}, BLOB) if path == "/back" else to(f"{other.base}/there")(path, {})

    registry.answer = lambda path, headers: (
        answer(path, headers) if path == "/back" else wants_token(f"{registry.base}/token", answer)(path, headers)
    )
    other.answer = to(f"{registry.base}/back")
    assert fetch(registry) == BLOB
    assert "authorization" not in registry.asked[-1][1]


def test_a_redirect_inside_the_registry_keeps_the_token(registry: Web) -> None:
    def then(path: str, _: Headers) -> Answer:
        return (200, {}, BLOB) if path == "/moved" else to("/moved")(path, {})

    registry.answer = wants_token(f"{registry.base}/token", then)
    assert fetch(registry) == BLOB


@pytest.mark.parametrize("location", [*ELSEWHERE, "", "http://["])
def test_a_redirect_to_where_the_source_is_not_is_refused(registry: Web, location: str) -> None:
    registry.answer = to(location)
    refused(registry)
    assert len(registry.asked) == 1


def test_redirects_without_end_are_refused(registry: Web, other: Web) -> None:
    registry.answer, other.answer = to(f"{other.base}/x"), to(f"{registry.base}/x")
    refused(registry)
    assert len(registry.asked) + len(other.asked) == limits.REMOTE_REDIRECTS + 1


def test_a_source_narrowed_to_hosts_follows_no_other(registry: Web, other: Web) -> None:
    registry.answer = to(f"http://localhost:{other.port}/x")
    other.answer = lambda _, __: (200, {}, BLOB)
    with pytest.raises(RefusedError) as caught:
        fetch(registry, (("cdn.example",),))
    assert "localhost" in caught.value.remedy
    assert other.asked == []
    assert fetch(registry, (("cdn.example", "localhost"),)) == BLOB


def test_a_narrowing_counts_however_a_reference_writes_the_host(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside:
        config = outside.station.paths.config
        config.write_text(config.read_text() + '"registry.example" = ["cdn.example"]\n')
    with Outside.opened(tmp_path / "alpha") as outside:
        for host in ("registry.example", "Registry.EXAMPLE"):
            assert redirects_of(outside.context("collect", {}), {}, host) == [("cdn.example",)]


def test_a_realm_on_another_host_gets_no_credentials(registry: Web, other: Web) -> None:
    def then(_: str, headers: Headers) -> Answer:
        return (200, {}, BLOB) if headers["authorization"] == "Bearer second" else registry_401

    registry_401: Answer = (401, {"WWW-Authenticate": f'Bearer realm="{other.base}/token"'}, b"")
    registry.answer = lambda path, headers: then(path, headers) if "authorization" in headers else registry_401
    tokens = iter(["first", "second"])
    other.answer = lambda _, __: (200, {}, json.dumps({"token": next(tokens)}).encode())
    blob = Descriptor("application/octet-stream", Digest.of(BLOB), len(BLOB))
    with registry.source() as source:
        with pytest.raises(FailedError):
            source.blob(blob)
        assert source.blob(blob) == BLOB
    assert len(other.asked) == 2
    assert not any({"authorization", "cookie"} & set(headers) for _, headers in other.asked)


@pytest.mark.parametrize("realm", ELSEWHERE)
def test_a_realm_where_the_source_is_not_is_refused(registry: Web, realm: str) -> None:
    registry.answer = wants_token(realm, lambda _, __: (200, {}, BLOB))
    refused(registry)
    assert len(registry.asked) == 1


def test_a_realm_that_sends_on_is_under_the_same_rule(registry: Web, other: Web) -> None:
    registry.answer = wants_token(f"{other.base}/t", lambda _, __: (200, {}, BLOB))
    other.answer = to("https://169.254.169.254/token")
    refused(registry)


def test_a_challenge_of_another_host_is_not_answered(registry: Web, other: Web) -> None:
    registry.answer = to(f"{other.base}/x")
    other.answer = wants_token(f"{other.base}/token", lambda _, __: (200, {}, BLOB))
    refused(registry, FailedError)
    assert [path for path, _ in other.asked] == ["/x"]


def page(entries: int, first: int = 0) -> bytes:
    listed = [
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(str(number).encode())), "size": 2}
        for number in range(first, first + entries)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()


def referrers(registry: Web, answer: Callable[[int, str], tuple[str, bytes]]) -> list[Descriptor]:
    """What a source finds where `answer` gives the next page's link, and the page, by number and path. There is no
    fallback index beside them."""

    def served(path: str, headers: Headers) -> Answer:
        if "/manifests/" in path:
            registry.asked.remove((path, headers))
            return 404, {}, b""
        link, body = answer(len(registry.asked), path)
        return 200, {"Content-Type": OCI_INDEX, **({"Link": f'<{link}>; rel="next"'} if link else {})}, body

    registry.answer = served
    with registry.source() as source:
        return list(source.evidence(Digest.of(b"subject")).referrers)


def test_every_page_of_referrers_is_taken(registry: Web) -> None:
    found = referrers(registry, lambda n, _: (f"?page={n}" if n < 5 else "", page(3 if n != 2 else 0, n * 3)))
    assert len(found) == 12
    assert len(registry.asked) == 5


def test_what_the_fallback_index_lists_is_taken_beside_what_the_referrers_api_does(registry: Web) -> None:
    """A registry that learned the API later lists there what came since; and one without it has the index alone."""
    for api, found in ((200, 3), (404, 2)):
        registry.answer = lambda path, _, api=api: (
            (api, {"Content-Type": OCI_INDEX}, page(2)) if "/referrers/" in path
            else (200, {"Content-Type": OCI_INDEX}, page(2, 1))
        )  # fmt: skip
        digest = Digest.of(b"subject")
        registry.asked.clear()
        with registry.source() as source:
            evidence = source.evidence(digest)
            assert len(evidence.referrers) == found
            assert source.manifest(evidence.tags[f"sha256-{digest.hex}"]) == page(2, 1)
        assert sum(path.endswith(f"-{digest.hex}") for path, _ in registry.asked) == 1


@pytest.mark.parametrize(
    ("link", "entries", "asked"),
    [("?page=1", 1, 3), ("?page={n}", 0, limits.REMOTE_PAGES_EMPTY + 1), ("?page={n}", 4000, 3)],
    ids=["a circle", "empty pages", "too many"],
)
def test_pages_without_end_are_refused(registry: Web, link: str, entries: int, asked: int) -> None:
    with pytest.raises(MalformedError):
        referrers(registry, lambda n, _: (link.format(n=n), page(entries)))
    assert len(registry.asked) <= asked


@pytest.mark.parametrize(("name", "most"), [("REMOTE_PAGES", 4), ("REMOTE_REFERRERS_SIZE", 4 * len(page(1)))])
def test_pages_are_bounded_by_number_and_by_bytes(
    registry: Web, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(limits, name, most)
    with pytest.raises(MalformedError):
        referrers(registry, lambda n, _: (f"?page={n}", page(1)))
    assert len(registry.asked) == 5


def test_a_next_page_at_another_host_is_refused_rather_than_left_out(registry: Web, other: Web) -> None:
    with pytest.raises(RefusedError):
        referrers(registry, lambda _, __: (f"{other.base}/next", page(1)))
    assert other.asked == []


@pytest.mark.parametrize(
    "link",
    [
        "//127.0.0.1:{port}//[>", "//127.0.0.1:{port}//[/x", "/..//[x", "//[", "https://a..b/", "http://127.0.0.1:0/",
        "?a=//[", "/%zz?%", "//\udcff/", "foo://x/",
    ],
)  # fmt: skip
def test_a_next_page_with_an_address_that_cannot_be_used_is_one_named_error_or_the_registrys_own(
    registry: Web, link: str
) -> None:
    text = link.format(port=registry.port).encode("utf-8", "surrogateescape").decode("latin-1")
    with contextlib.suppress(RefusedError, MalformedError):
        referrers(registry, lambda _, __: (text, page(1)))
    assert all(headers["host"] == f"127.0.0.1:{registry.port}" for _, headers in registry.asked)


@pytest.mark.parametrize("slashes", ["//", "///", "/.//", "//x/..//"])
def test_a_next_page_whose_path_reads_as_a_host_is_asked_of_the_registry(
    registry: Web, other: Web, slashes: str
) -> None:
    """A path that begins with two slashes is a host where it is joined by itself (RFC 3986, section 5.2)."""
    target = f"{registry.base}{slashes}127.0.0.1:{other.port}/internal?x=1"
    found = referrers(registry, lambda n, _: (target if n == 1 else "", page(1, n)))
    assert len(found) == 2
    assert other.asked == []
    assert registry.asked[1][0].endswith(f"127.0.0.1:{other.port}/internal?x=1")


async def test_no_request_begins_at_another_origin(registry: Web, other: Web) -> None:
    hosts = Hosts(0.001)
    client = hosts.client(HostAccess(f"127.0.0.1:{registry.port}"), ())
    for url in (URL(f"{other.base}/x"), URL(f"https://127.0.0.1:{registry.port}/x"), URL("http://a..b/")):
        with pytest.raises(RefusedError):
            await client.follow("GET", url, {})
    for realm in ("https://10.0.0.1/t", "http://auth.example/t"):
        with pytest.raises(RefusedError):
            await client.follow("GET", URL(realm), {}, realm=True)
        with pytest.raises(RefusedError):
            await client.post(URL(realm), {})
    await hosts.close()
    assert other.asked == registry.asked == []


def test_a_registry_is_reached_through_a_proxy_on_loopback_and_no_other_port_of_it(registry: Web, other: Web) -> None:
    class ByProxy:
        def for_repository(self, host: str, _: str) -> HostAccess:
            return HostAccess(host, plain_http=True, proxy=registry.base)

        def located(self, host: str, repository: str) -> tuple[str, str]:
            return host, repository

        def mirrors(self, *_: str) -> tuple[tuple[str, str], ...]:
            return ()

    blob = Descriptor("application/octet-stream", Digest.of(BLOB), len(BLOB))
    for moved in ("http://registry.example/moved", f"http://127.0.0.1:{other.port}/x", f"{registry.base}/x"):
        sent_on = to(moved)
        registry.answer = lambda path, headers, sent_on=sent_on: (  # type: ignore[misc]
            (200, {}, BLOB) if path.endswith("/moved") else sent_on(path, headers)
        )
        with Asking("registry.example/team/app:1", accesses=ByProxy()) as asking:
            if moved.endswith("/moved"):
                assert asking.blob(blob) == BLOB
            else:
                with pytest.raises(RefusedError):
                    asking.blob(blob)
    assert all(path.startswith("http://registry.example/") for path, _ in registry.asked)
    assert other.asked == []


async def test_a_host_that_the_registry_names_gets_no_client_certificate_and_its_own_authorities() -> None:
    own, table = ssl.create_default_context(), ssl.create_default_context()
    used: list[tuple[str, object]] = []

    class Recording:
        async def request(self, _: str, url: URL, **how: Any) -> None:
            used.append((f"{url.raw_host}:{url.port}", how["ssl"]))
            raise ConnectionError

    access = HostAccess("registry.example", ssl=own, authorities={"auth.example:8443": table}.get)
    client = HostClient(access, (), Pace("registry.example", 0.001))
    client._connections = Recording  # type: ignore[method-assign, assignment]
    for url in ("https://auth.example:8443/t", "https://evil.example/t", "https://registry.example:8443/t"):
        with pytest.raises(ConnectionError):
            await client.follow("GET", URL(url), {}, "Basic x", realm=True)
        with pytest.raises(ConnectionError):
            await client.post(URL(url), {"refresh_token": "x"})
    for url in ("https://registry.example/v2/x", "https://registry.example:443/t"):
        with pytest.raises(ConnectionError):
            await client.follow("GET", URL(url), {})
    assert used == [
        *[("auth.example:8443", table)] * 2, *[("evil.example:443", True)] * 2, *[("registry.example:8443", True)] * 2,
        *[("registry.example:443", own)] * 2,
    ]  # fmt: skip
