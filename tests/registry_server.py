"""A live registry on loopback over a real store, for tests: the application in a thread, SQLite and files beneath."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from appliance.audit.port import MemoryAudit
from appliance.paths import StationPaths
from appliance.registry.app import create_app
from appliance.registry.measuring import RegistryMeasures
from appliance.registry.services import RegistryServices
from appliance.registry.serving import make_runner, new_loop
from appliance.store.blobs import BlobStore
from appliance.store.files import Files
from appliance.store.opening import open_store
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService, WriterService
from appliance.store.writes.write import AsyncGuarded
from bundles.oci.digest import Digest

EMPTY = b"{}"


@dataclass
class Answer:
    """A response: status, headers (case-insensitive), body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code of the specification's error body."""
        return str(self.json["errors"][0]["code"])


@dataclass
class Client:
    """A plain HTTP client of the registry at a port of loopback."""

    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def push_blob(self, repository: str, body: bytes, algorithm: str = "sha256") -> Digest:
        """A blob in one POST."""
        digest = Digest.of(body, algorithm)
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body)
        assert answer.status == 201, answer.body
        return digest

    def push_manifest(self, repository: str, document: Mapping[str, Any] | bytes, reference: str = "") -> Digest:
        """A manifest by tag, or by its sha256 digest; its Content-Type is the document's own mediaType."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = Digest.of(body)
        answer = self.ask(
            "PUT",
            f"/v2/{repository}/manifests/{reference or digest}",
            body,
            {"Content-Type": json.loads(body)["mediaType"]},
        )
        assert answer.status == 201, answer.body
        return digest


@dataclass
class Server(Client):
    """One worker: the registry's application on a port of its own, in a thread of its own."""

    services: RegistryServices = field(kw_only=True)
    port: int = 0
    tls: ssl.SSLContext | None = None
    measures: RegistryMeasures | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=new_loop)
    with_lane: bool = True

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _stop(self) -> None:
        await self.runner.cleanup()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _start(self) -> None:
        self.runner = make_runner(create_app(self.services, self.measures), with_lane=self.with_lane)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        self.port = self.runner.addresses[0][1]


class Store:
    """A station's store in a folder, and as many workers over it as a test asks for; a context manager."""

    def __init__(self, root: Path) -> None:
        self.paths = StationPaths(root)
        self.writer = WriterService(self.paths.database)
        self.blobs = open_store(self.paths)
        self.audit = MemoryAudit()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.writer.close()

    def on_close(self, work: Callable[[], object]) -> None:
        """Do something before the workers that there are so far end."""
        self._stack.callback(work)

    def serve(
        self,
        files: Files | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        tls: ssl.SSLContext | None = None,
        measures: RegistryMeasures | None = None,
        with_lane: bool = True,
        **services: Any,
    ) -> Server:
        """Another worker: its own connection, its own memory, the same files."""
        blobs = open_store(self.paths) if files is None else BlobStore(self.paths, files)
        handed = RegistryServices(
            blobs=blobs,
            metadata=Metadata(self.paths.database),
            writer=AsyncGuarded(AsyncWriterService(self.writer)),
            uploads=UploadSessions(blobs),
            audit=self.audit,
            **services,
        )
        server = Server(services=handed, tls=tls, measures=measures, loop=loop or new_loop(), with_lane=with_lane)
        return self._stack.enter_context(server)
