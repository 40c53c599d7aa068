"""A reader never gets wrong bytes under a right status, and a client that pushes again heals what was damaged."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from appliance.registry.errors import WireError
from appliance.registry.services import ACTOR, Action, OpenAccess
from appliance.store.database import open_reader
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.registry_server import Server, Store

METHODS = ("HEAD", "GET")
BODY = os.urandom(3_000_000)


@pytest.mark.parametrize("size", [0, 1000, len(BODY) - 1, len(BODY) + 1])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_of_another_size_than_recorded_is_not_served(
    store: Store, server: Server, size: int, method: str
) -> None:
    digest = server.push_blob("team/app", BODY)
    os.truncate(store.paths.blob(digest), size)
    assert server.ask(method, f"/v2/team/app/blobs/{digest}").status == (404 if method == "HEAD" else 503)
    assert _noted(store) == [str(digest)]


def test_what_is_gone_is_never_said_to_be_unknown_is_on_record_and_comes_back_with_its_bytes(
    store: Store, server: Server
) -> None:
    content = image()
    manifest = content.push(server, "team/app", "v1")
    layer = Digest.of(content.blobs[0])
    other = store.serve()
    for digest, names in ((layer, [f"blobs/{layer}"]), (manifest, [f"manifests/{manifest}", "manifests/v1"])):
        store.paths.blob(digest).unlink()
        fresh = store.serve()  # no bytes at hand
        for name in names:
            for method in ("GET", "HEAD"):
                answer = fresh.ask(method, f"/v2/team/app/{name}")
                if method == "HEAD" and "blobs/" in name:
                    assert answer.status == 404, "who asks whether to send it is told to"
                else:
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert _noted(store) == [str(digest)]
        assert "unread" in fresh.ask("GET", "/readyz").json["codes"]
        content.push(other, "team/app", "v1")
        assert _noted(store) == []
        assert [fresh.ask("GET", f"/v2/team/app/{name}").status for name in names] == [200] * len(names)
    assert server.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'never')}").status == 404


class _Account(OpenAccess):
    """Every request is an account's, and may do `actions`."""

    def __init__(self, *actions: Action) -> None:
        self.actions = actions

    async def admit(self, request: web.Request) -> None:
        request[ACTOR] = "ada"

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        return None if action in self.actions else WireError(403, "DENIED", "no")

    def glance(self, *_: object) -> None:
        return None


def test_an_account_that_may_push_is_told_by_head_to_send_what_is_gone(store: Store, server: Server) -> None:
    """Clients ask by HEAD before they push, and end with an error where the answer is neither 200 nor 404."""
    content = image()
    manifest = content.push(server, "team/app", "v1")
    names = [f"blobs/{Digest.of(content.blobs[0])}", f"manifests/{manifest}"]
    for digest in (Digest.of(content.blobs[0]), manifest):
        store.paths.blob(digest).unlink()
    pushes, pulls = store.serve(access=_Account("pull", "push")), store.serve(access=_Account("pull"))
    for name in names:
        asked = [worker.ask(method, f"/v2/team/app/{name}").status for worker in (pushes, pulls) for method in METHODS]
        assert asked == [404, 503, 503, 503]


def test_pushing_a_damaged_blob_again_heals_it(store: Store, server: Server) -> None:
    digest = server.push_blob("team/app", BODY)
    os.truncate(store.paths.blob(digest), 10)
    server.push_blob("team/app", BODY)
    assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == BODY


def test_a_manifest_that_has_rotted_is_not_served(store: Store, server: Server) -> None:
    content = image()
    digest = content.push(server, "team/app", "v1")
    path = store.paths.blob(digest)
    path.write_bytes(content.manifest.replace(b"2", b"3", 1))
    fresh = store.serve()  # no bytes at hand
    assert fresh.ask("GET", "/v2/team/app/manifests/v1").status == 404
    assert content.push(server, "team/app", "v1") == digest
    assert fresh.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest


def test_a_blob_cut_short_while_it_is_served_ends_its_connection(store: Store, server: Server) -> None:
    body = os.urandom(64_000_000)
    digest = server.push_blob("team/app", body)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = len(client.recv(1000))
        os.truncate(store.paths.blob(digest), 1_000_000)
        try:
            while piece := client.recv(1_000_000):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < len(body)
    assert Digest.of(body) == digest


def _meanwhile(change: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """Make a change over and over, while the block runs."""

    @contextlib.contextmanager
    def running() -> Iterator[None]:
        over = threading.Event()

        def go_on() -> None:
            while not over.is_set():
                change()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return running()


def _link(path: Path) -> None:
    copy = path.with_name(f"{path.name}.copy")
    copy.unlink(missing_ok=True)
    copy.hardlink_to(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode": lambda path: path.chmod(0o640),
    "owner": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "links": _link,
}


@pytest.mark.parametrize("name", sorted(CHANGES))
@pytest.mark.parametrize("size", [1000, len(BODY)])
def test_a_change_of_mode_owner_or_links_is_no_damage(store: Store, server: Server, name: str, size: int) -> None:
    body = BODY[:size]
    digest = server.push_blob("team/app", body)
    file = store.paths.blob(digest)
    with _meanwhile(lambda: CHANGES[name](file)):
        for _ in range(5):
            assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == body
    assert file.exists()
    assert _damaged(store) == []


def test_pulls_go_on_while_others_push_the_same_blob(store: Store, server: Server) -> None:
    digest = server.push_blob("team/app", BODY)
    fresh = store.serve()
    with _meanwhile(lambda: server.push_blob("team/other", BODY)):
        for _ in range(10):
            assert fresh.ask("GET", f"/v2/team/app/blobs/{digest}").body == BODY
    assert _damaged(store) == []


def _noted(store: Store) -> list[str]:
    with contextlib.closing(open_reader(store.paths.database)) as reader:
        return [str(digest) for (digest,) in reader.execute("SELECT digest FROM unread")]


def _damaged(store: Store) -> list[str]:
    with contextlib.closing(open_reader(store.paths.database)) as reader:
        return [str(digest) for (digest,) in reader.execute("SELECT digest FROM damage WHERE healed IS NULL")]


def test_a_rotten_manifest_is_withdrawn_and_head_and_get_agree(store: Store, server: Server) -> None:
    content = image()
    digest = content.push(server, "team/app", "v1")
    assert server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
    file = store.paths.blob(digest)
    file.write_bytes(content.manifest.replace(b"2", b"3", 1))
    fresh = store.serve()
    for method, reference in (("HEAD", "v1"), ("GET", "v1"), ("HEAD", digest), ("GET", digest)):
        answer = fresh.ask(method, f"/v2/team/app/manifests/{reference}")
        assert answer.status == 404
        if method == "GET":
            assert answer.code == "MANIFEST_UNKNOWN"
            assert "damaged" in answer.json["errors"][0]["message"]
    assert _damaged(store) == [str(digest)]
    for method in ("HEAD", "GET"):
        assert server.ask(method, "/v2/team/app/manifests/v1").status == 404, (
            "a worker that had its bytes says the same"
        )
    assert content.push(server, "team/app", "v1") == digest
    for worker in (server, fresh):
        assert worker.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
        assert worker.ask("HEAD", "/v2/team/app/manifests/v1").status == 200
    assert _damaged(store) == []
