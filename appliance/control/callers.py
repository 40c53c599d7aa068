"""Who calls the control API: a log-in's session, or else the socket's peer credentials, made an account."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from appliance import clock
from appliance.access.identity import Known, is_good
from appliance.access.passwords import fingerprint
from appliance.api.errors import LOG_IN_OVER, NO_ACCOUNT
from appliance.limits import access as limits
from appliance.permissions import Caller
from appliance.settings.station import Config
from appliance.store.reads.accounts import Account, Accounts
from bundles.errors import RefusedError

_BEARER: Final = "Bearer "


@dataclass(slots=True)
class _Session:
    """`secret`: the id of the robot's secret that opened it, "" for a person's. Times are time.monotonic()."""

    account: str
    generation: int
    secret: str
    since: float
    last: float


class Callers:
    """Knows callers by the session they name (`Authorization: Bearer`), or by the uid at the other end of the Unix
    socket (unix(7), SO_PEERCRED). Sessions are this process's own: a restart ends them."""

    def __init__(self, config: Config, accounts: Accounts, now: Callable[[], float] = time.monotonic) -> None:
        self._config, self._accounts, self._now = config, accounts, now
        self._sessions: dict[str, _Session] = {}
        self._seen: dict[str, str] = {}

    def identify(self, request: web.Request) -> Caller:
        """The caller. On an open station root and the station's owner may do everything.

        Raises RefusedError for everybody else without an account, and for a session that is over.
        """
        uid = peer_uid(request)
        if self._config.open:
            if uid not in (0, os.geteuid()):
                raise RefusedError("this account may not use the station", thing=str(uid), remedy="call as the owner")
            return Caller(system_name(uid), "system", uid=uid, everything=True)
        sent = request.headers.get("Authorization", "")
        if sent:
            return self._of_session(sent.removeprefix(_BEARER)).caller()
        account = self._accounts.of_uid(uid)
        if account is None or account.disabled is not None:
            waits = None if account is not None else self._accounts.waiting_uid(uid)
            if waits is not None:
                change, name = waits
                raise RefusedError(
                    "no account stands for this system account yet: its binding waits to be confirmed",
                    thing=f"{change}: uid {uid} calls for {name}",
                    remedy=f"log in with: lockgate user login {name}; who confirms it: lockgate user pending",
                )
            raise RefusedError(
                "no account stands for this system account",
                thing=system_name(uid),
                remedy="log in with: lockgate user login NAME",
                code=NO_ACCOUNT,
            )
        self._seen[account.name] = clock.now()
        return account.caller()

    def log_in(self, known: Known) -> str:
        """A new session of an account that has proved itself; what the client is to send."""
        token, moment, account = secrets.token_urlsafe(32), self._now(), known.account
        self._sessions[fingerprint(token)] = _Session(account.name, account.generation, known.secret, moment, moment)
        self._end_beyond(
            limits.SESSIONS_OF_ACCOUNT, [key for key, one in self._sessions.items() if one.account == account.name]
        )
        self._end_beyond(limits.SESSIONS, list(self._sessions))
        return token

    def _end_beyond(self, most: int, keys: list[str]) -> None:
        """Of the sessions `keys`, end the longest silent ones until there are `most`."""
        if len(keys) > most:
            for key in sorted(keys, key=lambda key: self._sessions[key].last)[: len(keys) - most]:
                del self._sessions[key]

    def log_out(self, request: web.Request) -> None:
        """End the session that the request names, if it names one."""
        self._sessions.pop(fingerprint(request.headers.get("Authorization", "").removeprefix(_BEARER)), None)

    def _of_session(self, token: str) -> Account:
        key, moment = fingerprint(token), self._now()
        session = self._sessions.get(key)
        account = self._accounts.find(session.account) if session else None
        if (
            session is None
            or account is None
            or account.disabled is not None
            or account.generation != session.generation
            or not self._is_good(session.secret)
            or moment - session.last > self._config.access.session_minutes * 60
            or moment - session.since > limits.SESSION_LIFE
        ):
            self._sessions.pop(key, None)
            raise RefusedError(
                "the log-in is over", remedy="log in again with: lockgate user login NAME", code=LOG_IN_OVER
            )
        session.last = moment
        self._seen[account.name] = clock.now()
        return account

    def _is_good(self, secret_id: str) -> bool:
        """Whether a robot's secret still opens a session; True for a person's, who has none."""
        secret = self._accounts.secret(secret_id) if secret_id else None
        return not secret_id or (secret is not None and is_good(secret))

    def secret_of(self, request: web.Request) -> str:
        """The id of the robot's secret that the request's session was opened with; "" for every other caller."""
        session = self._sessions.get(fingerprint(request.headers.get("Authorization", "").removeprefix(_BEARER)))
        return "" if session is None else session.secret

    def still_here(self, request: web.Request) -> None:
        """Somebody follows what they asked for: their session is not a silent one."""
        session = self._sessions.get(fingerprint(request.headers.get("Authorization", "").removeprefix(_BEARER)))
        if session is not None and self._now() - session.last <= self._config.access.session_minutes * 60:
            session.last = self._now()

    def seen(self, name: str) -> str | None:
        """When the account last called here, or proved itself anywhere on the station."""
        return max(self._seen.get(name, ""), self._accounts.seen(name) or "") or None


def peer_uid(request: web.Request) -> int:
    """The caller's uid. Raises RefusedError where the transport has none."""
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        raise RefusedError("the caller is gone")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def system_name(uid: int) -> str:
    """A system account as the audit log names it: `name(uid)`."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        name = "uid"
    return f"{name}({uid})"
