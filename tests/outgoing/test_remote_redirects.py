"""`collect` from real servers on loopback: redirects, tokens and pages of a registry that means no good."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance import limits
from appliance.outgoing.collect.opening import redirects_of
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
