"""Transfers by SFTP, and drop folders."""

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


class DroppedBundle(Shape, frozen=True, kw_only=True):
    """A bundle in a drop folder: `state` is `waits`, `importing`, `imported`, or how its import ended; `why` says what
    it waits for or what speaks against it; `job` is the import's and `at` when that was begun, or empty."""

    id: str
    state: str
    why: str
    job: str
    at: str


class DropFolder(Shape, frozen=True, kw_only=True):
    """A drop folder: `fault` says why it cannot be read, `others` counts what is no bundle's folder, and with `more`
    there is more than is looked at."""

    name: str
    path: str
    fault: str
    others: int
    more: bool
    bundles: tuple[DroppedBundle, ...]
