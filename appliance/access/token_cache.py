"""The bearer tokens that one worker has verified: each for as long as it is good, and nothing has changed anywhere.

Nothing that was found out outlives the epoch: it is looked at with every request, and a revocation anywhere makes every
worker forget what it had verified.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from appliance import clock
from appliance.access.identity import is_good
from appliance.access.scopes import Scope
from appliance.access.token_keys import Ring, load
from appliance.access.tokens import Claims, header_of, verify
from appliance.limits import access as limits
from appliance.permissions import Caller
from appliance.registry.services import Action
from appliance.store.epoch import Epoch
from appliance.store.reads.accounts import Accounts
from bundles.errors import RefusedError


@dataclass(slots=True)
class Bearer:
    """A token that holds, as it comes from one address: whose it is, what for, and until when (seconds since 1970).

    `allowed` is what of it the account was found to be allowed: asked again, nothing needs to be decided again.
    """

    caller: Caller
    access: tuple[Scope, ...]
    until: int
    allowed: set[tuple[Action, str]] = field(default_factory=set)


class Bearers:
    """What the tokens of this station mean; one worker's."""

    def __init__(self, folder: Path, accounts: Accounts, epoch: Epoch, audience: str) -> None:
        """`folder` holds the keys for tokens; `audience` is the station's name in them, and their issuer's."""
        self._folder, self._accounts, self._shared, self._audience = folder, accounts, epoch, audience
        self._ring: Ring | None = None
        self._reading = asyncio.Lock()
        self._epoch = b""
        self._kept: OrderedDict[tuple[str, str], Bearer] = OrderedDict()

    def remembered(self, token: str, address: str) -> Bearer | None:
        """A token that was verified before, and still is as it was. Never blocks."""
        epoch = self._shared.seen()
        if epoch != self._epoch:
            self._kept.clear()
            self._epoch = epoch
            return None
        kept = self._kept.get((token, address))
        return kept if kept is not None and time.time() < kept.until else None

    async def verify(self, token: str, address: str) -> Bearer:
        """A token that was sent from an address. Raises RefusedError where it does not hold (any more)."""
        kept = self.remembered(token, address)
        if kept is not None:
            return kept
        now, ring = int(time.time()), await self.ring()
        try:
            claims = verify(token, ring.verifies, issuer=self._audience, audience=self._audience, now=now)
        except RefusedError:
            if not _names_unknown_key(token, ring):
                raise
            ring = await self.ring(anew=True)
            claims = verify(token, ring.verifies, issuer=self._audience, audience=self._audience, now=now)
        found = Bearer(self._account_of(claims, address), claims.access, claims.expires)
        self._kept[token, address] = found
        while len(self._kept) > limits.TOKEN_CACHE:
            self._kept.popitem(last=False)
        return found

    async def ring(self, anew: bool = False) -> Ring:
        """The keys for tokens, read again every so often, or where a token names one that is not known."""
        ring = self._ring
        if ring is not None and not ring.stale and not anew:
            return ring
        async with self._reading:
            if self._ring is ring or self._ring is None or self._ring.stale:
                self._ring = await asyncio.to_thread(load, self._folder)
            return self._ring

    def _account_of(self, claims: Claims, address: str) -> Caller:
        """The account behind a token, as it is now. Raises RefusedError where it has been taken away since."""
        if not claims.subject:
            return Caller("anonymous", "anonymous", address=address)
        account = self._accounts.find(claims.subject)
        if account is None or account.disabled is not None or account.generation != claims.generation:
            raise RefusedError("the token was revoked")
        if claims.session:
            secret = self._accounts.secret(claims.session)
            good = is_good(secret) if secret else self._accounts.family_is_good(claims.session, clock.now())
            if not good:
                raise RefusedError("the token was revoked")
        return account.caller(address)


def _names_unknown_key(token: str, ring: Ring) -> bool:
    """Whether it is worth reading the keys again: the header is none of those that the known keys make, and the keys
    were not read within the last second, whatever is sent. The header is compared, never parsed."""
    if time.monotonic() - ring.read < 1.0:
        return False
    head = token[: limits.TOKEN_LENGTH].partition(".")[0]
    return all(header_of(kid) != head for kid in ring.verifies)
