"""The gate in front of the registry: who sends a request, and whether they may. One `admit` and one `check` each."""

from __future__ import annotations

import base64
import binascii
import re
import socket
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from appliance.access.directory import PERSONAL, DirectoryError
from appliance.access.identity import Identity, Known, LockedError, UnexplainedError
from appliance.access.passwords import BusyError
from appliance.access.rate_limits import Buckets, Empty
from appliance.access.scopes import Scope
from appliance.access.token_cache import Bearers
from appliance.access.workload_tokens import RefusedTokenError, Workload
from appliance.addresses import OWN_ACCOUNT, origin_of
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.limits import access as limits
from appliance.paths import StationPaths
from appliance.permissions import ANONYMOUS, Caller, Network, Permission, Rules, is_within
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.plain_head import PlainFields
from appliance.registry.routes import BLOCKS, parse
from appliance.registry.services import ACTOR, Action, Passed
from appliance.store.epoch import epoch_of
from appliance.store.reads.accounts import Accounts
from bundles.errors import RefusedError

TOKEN_PATH: Final = "/token"  # noqa: S105  a path
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}\Z")
_BEARER: Final = "Bearer "
_NONE: Final[tuple[str, ...]] = ()
_BASE: Final = ("/v2", "/v2/")
_CATALOG: Final = frozenset({"/v2/_catalog", BLOCKS})
_REFUSALS: Final = frozenset({401, 403, 429})
_ACTIONS: Final[dict[Action, Permission]] = {"pull": "pull", "push": "push", "delete": "delete", "list": "pull"}
_OF_METHOD: Final[dict[str, Action]] = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
_ASKED: Final[dict[Action, str]] = {"pull": "pull", "push": "pull,push", "delete": "delete", "list": ""}


@dataclass(slots=True)
class Ticket:
    """What the gate knows of a request: its caller, and what its token may be used for (None: whatever the caller may).

    `proved`: it carried something that held; `session` is the robot's secret it was, if it was one; `allowed` is its
    token's; `workload` is who it is by another issuer's token. `refused` is what it was refused on the way, for the
    audit log, which need not hear of it where `told`; `why` says there why a log-in was refused.
    """

    caller: Caller
    access: tuple[Scope, ...] | None = None
    proved: bool = False
    session: str = ""
    workload: Workload | None = None
    told: bool = False
    why: str = ""
    allowed: set[tuple[Action, str]] = field(default_factory=set)
    refused: list[tuple[Action, str]] = field(default_factory=list)
    events: list[AuditEvent] = field(default_factory=list)


_TICKET: Final = web.RequestKey("ticket", Ticket)


def ticket_of(request: web.Request) -> Ticket:
    """What `admit` found out."""
    return request[_TICKET]


def address_of(request: web.Request) -> str:
    """Where a request comes from: by a worker's own Unix socket from this machine; "" where that is not known."""
    if request.remote:
        return request.remote
    link = None if request.transport is None else request.transport.get_extra_info("socket")
    return OWN_ACCOUNT if link is not None and link.family == socket.AF_UNIX else ""


