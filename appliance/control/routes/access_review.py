"""/v1/access-review: who may do what, for administrators and auditors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web

from appliance import clock
from appliance.access import origins, review
from appliance.api.review import Exposure, ReviewedAccount, ReviewedRole, ReviewedSecret
from appliance.control.api import Control, answer, get, may, page, page_of, require
from appliance.control.threads import on_own_station
from appliance.release_check.account_record import ABOUT, Granted
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads import credentials
from appliance.store.reads.accounts import Account, Accounts


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def accounts(request: web.Request) -> web.Response:
        await _require(request)
        limit, after, text = page_of(request)
        found = control.accounts.page(limit, after, text)
        seen = {one.name: control.callers.seen(one.name) for one in found}
        reviewed = await asyncio.to_thread(on_own_station, control.station, lambda own: _reviewed(own, found, seen))
        return page(reviewed, limit, lambda one: str(one.name))

    async def exposure(request: web.Request) -> web.Response:
        await _require(request)
        config = control.station.config
        return answer(Exposure(site=config.site, at=clock.now(), exposed=tuple(review.exposed(config))))

    return [get("/v1/access-review", "status", accounts), get("/v1/access-review/exposure", "status", exposure)]


async def _require(request: web.Request) -> None:
    """An administrator or an auditor. Raises RefusedError."""
    if not may(request, "audit"):
        await require(request, "account")


def _reviewed(station: Station, found: Sequence[Account], seen: Mapping[str, str | None]) -> list[ReviewedAccount]:
    """Accounts, each with what stands to its name. Reads the whole audit log. Blocking."""
    log, at = read_log(station.paths, station.config.site, acts=ABOUT), clock.now()
    since = log.deeds.accounts.granted()
    good = {one.keyid for one in station.trust().records if one.objection("release", at) is None}
    return [_account(station, one, seen[one.name], since, good, at) for one in found]


def _account(
    station: Station, one: Account, seen: str | None, since: Mapping[Granted, int], good: set[str], at: str
) -> ReviewedAccount:
    held = Accounts(station.reader)
    secrets = [secret for secret in held.secrets_of(one.name) if secret.revoked is None]
    keys = held.keys_of(one.name)
    good_secrets = [secret for secret in secrets if secret.expires > at]
    workloads = origins.workloads_of(station.config, one.name)
    has_foreign = bool(credentials.foreign(station.reader, one.name))
    return ReviewedAccount(
        name=one.name,
        kind=one.kind,
        full_name=one.full_name,
        origin=origins.origin_of(
            station.config,
            one.name,
            has_secret=bool(good_secrets) or one.kind == "person",
            directory=held.of_directory(one.name),
        ),
        created=one.created,
        seen=seen,
        disabled=one.disabled,
        roles=tuple(
            ReviewedRole(
                role=grant.role, pattern=grant.pattern, since=_time(since.get((one.name, grant.role, grant.pattern)))
            )
            for grant in one.grants
        ),
        keys=tuple(keys),
        uid=one.uid,
        secrets=tuple(
            ReviewedSecret(id=secret.id, created=secret.created, expires=secret.expires) for secret in secrets
        ),
        concerns=tuple(
            review.concerns(one, seen, secrets, keys, good, has_foreign=has_foreign, is_workload=bool(workloads), at=at)
        ),
    )


def _time(micros: int | None) -> str | None:
    return clock.at(micros / 1_000_000) if micros else None
