"""A way to a real S3 server on which a chosen number of requests go wrong."""

from __future__ import annotations

import http.client
import threading
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Fault(Enum):
    """What happens to a request."""

    BUSY = auto()
    """It is not passed on; the answer is 503."""
    CLOSED = auto()
    """It is not passed on; the connection is closed."""
    LOST = auto()
    """It is done; the connection is closed before the answer."""
    TORN = auto()
    """It is done; the connection is closed in the middle of the answer's body."""
    UNSHOWN = auto()
    """The answer is that there is no such object."""
    ALTERED = auto()
    """The answer's last byte is another one."""


class FaultyWay:
    """A server of its own that passes requests on to the S3 server at `port`. `failed` requests went wrong so far; of
    blobs alone, the mark and listings pass."""

    def __init__(self, port: int) -> None:
        self.failed = 0
        self._left, self._kind, self._method = 0, Fault.BUSY, ""
        self._lock = threading.Lock()
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = way._take(self.command, self.path)
                if fault is Fault.CLOSED:
                    self.close_connection = True
                    return
                if fault is Fault.BUSY:
                    self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                    return
                if fault is Fault.UNSHOWN:
                    self._answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
                    return
                status, headers, data = way._pass_on(port, self.command, self.path, dict(self.headers), body)
                if fault is Fault.LOST:
                    self.close_connection = True
                    return
                if fault is Fault.ALTERED and data:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                self._answer(status, headers, data, torn=fault is Fault.TORN)

            def _answer(self, status: int, headers: dict[str, str], data: bytes, torn: bool = False) -> None:
                self.send_response_only(status)
                length = headers.pop("Content-Length", str(len(data)))
                for name, value in headers.items():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data[: len(data) // 2] if torn else data)
                if torn:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None: ...

        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_any)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, kind: Fault, times: int, method: str = "") -> None:
        """Let so many requests of a method go wrong from now on, "" for any."""
        with self._lock:
            self._left, self._kind, self._method, self.failed = times, kind, method, 0

    def _take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            if not self._left or self._method not in {"", method} or "lockgate-store" in path or "list-type" in path:
                return None
            self._left -= 1
            self.failed += 1
            return self._kind

    @staticmethod
    def _pass_on(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
