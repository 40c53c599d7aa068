"""What the console asks of a station: the protocol of the control client.

What comes back are the shapes of `appliance.api`. `appliance.control.client` satisfies the protocol
over the Unix socket; nothing else in the console knows what it talks to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from appliance.api.audit import Event
from appliance.api.bundles import Medium, OutgoingBundle, Plan, TakenStatement
from appliance.api.common import Page
from appliance.api.content import Artifact, Component, FoundItem, Repository, Tag
from appliance.api.intake import IntakeDetail, IntakeEntry, LedgerRow, ReleaseAnswer, Stream
from appliance.api.jobs import Job, JobEvent, LogPart, ToSign
from appliance.api.people import Who
from appliance.api.status import Status
from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from bundles.errors import FailedError, RefusedError

if TYPE_CHECKING:
    from tui.station.station_folder import Desk

T = TypeVar("T")


class StationLostError(FailedError):
    """The station does not answer; nothing is known about what it did with the call."""


class NotLoggedInError(RefusedError):
    """The station knows nobody at this console, or the log-in is over."""


class Station(Protocol):
    """The control client, as far as the console needs it.

    Every method raises `bundles.errors.LockgateError`: a refusal as the station gave it, `StationLostError` when it
    does not answer.
    """

    @property
    def desk(self) -> Desk:
        """What is done at the station's folder, without its control socket."""
        ...

    @property
    def folder(self) -> str:
        """The station's folder; empty where it has none."""
        ...

    async def fetch(self, shape: type[T], path: str, **query: object) -> T:
        """What GET of a path of the control API answers; further screens ask with it."""
        ...

    async def lines(self, shape: type[T], path: str, take: Callable[[T], object], **query: object) -> None:
        """GET a path that answers in lines; each is handed over as it comes."""
        ...

    async def send(self, shape: type[T], path: str, body: Mapping[str, Any]) -> T:
        """What POST to a path answers."""
        ...

    async def remove(self, shape: type[T], path: str) -> T:
        """What DELETE of a path answers."""
        ...

    async def who(self) -> Who:
        """Who calls. Raises NotLoggedInError."""
        ...

    async def log_in(self, account: str, password: str) -> Who:
        """Be that person from now on. Raises RefusedError, and then nothing has changed."""
        ...

    async def log_out(self) -> None:
        """Be nobody from now on, whatever the station says: until the next log-in nothing is asked of it."""
        ...

    async def status(self) -> Status: ...

    async def repositories(
        self, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Repository]: ...

    async def tags(
        self, repository: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Tag]: ...

    async def artifact(self, reference: str) -> Artifact: ...

    async def sbom(
        self, digest: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Component]: ...

    async def find(self, query: str, *, limit: int = 20) -> tuple[FoundItem, ...]: ...

    async def plan(self, params: Mapping[str, Any]) -> Plan: ...

    async def start_job(self, kind: str, params: Mapping[str, Any]) -> Job: ...

    async def jobs(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[Job]: ...

    async def job(self, job_id: str) -> Job: ...

    async def cancel_job(self, job_id: str) -> Job: ...

    async def dismiss_job(self, job_id: str) -> Job: ...

    def job_events(self, job_id: str) -> AsyncIterator[JobEvent]: ...

    async def job_log(self, job_id: str, *, after: int = 0) -> LogPart: ...

    async def to_sign(self, job_id: str) -> ToSign: ...

    async def give_signature(self, job_id: str, keyid: str, signature: bytes) -> Job: ...

    async def intake(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[IntakeEntry]: ...

    async def intake_entry(self, bundle: str) -> IntakeDetail: ...

    async def approval_payload(self, bundle: str, *, keyid: str, decision: str, why: str = "") -> bytes: ...

    async def give_approval(self, bundle: str, *, payload: bytes, keyid: str, signature: bytes) -> IntakeDetail: ...

    async def release(self, bundle: str) -> ReleaseAnswer: ...

    async def streams(self) -> tuple[Stream, ...]: ...

    async def ledger(self, *, stream: str = "", limit: int = 200, after: str | None = None) -> Page[LedgerRow]: ...

    async def bundles(self) -> Sequence[OutgoingBundle]: ...

    async def take_statement(self, path: str) -> TakenStatement:
        """Hand in a receipt or want-list that came back; its file is read by this console."""
        ...

    async def trust(self) -> Sequence[TrustedKey]: ...

    async def rules(self) -> Sequence[TrustRule]: ...

    async def keys(self) -> Sequence[OwnKey]: ...

    async def media(self) -> Sequence[Medium]: ...

    async def audit(self, *, limit: int = 200, after: str | None = None) -> Page[Event]: ...

    async def close(self) -> None: ...
