"""What is written of each request where the site wants it: a line of the program's log, and spans of some.

A request passes through phases, which nest: `access` (who asks, and may they come in), `policy` (is it signed as it
should be), `fetch` (a cache's upstream), `read` (its bytes from the disk), `receive` (the body that a client sends),
`store` (content to the disk), `turn` (until nothing else changes the same things), `audit` (the log's line, durable),
`commit` (the metadata, durable), `send` (a body from the disk, or in pieces). What is between them is the program's own
work.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final, Literal

from aiohttp import web

from appliance.api.live import LiveRequest
from appliance.registry import request_log
from appliance.registry.live import Live, short
from appliance.registry.measuring import REASON, TARGET
from appliance.registry.plain_head import PlainHead
from appliance.registry.request_log import SHOWN, Answered, Phase
from appliance.registry.routes import Target
from appliance.registry.services import ACTOR, BROKEN, RegistryServices
from appliance.tracing.context import DONE_FOR, HEADER, TraceContext, new_span
from appliance.tracing.spans import SERVER, Span, Value
from appliance.tracing.tracer import Tracer

Name = Literal["access", "policy", "fetch", "read", "receive", "store", "turn", "audit", "commit", "send"]

_FAILED: Final = 500
_ROUTES: Final = {
    "base": "/v2/", "catalog": "/v2/_catalog", "blob": "/v2/{name}/blobs/{digest}",
    "uploads": "/v2/{name}/blobs/uploads/", "upload": "/v2/{name}/blobs/uploads/{id}",
    "manifest": "/v2/{name}/manifests/{reference}", "tags": "/v2/{name}/tags/list",
    "referrers": "/v2/{name}/referrers/{digest}", "admission": "/v2/{name}/admission",
}  # fmt: skip
_OTHER: Final = "_OTHER"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
"""What a span's name has for a path and a method: what clients choose makes no new kind of span."""


class Trail:
    """A request on its way: its id, where it is in a trace, and the phases that it has passed."""

    __slots__ = ("id", "phases", "picked", "sent", "trace")

    def __init__(self, sent: TraceContext | None, trace: TraceContext | None, *, picked: bool) -> None:
        """`trace` is its own place in a trace, None where spans are not wanted; `picked`: whether it is recorded."""
        self.id = new_span() if trace is None else trace.span
        self.sent, self.trace, self.picked = sent, trace, picked
        self.phases: list[Phase] = []


TRAIL: Final = web.RequestKey("trail", Trail)
"""Set where anything is written of requests."""


class phase:  # noqa: N801  it stands in a `with`, as a function does
    """A phase of a request, while the block runs; nothing where nothing is written of requests."""

    __slots__ = ("_begun", "_name", "_trail")

    def __init__(self, request: web.Request, name: Name) -> None:
        self._trail, self._name, self._begun = request.get(TRAIL), name, 0.0

    def __enter__(self) -> None:
        if self._trail is not None:
            self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._trail is not None:
            self._trail.phases.append((self._name, self._begun, time.perf_counter()))


def sent_by(request: web.Request) -> TraceContext | None:
    """The place in a trace that a client names."""
    sent: list[str] = request.headers.getall(HEADER, [])
    return TraceContext.parse(sent)


def trace_of(request: web.Request) -> TraceContext | None:
    """The place in a trace of what a request leads to: below its own span where that is recorded, else where the client
    said, or None."""
    trail: Trail | None = request.get(TRAIL)
    if trail is not None and trail.picked:
        return trail.trace
    return sent_by(request)


@contextlib.contextmanager
def fetching(request: web.Request) -> Iterator[None]:
    """The phase in which another program is asked for what a request wants; it is told the request's trace."""
    trace = trace_of(request)
    before = DONE_FOR.set("" if trace is None else str(trace))
    try:
        with phase(request, "fetch"):
            yield
    finally:
        DONE_FOR.reset(before)


def watch_of(services: RegistryServices, live: Live | None = None) -> Watch | None:
    """None where nobody wants to know anything of requests. `live`: a tally for who looks just now."""
    settings = services.settings
    if not settings.log_requests and services.tracer is None and live is None:
        return None
    return Watch(services.tracer, live, log=settings.log_requests, phases=settings.log_phases)


