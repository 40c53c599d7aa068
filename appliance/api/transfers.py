"""Transfers by SFTP."""

from __future__ import annotations

from appliance.api.common import Shape


class TransferHost(Shape, frozen=True, kw_only=True):
    """A transfer host of config.toml, without its secrets: `host_keys` are the fingerprints that are pinned, `hours`
    its windows in UTC, `rate` bytes a second (0: no limit), `parallel` files at once, `compare` whether what is sent is
    read back."""

    name: str
    address: str
    user: str
    folder: str
    through: str
    host_keys: tuple[str, ...]
    hours: tuple[str, ...]
    rate: int
    parallel: int
    compare: bool
