"""What a worker counts of its requests: how each ended and whose doing that was, how long it took, how much it was."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from appliance.measures import catalogue
from appliance.measures.objectives import Objectives
from appliance.measures.series import Counts
from appliance.measures.slots import Slots
from appliance.registry.errors import WireError
from appliance.registry.routes import Target
from appliance.registry.services import ACTOR, BROKEN, COLLECTED
from appliance.store.writes.rows import Kind

TARGET: Final = web.RequestKey("target", Target)
"""What a request names, set once it is understood."""

REASON: Final = web.RequestKey("reason", str)
"""Why a request did not end well, a key of `catalogue.RESULT`; set where it did not."""

_BY_STATUS: Final = {401: "token", 403: "denied", 404: "name", 429: "rate", 500: "internal", 503: "unavailable",
                     507: "disk"}  # fmt: skip
_REQUEST: Final = "request"
_KINDS: Final = {"manifest": "manifest", "blob": "blob", "upload": "blob", "uploads": "blob"}
_HELD: Final = {401: "wrong", 403: "unexplained", 429: "locked"}
_SCHEMES: Final = frozenset({"bearer", "basic"})


def reason_of(error: WireError) -> str:
    """Why an error is answered: its own reason, else what its status says."""
    return error.reason or _BY_STATUS.get(error.status, _REQUEST)


class RegistryMeasures:
    """One worker's. For the event loop's thread alone."""

    def __init__(self, counts: Counts, objectives: Objectives) -> None:
        """`counts` is laid out for `objectives.names`."""
        self._counts, self._objectives = counts, objectives
        at, names = counts.layout.at, objectives.names
        self._requests = {(method, status): at("lockgate_registry_requests", method, status)
                          for method in catalogue.METHODS for status in catalogue.STATUSES}  # fmt: skip
        self._statuses = {int(status): status for status in catalogue.STATUSES if status != catalogue.OTHER}
        self._collected = {kind: at("lockgate_registry_collected", kind) for kind in ("blob", "manifest")}
        self._pulls, self._pushes = (
            [{(kind, reason): at(name, slo, kind, result, reason)
              for kind in ("blob", "manifest") for reason, result in catalogue.RESULT.items()} for slo in names]
            for name in ("lockgate_pulls", "lockgate_pushes")
        )  # fmt: skip
        self._pull_seconds, self._pull_bytes = (
            [{size: at(name, slo, size) for size in catalogue.SIZES} for slo in names]
            for name in ("lockgate_pull_seconds", "lockgate_pull_bytes")
        )
        self._push_seconds = [{kind: at("lockgate_push_seconds", slo, kind) for kind in ("blob", "manifest")}
                              for slo in names]  # fmt: skip
        self._push_bytes = [at("lockgate_push_bytes", slo) for slo in names]
        self._reads = {
            hit: at("lockgate_manifest_reads", source) for hit, source in ((True, "memory"), (False, "disk"))
        }

    @classmethod
    def alone(cls) -> RegistryMeasures:
        """Of a worker that no station started: counted in memory."""
        return cls(Slots(catalogue.layout()).open(""), Objectives())

    def connection(self, result: str) -> None:
        """A connection was accepted, or ended before its first request."""
        self._counts.add(self._counts.layout.at("lockgate_connections", result))

    def unwritten(self) -> None:
        """An act could not be written to the audit log, and did not happen."""
        self._counts.add(self._counts.layout.at("lockgate_audit_unwritten"))

    def manifest_read(self, hit: bool) -> None:
        """A manifest's bytes were at hand (`hit`), or read from the disk."""
        self._counts.add(self._reads[hit])

    def spans(self, result: str, count: int) -> None:
        """What became of spans that were to be recorded. `unwritten` is for the thread that writes them."""
        self._counts.add(self._counts.layout.at("lockgate_spans", result), count)

    def cached(self, kind: Kind, result: str) -> None:
        """A cache was asked for a thing: `result` is one of `catalogue.CACHED`."""
        self._counts.add(self._counts.layout.at("lockgate_cache_answers", kind, result))

    def token_issued(self) -> None:
        """The token endpoint gave a token."""
        self._counts.add(self._counts.layout.at("lockgate_tokens_issued"))

    def read(
        self, method: str, status: int, sent: str | None, is_known: bool, target: Target, length: int, begun: float
    ) -> None:
        """As `answered`, of a read that ended well: `sent` is its Authorization, `length` the bytes of its body."""
        self._counts.add(self._requests[method, self._statuses[status]])
        if sent is not None:
            self._authenticated(sent, status, is_known)
        kind = _KINDS.get(target.resource)
        if kind is not None and method == "GET":
            self._good_pull(target, kind, length, begun)

    def answered(self, request: web.Request, answer: web.StreamResponse, begun: float) -> None:
        """A request was answered, to the last byte that this process hands to the connection. `begun`: when it came, on
        time.perf_counter()."""
        method, status = request.method, answer.status
        known = self._statuses.get(status, catalogue.OTHER)
        cell = self._requests.get((method, known))
        self._counts.add(self._requests[catalogue.OTHER, known] if cell is None else cell)
        if COLLECTED in request and status == 404:
            self._counts.add(self._collected[request[COLLECTED]])
        sent = request.headers.get("Authorization")
        if sent is not None:
            self._authenticated(sent, status, ACTOR in request)
        target = request.get(TARGET)
        kind = None if target is None else _KINDS.get(target.resource)
        if target is None or kind is None or (status == 401 and sent is None):
            return  # what every client is told first, that it has to log in, is no attempt
        reason = request.get(REASON) or request.get(BROKEN, "ok")
        if method == "GET" and target.resource in ("manifest", "blob"):
            self._pull(target, kind, reason, answer, begun)
        elif method in ("PUT", "POST", "PATCH"):
            self._push(request, target, kind, reason, status, begun)

    def broken(self, request: web.Request, begun: float) -> None:
        """A request's connection ended before its answer did."""
        target = request.get(TARGET)
        kind = None if target is None else _KINDS.get(target.resource)
        if target is None or kind is None:
            return
        reason = request.get(REASON, "network")
        if request.method == "GET" and target.resource in ("manifest", "blob"):
            self._counts.add(self._pulls[self._objectives.of(target.name)][kind, reason])
        elif request.method in ("PUT", "POST", "PATCH"):
            self._push(request, target, kind, reason, 0, begun)

    def _pull(self, target: Target, kind: str, reason: str, answer: web.StreamResponse, begun: float) -> None:
        if reason != "ok":
            self._counts.add(self._pulls[self._objectives.of(target.name)][kind, reason])
            return
        body = getattr(answer, "body", None)
        self._good_pull(target, kind, len(body) if isinstance(body, bytes) else answer.content_length or 0, begun)

    def _good_pull(self, target: Target, kind: str, length: int, begun: float) -> None:
        slo, size = self._objectives.of(target.name), _size(kind, length)
        self._counts.add(self._pulls[slo][kind, "ok"])
        self._counts.observe(self._pull_seconds[slo][size], time.perf_counter() - begun)
        self._counts.add(self._pull_bytes[slo][size], length)

    def _push(self, request: web.Request, target: Target, kind: str, reason: str, status: int, begun: float) -> None:
        """A push ends with the request that makes its content be there (201), or with the one that fails."""
        slo = self._objectives.of(target.name)
        self._counts.add(self._push_bytes[slo], request.content.total_bytes)
        if reason == "ok" and status != 201:
            return
        self._counts.add(self._pushes[slo][kind, reason])
        if reason == "ok":
            self._counts.observe(self._push_seconds[slo][kind], time.perf_counter() - begun)

    def _authenticated(self, sent: str, status: int, is_known: bool) -> None:
        scheme = sent.partition(" ")[0].lower()
        result = "good" if is_known else _HELD.get(status, "good")
        name = scheme if scheme in _SCHEMES else catalogue.OTHER
        self._counts.add(self._counts.layout.at("lockgate_authentications", name, result))


def _size(kind: str, length: int) -> str:
    if kind == "manifest":
        return "manifest"
    if length <= catalogue.SMALL:
        return "small"
    return "medium" if length <= catalogue.MEDIUM else "large"