class Watch:
    """One worker's. For the event loop's thread alone."""

    def __init__(self, tracer: Tracer | None, live: Live | None, *, log: bool, phases: bool) -> None:
        self._tracer, self._live, self._log, self._phases = tracer, live, log, phases

    def begin(self, request: web.Request) -> None:
        """A request came in, of which nobody knows yet who sent it."""
        sent = sent_by(request)
        trace, picked = None, False
        if self._tracer is not None:
            picked = self._tracer.picks(sent, known=False)
            trace = TraceContext.begin() if sent is None else sent.child(new_span(), sampled=True)
        trail = request[TRAIL] = Trail(sent, trace, picked=picked)
        if self._live is not None:
            begun = time.perf_counter()
            self._live.begun(trail.id, lambda: _shown(request, trail.id, begun))

    def known(self, request: web.Request) -> None:
        """Who sent a request is known, or that nobody did."""
        trail: Trail | None = request.get(TRAIL)
        if self._tracer is not None and trail is not None and trail.sent is not None and not trail.picked:
            trail.picked = self._tracer.picks(trail.sent, known=ACTOR in request)

    def cancelled(self, request: web.Request) -> None:
        """A request is over because the worker stops, or nobody waits for it."""
        if self._live is not None:
            self._live.forget(request[TRAIL].id)

    def answered(self, request: web.Request, answer: web.StreamResponse | None, begun: float) -> None:
        """A request was answered; `answer` is None where its connection broke. `begun` is on time.perf_counter()."""
        trail: Trail = request[TRAIL]
        seen = Answered(
            id=trail.id,
            address=request.remote or "",
            account=request.get(ACTOR, ""),
            method=request.method,
            path=request.path,
            status=0 if answer is None else answer.status,
            reason=request.get(REASON) or request.get(BROKEN) or ("network" if answer is None else "ok"),
            begun=begun,
            ended=time.perf_counter(),
            length=_bytes(answer),
            target=request.get(TARGET),
            digest=_digest(answer),
            user_agent=request.headers.get("User-Agent", ""),
            sent=trail.sent,
            phases=trail.phases,
        )
        self._write(seen, trail.trace if trail.picked or seen.status >= _FAILED else None)

    def read(
        self, head: PlainHead, address: str, actor: str, target: Target, digest: str, status: int, length: int,
        begun: float,
    ) -> None:  # fmt: skip
        """As `answered`, of a read that ended well; `digest` is the answer's, "" where it names none."""
        fields = head.fields
        sent = TraceContext.parse((fields.traceparent,)) if fields.traceparent else None
        trace = None
        if self._tracer is not None and self._tracer.picks(sent, known=bool(actor)):
            trace = TraceContext.begin() if sent is None else sent.child(new_span(), sampled=True)
        elif not self._log and self._live is None:
            return
        seen = Answered(
            id=new_span() if trace is None else trace.span, address=address, account=actor, method=head.method,
            path=head.target.partition("?")[0], status=status, reason="ok", begun=begun, ended=time.perf_counter(),
            length=length, target=target, digest=digest, user_agent=fields.user_agent, sent=sent,
        )  # fmt: skip
        self._write(seen, trace)

    def _write(self, seen: Answered, trace: TraceContext | None) -> None:
        if self._live is not None:
            self._live.ended(seen)
        if self._log:
            request_log.write(seen, "" if trace is None else trace.trace, phases=self._phases)
        if self._tracer is not None and trace is not None:
            self._tracer.take(_spans(seen, trace))


def _shown(request: web.Request, id_: str, begun: float) -> LiveRequest:
    target = request.get(TARGET)
    return LiveRequest(
        id=id_, method=request.method[:16], path=short(request.path), account=request.get(ACTOR, ""),
        address=request.remote or "", repository="" if target is None else target.name,
        seconds=round(time.perf_counter() - begun, 3),
    )  # fmt: skip


def _spans(seen: Answered, trace: TraceContext) -> list[Span]:
    moment, at = time.time_ns(), time.perf_counter()

    def clock(point: float) -> int:
        return moment - int((at - point) * 1e9)

    route = "" if seen.target is None else _ROUTES[seen.target.resource]
    method = seen.method if seen.method in _METHODS else _OTHER
    said: dict[str, Value] = {
        "http.request.method": method,
        "http.route": route,
        "url.path": seen.path[:SHOWN],
        "client.address": seen.address,
        "user_agent.original": seen.user_agent[:SHOWN],
        "http.response.status_code": seen.status,
        "http.response.body.size": seen.length,
        "user.name": seen.account,
        "lockgate.repository": seen.repository,
        "lockgate.digest": seen.named_digest,
        "lockgate.reason": seen.reason,
    }
    failed = seen.status >= _FAILED or seen.status == 0
    name = f"{'HTTP' if method == _OTHER else method} {route}".rstrip()
    root = Span(
        trace.trace, trace.span, name, clock(seen.begun), clock(seen.ended),
        parent="" if seen.sent is None else seen.sent.span, remote=seen.sent is not None, kind=SERVER,
        error=seen.reason if failed else "", attributes={key: value for key, value in said.items() if value != ""},
    )  # fmt: skip
    phases = [
        Span(trace.trace, new_span(), name, clock(begun), clock(ended), parent=trace.span)
        for name, begun, ended in seen.phases
    ]
    return [root, *phases]


def _digest(answer: web.StreamResponse | None) -> str:
    return "" if answer is None else answer.headers.get("Docker-Content-Digest", "")


def _bytes(answer: web.StreamResponse | None) -> int:
    body = getattr(answer, "body", None)
    if isinstance(body, bytes):
        return len(body)
    return 0 if answer is None else answer.content_length or 0
