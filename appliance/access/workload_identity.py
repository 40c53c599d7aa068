"""Workloads behind the port of who somebody is: their issuer's token in the place of a robot's secret."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.access.identity import Identity, Known, LockedError, note_seen
from appliance.access.rate_limits import Buckets
from appliance.access.workload_keys import KeyFile
from appliance.access.workload_tokens import RefusedTokenError, Workload, check_claims, looks_like_one, read, verify
from appliance.limits import access as limits
from appliance.settings.workload_issuers import WorkloadIssuerSettings
from appliance.store.reads.accounts import ROBOT, Account, Accounts
from appliance.store.writes.write import AsyncWriter
from bundles.errors import LockgateError

NAME: Final = "workload"
"""What a workload calls itself that does not know which robot it is."""


class WorkloadIdentity:
    """Workloads by the tokens of the issuers that config.toml names; everybody else as `other` knows them.

    A workload is a robot of the station: what that may, and whether it is disabled, its account says. Nothing is
    verified for an origin whose failures leave it no attempt.
    """

    def __init__(
        self, other: Identity, issuers: Mapping[str, WorkloadIssuerSettings], root: Path, accounts: Accounts,
        writer: AsyncWriter,
    ) -> None:  # fmt: skip
        """`root` is the station's folder, which files of keys are relative to."""
        self._other, self._accounts, self._writer = other, accounts, writer
        self._issuers = {one.issuer: (name, one, KeyFile(root / one.jwks)) for name, one in issuers.items()}
        self._attempts = Buckets(*limits.FAILURE_RATE)

    async def identify(self, name: str, secret: str, origin: str) -> Known | None:
        """As Identity.identify. Raises RefusedTokenError for a token that proves nobody."""
        if not looks_like_one(secret) or not (name == NAME or name.startswith(ROBOT)):
            return await self._other.identify(name, secret, origin)
        if not self._attempts.has(origin):
            empty = self._attempts.take(origin)
            if empty is not None:
                raise LockedError(empty.seconds, first=empty.first)
        try:
            workload = await self._prove(secret, "" if name == NAME else name)
            account = self._robot_of(workload)
        except RefusedTokenError:
            self._attempts.take(origin)
            raise
        await self.require_explained(account.name)
        await note_seen(self._accounts, self._writer, account.name)
        return Known(account, workload=workload)

    async def require_explained(self, name: str) -> None:
        """As Identity.require_explained."""
        await self._other.require_explained(name)

    def _robot_of(self, workload: Workload) -> Account:
        account = self._accounts.find(workload.robot)
        if account is None or account.kind != "robot" or account.disabled is not None:
            raise RefusedTokenError("token-robot", subject=workload.subject, issuer=workload.issuer)
        return account

    async def _prove(self, text: str, asked: str) -> Workload:
        token = read(text)
        if token.issuer not in self._issuers:
            raise RefusedTokenError("token-issuer")
        name, issuer, file = self._issuers[token.issuer]
        check_claims(token, issuer, int(time.time()))
        try:
            keys = await file.keys()
        except LockgateError:
            raise RefusedTokenError("token-keys") from None
        return verify(token, name, issuer, keys, asked)
