"""A registry in a thread, over plain HTTP on loopback: what it holds is bytes in memory, and it misbehaves as told."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST

Fault = Callable[["Handler"], bool]
"""Answers a request in the registry's place, and says whether it did."""


@dataclass
class SmallRegistry:
    """`asked` are method, path and Range of each request; `fault` may answer them otherwise."""

    port: int = 0
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By `repository/reference`: type and bytes."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Fault = lambda _: False
    ranges: bool = True
    page: int = 0
    """Names on a page of a list of tags; 0 for all of them."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def image(self, repository: str, tag: str, *layers: bytes, subject: Digest | None = None) -> Digest:
        """An artifact of these layers under a tag ("" for none); its digest."""
        described = [self.blob(layer) for layer in layers]
        document: dict[str, Any] = {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.model",
            "config": self.blob(b"{}") | {"mediaType": OCI_EMPTY}, "layers": described,
        }  # fmt: skip
        if subject is not None:
            _, raw = self.manifests[f"{repository}/{subject}"]
            document["subject"] = {"mediaType": OCI_MANIFEST, "digest": str(subject), "size": len(raw)}
        return self.manifest(repository, tag, OCI_MANIFEST, document)

    def index(self, repository: str, tag: str, *children: Digest) -> Digest:
        """An index over manifests of the repository."""
        listed = []
        for child in children:
            kind, raw = self.manifests[f"{repository}/{child}"]
            listed.append({"mediaType": kind, "digest": str(child), "size": len(raw)})
        return self.manifest(
            repository, tag, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        )

    def manifest(self, repository: str, tag: str, kind: str, document: Mapping[str, Any]) -> Digest:
        raw = json.dumps(document).encode()
        digest = Digest.of(raw)
        for reference in filter(None, (tag, str(digest))):
            self.manifests[f"{repository}/{reference}"] = (kind, raw)
        return digest

    def blob(self, body: bytes) -> dict[str, Any]:
        digest = Digest.of(body)
        self.blobs[str(digest)] = body
        return {"mediaType": "application/octet-stream", "digest": str(digest), "size": len(body)}

    def counted(self, *words: str) -> int:
        """How many requests had all of these words in their method and path."""
        return sum(all(word in f"{method} {path}" for word in words) for method, path, _ in self.asked)

    def entry(self, repository: str, tag: str, as_: str | None = None) -> dict[str, Any]:
        """A source of a collect's params."""
        return {"kind": "registry", "reference": f"{self.host}/{repository}:{tag}", "as": as_}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    registry: SmallRegistry

    def do_GET(self) -> None:
        self.registry.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if self.registry.fault(self):
            return
        _, _, rest = self.path.partition("/v2/")
        _, is_blob, digest = rest.partition("/blobs/")
        if is_blob and digest in self.registry.blobs:
            self.send_blob(self.registry.blobs[digest])
            return
        asked = rest.partition("?")[0]
        if asked == "_catalog" or asked.endswith("/tags/list"):
            self.send_names(rest)
            return
        repository, _, reference = rest.partition("/manifests/")
        held = self.registry.manifests.get(f"{repository}/{reference}")
        if held is None:
            self.answer(404)
            return
        self.answer(200, held[1], {"Content-Type": held[0], "Docker-Content-Digest": str(Digest.of(held[1]))})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def send_names(self, asked: str) -> None:
        """A page of a repository's tags, or of the registry's repositories, and where the next one is."""
        path, _, last = asked.partition("?last=")
        held = {key.rpartition("/")[::2] for key in self.registry.manifests}
        if path == "_catalog":
            key, names = "repositories", {repository for repository, _ in held}
        else:
            key, names = "tags", {tag for one, tag in held if one == path.removesuffix("/tags/list") and ":" not in tag}
        left = sorted(name for name in names if name > last)
        page = left[: self.registry.page or None]
        headers = {"Link": f'</v2/{path}?last={page[-1]}>; rel="next"'} if len(page) < len(left) else {}
        self.answer(200, json.dumps({key: page}).encode(), headers)

    def send_blob(self, body: bytes, cut: int | None = None) -> None:
        """A blob, from where the request says; with `cut` the connection ends behind so many bytes of it."""
        start = 0
        if self.registry.ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        self.answer(206 if start else 200, body[start:], headers, cut)

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, cut: int | None = None
    ) -> None:
        """A whole answer, or one that ends behind `cut` bytes of its body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass  # the client went away


@contextlib.contextmanager
def serving(registry: SmallRegistry) -> Iterator[SmallRegistry]:
    """The registry at a port of loopback while the block runs."""
    server = _Server(("127.0.0.1", 0), type("One", (Handler,), {"registry": registry}))
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
