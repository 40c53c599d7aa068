"""By what accounts prove themselves, decided from values alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from appliance.settings.station import Config

LOCAL: Final = "local"
DIRECTORY: Final = "directory"


def origin_of(config: Config, name: str, *, has_secret: bool = True, directory: bool = False) -> str:
    """`directory` for a person of the directory. Else `local`, where the account has a password or a secret of this
    station, and `workload NAME` for each issuer whose workloads it is, a comma between them."""
    if directory:
        return DIRECTORY
    issuers = workloads_of(config, name)
    found = [LOCAL] if has_secret or not issuers else []
    return ", ".join([*found, *(f"workload {issuer}" for issuer in issuers)])


def workloads_of(config: Config, name: str) -> Collection[str]:
    """The issuers of config.toml some of whose workloads are the robot of that name."""
    return [issuer for issuer, one in config.workload_issuers.items() if name in one.robots.values()]
