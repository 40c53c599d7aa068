"""A registry with accounts, for tests: the real gate, tokens, argon2id and SQLite, on loopback."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from appliance import clock
from appliance.access import token_keys
from appliance.access.directory import DirectoryAccounts
from appliance.access.identity import MARK, Explained, Identity, StationIdentity
from appliance.access.ldap_directory import LdapDirectory
from appliance.access.passwords import HashingThreads, hash_secret, new_secret
from appliance.access.request_gate import AccountAccess
from appliance.access.token_endpoint import StationAccess, TokenEndpoint, refresh_key
from appliance.access.workload_identity import WorkloadIdentity
from appliance.audit.event import AuditEvent
from appliance.permissions import Role, Rules, parse_networks
from appliance.settings.directory import DirectorySettings
from appliance.settings.workload_issuers import WorkloadIssuerSettings
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.access import CreateAccount, GrantRole
from appliance.store.writes.tokens import AddSecret
from appliance.store.writes.write import AsyncGuarded, Write
from tests.passwords import hash_password
from tests.registry_server import Answer, Server, Store

SERVICE = "lockgate/bravo"
PASSWORD = "a password of some length"
HASH = hash_password(PASSWORD)


class Site(Store):
    """A store whose workers ask who one is."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.paths.keys.mkdir(exist_ok=True)
        token_keys.rotate(self.paths.token_keys)
        self.gates: list[AccountAccess] = []

    def worker(
        self,
        *,
        anonymous: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        roles: Mapping[Role, tuple[str, ...]] | None = None,
        rate: float = 0.0,
        explained: Explained | None = None,
        directory: DirectorySettings | None = None,
        issuers: Mapping[str, WorkloadIssuerSettings] | None = None,
        **more: Any,
    ) -> Server:
        """A worker with its own memory of tokens and log-ins; `roles` count from those addresses alone."""
        accounts = Accounts(Metadata(self.paths.database).connection)
        threads, writer = HashingThreads(), AsyncWriterService(self.writer)
        self._stack.callback(threads.close)
        at_home = {role: parse_networks(networks) for role, networks in (roles or {}).items()}

        async def record(event: AuditEvent) -> None:
            await asyncio.to_thread(self.audit.record, event)

        people = None
        if directory is not None:
            people = DirectoryAccounts(
                LdapDirectory(directory, self.paths.root), accounts, AsyncGuarded(writer), record
            )
        epoch = SharedEpoch(self.paths.database)
        identity: Identity = StationIdentity(accounts, writer, threads, epoch, explained, people)
        if issuers is not None:
            identity = WorkloadIdentity(identity, issuers, self.paths.root, accounts, writer)
        gate = AccountAccess(
            self.paths, accounts, identity, Rules(anonymous, at_home),
            issuer="bravo", networks=parse_networks(addresses), rate=rate,
        )  # fmt: skip
        self.gates.append(gate)
        key = refresh_key(self.paths.refresh_key)
        return self.serve(access=StationAccess(gate, TokenEndpoint(gate, writer, key)), **more)

    def submit(self, write: Write) -> Any:
        return self.writer.submit(write)

    def person(self, name: str, *roles: str, hashed: str = HASH) -> str:
        """A person with PASSWORD; roles are `role` or `role pattern`. Returns the name."""
        self.submit(CreateAccount(name=name, kind="person", full_name="", password=hashed, at=clock.now()))
        for text in roles:
            role, _, pattern = text.partition(" ")
            self.submit(GrantRole(account=name, role=role, pattern=pattern or "**"))
        return name

    def robot(self, name: str, *roles: str, lasting: int = 3600) -> tuple[str, str, str]:
        """A robot: its name, its secret, the secret's id. The secret is good for `lasting` seconds."""
        self.submit(CreateAccount(name=name, kind="robot", full_name="", at=clock.now()))
        for text in roles:
            role, _, pattern = text.partition(" ")
            self.submit(GrantRole(account=name, role=role, pattern=pattern or "**"))
        return name, *self.secret(name, lasting)

    def secret(self, name: str, lasting: int = 3600) -> tuple[str, str]:
        secret_id = new_secret().encode().hex()[:16]
        secret = f"{MARK}{secret_id}_{new_secret()}"
        self.submit(
            AddSecret(
                account=name, id=secret_id, hash=hash_secret(secret), at=clock.now(), expires=clock.after(lasting)
            )
        )
        return secret, secret_id


def basic(name: str, secret: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask_token(server: Server, headers: dict[str, str] | None, *scopes: str, **query: str) -> Answer:
    """GET /token."""
    fields = [("service", SERVICE), *(("scope", scope) for scope in scopes), *query.items()]
    return server.ask("GET", f"/token?{urlencode(fields)}", headers=headers or {})


def token(server: Server, name: str, *scopes: str, secret: str = PASSWORD) -> str:
    """A bearer token of an account for scopes."""
    answer = ask_token(server, basic(name, secret), *scopes)
    assert answer.status == 200, answer.body
    return str(answer.json["token"])


def post_token(server: Server, **form: str) -> Answer:
    """POST /token, OAuth2."""
    fields = {"service": SERVICE, "client_id": "tests"} | form
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return server.ask("POST", "/token", urlencode(fields), headers)