class AccountAccess:
    """The registry's `Access` of a station with accounts; one worker's."""

    def __init__(
        self,
        paths: StationPaths,
        accounts: Accounts,
        identity: Identity,
        rules: Rules,
        *,
        issuer: str,
        networks: tuple[Network, ...] = (),
        rate: float = 0.0,
    ) -> None:
        """`issuer` is the site's name; `rate` is requests a second, 0 for limits.REQUEST_RATE."""
        self.accounts, self.identity, self.rules = accounts, identity, rules
        self.issuer = self.audience = f"lockgate/{issuer}"
        self.bearers = Bearers(paths.token_keys, accounts, epoch_of(paths.database), self.audience)
        self._networks = networks
        per_second, burst = (rate, rate * 10) if rate else limits.REQUEST_RATE
        self._requests = Buckets(per_second, burst)

    # What the registry asks.

    async def admit(self, request: web.Request) -> WireError | None:
        """Find out who sends the request; None where it may go on to be looked at."""
        address = address_of(request)
        sent = request.headers.getall("Authorization", _NONE)
        kept = None
        if len(sent) == 1 and sent[0].startswith(_BEARER):  # nearly every request of a pull
            kept = self.bearers.remembered(sent[0].removeprefix(_BEARER), address)
        request[_TICKET] = ticket = (
            Ticket(Caller("anonymous", "anonymous", address=address))
            if kept is None
            else Ticket(kept.caller, kept.access, proved=True, allowed=kept.allowed)
        )
        if self._networks and not is_within(address, self._networks):
            return denied()
        empty = self._requests.take(f"address {origin_of(address)}")
        if empty is not None:
            return _slow_down(request, empty)
        if len(sent) > 1:
            return WireError(400, "UNAUTHORIZED", "more than one Authorization header").with_headers(Connection="close")
        refusal = await self._recognise(request, ticket, sent[0]) if sent and kept is None else None
        if refusal is not None or ticket.caller.kind == "anonymous":
            return refusal
        request[ACTOR] = ticket.caller.name
        empty = self._requests.take(f"account {ticket.caller.name}")
        return None if empty is None else _slow_down(request, empty)

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        """As Access.check: what the token is for, and what the account may now, both."""
        ticket = request[_TICKET]
        if (action, repository) in ticket.allowed:
            return None
        caller = ticket.caller
        if action == "list":
            return self._check_list(request, ticket)
        allowed = self.rules.decide(caller, _ACTIONS[action], repository)
        named = any(
            scope.name == repository and scope.kind == "repository" and action in scope.actions
            for scope in ticket.access or ()
        )
        if allowed and named:
            ticket.allowed.add((action, repository))
        # The catalog's own scope has been asked for, and a name in it is no more than a name.
        in_token = named or ticket.access is None or request.path in _CATALOG
        if allowed and (in_token or (action == "pull" and self.rules.decide(ANONYMOUS, "pull", repository))):
            return None
        ticket.refused.append((action, repository))
        if caller.kind == "anonymous":
            return self.challenge(request, action, repository)
        return self.challenge(request, action, repository, "insufficient_scope") if allowed else denied()

    def glance(self, fields: PlainFields, address: str, repository: str) -> Passed | None:
        """As Access.glance: a bearer token that was verified before and was found to be good for just this, from an
        address that may ask, and neither of whose buckets is empty."""
        sent = fields.authorization
        if sent is None or not sent.startswith(_BEARER):
            return None
        kept = self.bearers.remembered(sent.removeprefix(_BEARER), address)
        if kept is None or ("pull", repository) not in kept.allowed:
            return None
        if self._networks and not is_within(address, self._networks):
            return None
        is_known = kept.caller.kind != "anonymous"
        counted = [f"address {origin_of(address)}", *([f"account {kept.caller.name}"] if is_known else [])]
        if not all(map(self._requests.has, counted)):
            return None
        return Passed(kept.caller.name if is_known else "", tuple(counted))

    def spend(self, passed: Passed) -> None:
        """As Access.spend."""
        for key in passed.counted:
            self._requests.take(key)

    def refusals(self, request: web.Request, outcome: web.StreamResponse | WireError) -> list[AuditEvent]:
        """The events of a request that was refused, wholly or in part (a mount that became an upload)."""
        ticket = request.get(_TICKET)
        status = outcome.status
        if ticket is None or ticket.told or (status < 400 and not ticket.refused):
            return []
        code = outcome.code if isinstance(outcome, WireError) else ""
        if status in _REFUSALS:
            if status == 401 and request.path in _BASE and "Authorization" not in request.headers:
                return []  # the ping that every client begins with
            detail = {"status": status, "code": code} | ({"why": ticket.why} if ticket.why else {})
            detail |= outcome.noted if isinstance(outcome, WireError) else {}
            return [self._event(request, ticket, request.path, detail)]
        if request.query.get("from"):
            return [self._event(request, ticket, name, {"status": status}) for _, name in ticket.refused]
        return []

    def _event(self, request: web.Request, ticket: Ticket, thing: str, detail: dict[str, object]) -> AuditEvent:
        detail = {"address": ticket.caller.address, "method": request.method[:16], **detail}
        origin = origin_of(ticket.caller.address) if ticket.caller.kind == "anonymous" else ""
        return AuditEvent(Act.REGISTRY_REFUSE, ticket.caller.name, thing, "refused", detail, origin)

    # How it finds out.

    def challenge(self, request: web.Request, action: Action, repository: str, error: str = "") -> WireError:
        """401 with where to get a token and for what (distribution: Token Authentication Specification)."""
        # Who asks whether a blob is there is mostly about to push it, and some clients (oras for Python) ask for a
        # token once: this one is for both, as far as the account's roles go.
        asked: Action = "push" if request.method == "HEAD" and "/blobs/" in request.path else action
        scope = f"repository:{repository}:{_ASKED[asked]}" if repository else ""
        if not repository and request.path in _CATALOG:
            scope = "registry:catalog:*"
        return self._unauthorized(request, scope, error)

    def _unauthorized(self, request: web.Request, scope: str, error: str = "") -> WireError:
        fields = {"realm": f"{request.scheme}://{_host(request)}/token", "service": self.audience}
        fields |= ({"scope": scope} if scope else {}) | ({"error": error} if error else {})
        text = ",".join(f'{name}="{value}"' for name, value in fields.items())
        return WireError(401, "UNAUTHORIZED", "authentication required").with_headers(WWW_Authenticate=f"Bearer {text}")

    def _refused_token(self, request: web.Request) -> WireError:
        """401 for a token that does not hold, asking for one that does what this request needs."""
        try:
            target = parse(request.rel_url.raw_path)
        except RefusedRequestError:
            return self._unauthorized(request, "", "invalid_token")
        return self.challenge(request, _OF_METHOD.get(request.method, "push"), target.name, "invalid_token")

    async def _recognise(self, request: web.Request, ticket: Ticket, sent: str) -> WireError | None:
        scheme, _, value = sent.partition(" ")
        if scheme.lower() == "bearer":
            try:
                found = await self.bearers.verify(value.strip(), ticket.caller.address)
            except RefusedError:
                return self._refused_token(request)
            ticket.caller, ticket.access, ticket.allowed = found.caller, found.access, found.allowed
            ticket.proved = True
            return None
        if scheme.lower() == "basic":
            known = await self.basic(request, value)
            if isinstance(known, WireError):
                return known
            ticket.caller, ticket.proved = known.account.caller(ticket.caller.address), True
            ticket.session = known.secret
            if known.workload is not None:
                return self._exchange(request, ticket, known.workload)
            return None
        return self._refused_token(request)

    def _exchange(self, request: web.Request, ticket: Ticket, workload: Workload) -> WireError | None:
        """A workload's token is given for one of the station, and opens nothing else: 401 with where that is."""
        if request.rel_url.raw_path != TOKEN_PATH:
            ticket.caller, ticket.proved = Caller("anonymous", "anonymous", address=ticket.caller.address), False
            return self._refused_token(request)
        ticket.workload = workload
        return None

    async def basic(self, request: web.Request, value: str) -> Known | WireError:
        """The account of a Basic header (RFC 7617), or the answer: the same 401 whatever is wrong."""
        try:
            name, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return self._unauthorized(request, "")
        return await self.prove(request, name, secret)

    async def prove(self, request: web.Request, name: str, secret: str) -> Known | WireError:
        """The account that a name and a secret prove, or the answer."""
        try:
            known = await self.identity.identify(name, secret, origin_of(address_of(request)))
        except LockedError as locked:
            return _slow_down(request, Empty(locked.seconds, locked.first))
        except BusyError:
            return _slow_down(request, Empty(2, True))
        except (UnexplainedError, RefusedTokenError, DirectoryError) as error:
            return self._explain(request, error)
        if known is not None:
            return known
        request[_TICKET].caller = Caller(f"unproved {name[:64]!r}", "anonymous", address=address_of(request))
        return self._unauthorized(request, "")

    def _explain(self, request: web.Request, error: UnexplainedError | RefusedTokenError | DirectoryError) -> WireError:
        """The answer to who is refused by more than a wrong name or secret."""
        if isinstance(error, UnexplainedError):
            return self.unexplained(request, error)
        if isinstance(error, DirectoryError):
            return self._no_directory(request, error)
        return self._refused_workload(request, error)

    def _refused_workload(self, request: web.Request, error: RefusedTokenError) -> WireError:
        """401 with why a workload's token proves nobody, by its stable word. The log is told the subject where it was
        signed."""
        ticket = request[_TICKET]
        ticket.caller = Caller("unproved workload", "anonymous", address=address_of(request))
        ticket.why = error.fault
        noted = {"issuer": error.issuer, "subject": error.subject} if error.subject else {}
        return replace(self._unauthorized(request, ""), facts={"reason": error.fault}, noted=noted)

    def _no_directory(self, request: web.Request, error: DirectoryError) -> WireError:
        """The answer where the directory cannot tell (503), or tells that the person may nothing here (403)."""
        ticket = request[_TICKET]
        ticket.caller = Caller("unproved directory", "anonymous", address=address_of(request))
        ticket.why = error.fault
        facts = {"reason": error.fault}
        if error.fault in PERSONAL:
            return replace(WireError(403, "DENIED", error.what), facts=facts)
        return replace(WireError(503, "UNAVAILABLE", error.what), facts=facts)

    def unexplained(self, request: web.Request, error: UnexplainedError) -> WireError:
        """The answer to who proved an account that the audit log does not explain: it opens nothing."""
        ticket = request[_TICKET]
        ticket.caller = Caller(f"unproved {str(error.thing)[:64]!r}", "anonymous", address=address_of(request))
        ticket.why = error.what
        return WireError(403, "DENIED", "the account was changed outside of the station: ask an administrator")

    def _check_list(self, request: web.Request, ticket: Ticket) -> WireError | None:
        """The base: whoever proved something, or got a token as nobody. The catalog: what names a repository one may
        pull, with a token for it."""
        if request.path in _BASE:
            return None if ticket.proved else self.challenge(request, "list", "")
        in_token = ticket.access is None or any(
            (scope.kind, scope.name) == ("registry", "catalog") and "*" in scope.actions for scope in ticket.access
        )
        allowed = bool(self.rules.decide(ticket.caller, "pull"))
        if allowed and in_token:
            return None
        if ticket.caller.kind == "anonymous":
            return self.challenge(request, "list", "")
        return self.challenge(request, "list", "", "insufficient_scope") if allowed else denied()


def denied() -> WireError:
    """403, the same whether what was asked for exists or not."""
    return WireError(403, "DENIED", "requested access to the resource is denied")


def _slow_down(request: web.Request, empty: Empty) -> WireError:
    """429. Only the first of a row is worth an event: a flood must not fill the audit log."""
    request[_TICKET].told = not empty.first
    return WireError(429, "TOOMANYREQUESTS", "too many requests").with_headers(Retry_After=str(empty.seconds))


def _host(request: web.Request) -> str:
    """The name that the client calls this registry by; what is no name is not repeated."""
    host = request.host
    return host if _HOST.match(host) else "localhost"
