"""What a review of access looks at (SP 800-53 AC-2 j, AC-6 (7)): decided from values alone, without a clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Final

from appliance.addresses import is_loopback, split_listen
from appliance.api.review import Exposed
from appliance.patterns import EVERYTHING
from appliance.permissions import GIVES
from appliance.settings.caches import prefix_of
from appliance.settings.station import Config
from appliance.settings.workload_issuers import EVERY
from appliance.store.reads.accounts import Account, Secret
from bundles.io.times import later

UNUSED: Final = timedelta(days=90)
"""An account that proved itself to nobody for so long is unused."""
LONG: Final = timedelta(days=183)
"""A robot's secret that is good for longer is long-lived."""


def concerns(
    account: Account, seen: str | None, secrets: Sequence[Secret], keys: Collection[str], good_keys: Collection[str], *,
    has_foreign: bool, is_workload: bool = False, at: str,
) -> Iterator[str]:  # fmt: skip
    """Codes of what a reviewer should look at. `secrets` are those that are not revoked; `good_keys` are pinned here
    and count for releases at that time; `has_foreign`: a credential that another person set and nobody confirmed;
    `is_workload`: it proves itself by tokens of another issuer, and needs no secret."""
    if account.disabled is not None:
        if account.grants:
            yield "disabled-with-roles"
        return
    if not account.grants:
        yield "no-roles"
    if at > later(seen or account.created, UNUSED):
        yield "unused" if seen else "never-used"
    if any(grant.pattern == EVERYTHING and GIVES[grant.role] & {"push", "delete"} for grant in account.grants):
        yield "writes-everywhere"
    if has_foreign:
        yield "foreign-credential"
    if any(key not in good_keys for key in keys):
        yield "key-not-good"
    if account.kind == "robot":
        yield from _of_secrets(secrets, is_workload, at)


def _of_secrets(secrets: Sequence[Secret], is_workload: bool, at: str) -> Iterator[str]:
    good = [one for one in secrets if one.expires > at]
    if not good and not is_workload:
        yield "no-good-secret"
    if any(one.expires > later(one.created, LONG) for one in good):
        yield "long-lived-secret"


def exposed(config: Config) -> Iterator[Exposed]:
    """What config.toml lets in without an account, or from everywhere."""
    if config.open:
        yield Exposed(code="open-station", thing=config.listen)
    if not is_loopback(split_listen(config.listen)[0]) and not config.access.addresses:
        yield Exposed(code="listens-to-everybody", thing=config.listen)
    metrics = config.metrics_listen
    if metrics and not is_loopback(split_listen(metrics)[0]) and not config.access.metrics_addresses:
        yield Exposed(code="metrics-for-everybody", thing=metrics)
    for pattern in config.access.anonymous_pull:
        yield Exposed(code="anonymous-pull", thing=pattern)
    for pattern in config.registry.push:
        yield Exposed(code="clients-push", thing=pattern)
    if config.side == "inside":
        for name, cache in config.caches.items():
            yield Exposed(code="unapproved-cache", thing=f"{prefix_of(name, cache.prefix)} from {cache.upstream}")
    for name, issuer in config.workload_issuers.items():
        for subject, robot in issuer.robots.items():
            if EVERY in subject:
                yield Exposed(code="workload-pattern", thing=f"{name}: {subject} is {robot}")
    if config.access.socket_group:
        yield Exposed(code="socket-group", thing=config.access.socket_group)
