"""What the registry is handed: the store, the writer, and the ports to access and audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from aiohttp import web

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.audit.port import AuditPort
from appliance.audit.pull_journal import PullJournal
from appliance.plain_http import asks_loopback, names_loopback
from appliance.registry.errors import WireError
from appliance.registry.live import LivePlace
from appliance.registry.plain_head import PlainFields
from appliance.registry.pull_policy import NothingAsked, PullPolicy
from appliance.registry.pull_through import NoCaches, PullThrough
from appliance.settings.client_writes import ClientWrites
from appliance.store.blobs import BlobStore
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writes.write import AsyncWriter
from appliance.tracing.tracer import Tracer

Action = Literal["pull", "push", "delete", "list"]

ACTOR: Final = web.RequestKey("actor", str)
"""Whose account a request is, for the audit log; `Access.admit` sets it where it is somebody's."""


BROKEN: Final = web.RequestKey("broken", str)
"""Why an answer that had begun was broken off, a key of appliance.measures.catalogue.RESULT; set where it was."""

COLLECTED: Final = web.RequestKey("collected", str)
"""What kind of content a request asked for that a collection took; set where it did."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A read that may go on: whose it is ("" where it is nobody's), and what `Access.spend` is to count it against."""

    actor: str = ""
    counted: tuple[str, ...] = ()


class Access(Protocol):
    """Decides who may do what: `admit` once for each request, before anything of it is looked at, and `check` where
    it is known what it wants; a mount also for its source, the catalog for each name.

    `glance` and `spend` are both at once for a plain read (appliance.registry.lane). They let pass what `admit` and
    `check` would let pass, and nothing else; what `glance` does not let pass is asked again by them.
    """

    async def admit(self, request: web.Request) -> web.StreamResponse | WireError | None:
        """Find out who sends the request. None where it goes on, else its answer (a refusal, or a token)."""
        ...

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        """None where it is allowed, else the answer. `repository` is "" for what belongs to none. Never blocks."""
        ...

    def events(self, request: web.Request, outcome: web.StreamResponse | WireError) -> list[AuditEvent]:
        """What the audit log is to hear of a request that is about to be answered with `outcome`."""
        ...

    def glance(self, fields: PlainFields, address: str, repository: str) -> Passed | None:
        """Whether a plain request from an address may pull from a repository, as far as is known already; None where
        it may not, or somebody has to be waited for to know. Changes and counts nothing."""
        ...

    def spend(self, passed: Passed) -> None:
        """Count a read that `glance` let pass a moment ago, and that is about to be answered."""
        ...


class OpenAccess:
    """Everybody may do everything: a station started with `--open`, on loopback.

    A web page in a browser on the same machine is not everybody: a request under a name that is no loopback name (DNS
    rebinding) is refused, and so is a write that another origin's page sends (CSRF), or that names no Host at all
    (HTTP/1.0).
    """

    async def admit(self, request: web.Request) -> web.StreamResponse | WireError | None:
        if not asks_loopback(request):
            return WireError(403, "DENIED", "an open station answers to loopback names alone, as 127.0.0.1")
        if request.method in ("GET", "HEAD"):
            return None
        if "Host" not in request.headers:
            return WireError(403, "DENIED", "an open station takes no write without a Host header")
        if _from_elsewhere(request):
            return WireError(403, "DENIED", "an open station takes no write from another origin's page")
        return None

    def events(self, request: web.Request, outcome: web.StreamResponse | WireError) -> list[AuditEvent]:
        return []

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        return None

    def glance(self, fields: PlainFields, address: str, repository: str) -> Passed | None:
        return _NOBODY if names_loopback((fields.host,)) else None

    def spend(self, passed: Passed) -> None:
        return None


_NOBODY: Final = Passed()


def _from_elsewhere(request: web.Request) -> bool:
    """Whether a page of another origin sends it (RFC 6454, section 7; Fetch Metadata, Sec-Fetch-Site)."""
    origins = request.headers.getall("Origin", [])
    site = request.headers.get("Sec-Fetch-Site", "none")
    return any(origin != f"{request.scheme}://{request.host}" for origin in origins) or site in (
        "cross-site",
        "same-site",
    )


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What a site may choose. `chunk_minimum` is bytes; 0 sends no `OCI-Chunk-Min-Length`.

    `sparse_indexes` lets an index name manifests that its repository does not show (specification: a registry MAY
    reject them). `writes`: which repositories clients may change. `reverify`: seconds for which a worker relies on a
    file that it has hashed. `log_requests`: whether each request has a line in the program's log; `log_phases`: with
    how long each of its phases took. `admission`: the
    registries whose images are the station's, for admission webhooks; none: these are not answered.
    """

    sparse_indexes: bool = False
    chunk_minimum: int = 0
    writes: ClientWrites = field(default_factory=ClientWrites)
    reverify: float = 24 * 60 * 60.0
    log_requests: bool = False
    log_phases: bool = False
    admission: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RegistryServices:
    """One worker's view of the station. `metadata` is read inline by the event loop's thread alone."""

    blobs: BlobStore
    metadata: Metadata
    writer: AsyncWriter
    uploads: UploadSessions
    audit: AuditPort
    access: Access = field(default_factory=OpenAccess)
    pull_policy: PullPolicy = field(default_factory=NothingAsked)
    pull_through: PullThrough = field(default_factory=NoCaches)
    settings: RegistrySettings = field(default_factory=RegistrySettings)
    now: Callable[[], str] = clock.now
    pull_journal: PullJournal | None = None
    """Where repeated pulls are noted until the audit log has them; None: nowhere."""
    tracer: Tracer | None = None
    """Records spans of requests; None: there are none."""
    live: LivePlace | None = None
    """Where somebody looks at what the worker is doing; None: nobody does."""
