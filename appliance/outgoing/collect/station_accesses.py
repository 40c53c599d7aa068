"""How a `collect` job reaches its registries: the station's settings, and the accounts that came with the job.

An account is one that whoever started the job handed over, else one of the station's own: the systemd credential
`registry-auth.json` of its service (systemd.exec(5), LoadCredential=). Neither stands in the job's params, its folder,
the database or a log; of what came, the params have the names of the registries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from appliance.jobs.kinds import JobContext
from appliance.outgoing.collect.access import HostAccess
from appliance.upstreams.accounts import Account, Accounts, canonical_host
from appliance.upstreams.auth_files import own_accounts
from appliance.upstreams.upstream import Upstreams
from bundles.errors import FailedError


class StationAccesses:
    """`appliance.outgoing.collect.access.Accesses` of one job. `lost`: registries whose accounts came with the job and
    went with the process that held them."""

    def __init__(self, upstreams: Upstreams, handed: Accounts, own: Accounts, lost: Iterable[str] = ()) -> None:
        self._upstreams, self._handed, self._own = upstreams, handed, own
        self._lost = frozenset(map(canonical_host, lost))

    def located(self, host: str, repository: str) -> tuple[str, str]:
        """As Accesses.located. Raises RefusedError where the machine blocks it, UsageError, FailedError."""
        return self._upstreams.located(host, repository)

    def for_repository(self, host: str, repository: str) -> HostAccess:
        """As Accesses.for_repository. Raises FailedError also where the account that came for it is lost."""
        account = self._account(host, repository)
        return HostAccess(
            host,
            user=account.user if account and account.secret else None,
            secret=account.secret if account and account.secret else None,
            identity_token=account.identity_token or None if account else None,
            ssl=self._upstreams.context(host),
            authorities=self._upstreams.authorities,
            plain_http=self._upstreams.plain_http(host, repository),
            proxy=self._upstreams.proxy(host),
            concurrency=self._upstreams.settings(host).concurrency,
        )

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        """As Accesses.mirrors. Raises RefusedError where the repository is blocked, UsageError, FailedError."""
        return self._upstreams.mirrors(host, repository)

    def _account(self, host: str, repository: str) -> Account | None:
        account = self._handed.find(host, repository) or self._own.find(host, repository)
        if account is None and canonical_host(host) in self._lost:
            raise FailedError(
                "the account that came with the job is gone, since the station was started again", thing=host,
                remedy="run the same command again: what was fetched is kept",
            )  # fmt: skip
        return account


def accesses_of(context: JobContext, environ: Mapping[str, str] = os.environ) -> StationAccesses:
    """What a job works with. Raises UsageError where the station's own accounts are malformed, FailedError."""
    raw = context.secret()
    handed = Accounts() if raw is None else Accounts.decode(raw)
    own = own_accounts(environ)
    lost = context.params.get("accounts", ()) if raw is None else ()
    station = context.station
    return StationAccesses(Upstreams(station.config, station.paths.root), handed, own, lost)
