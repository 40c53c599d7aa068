"""Transfers by SFTP and over one-way links, and drop folders."""

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


class DiodeDatagrams(Shape, frozen=True, kw_only=True):
    """What came of datagrams since the receiver was started: `useful`; `surplus`: right, and not needed any more;
    `unknown`: of a session whose head has not come; `forged`: with a hash or signature that does not hold; `foreign`:
    none of ours."""

    useful: int
    surplus: int
    unknown: int
    forged: int
    foreign: int


class DiodeBundle(Shape, frozen=True, kw_only=True):
    """A bundle on its way in over a diode: `missing` of its `blocks` are not whole, and `code` says which, for
    `lockgate diode send --missing`."""

    id: str
    site: str
    bytes: int
    blocks: int
    missing: int
    code: str


class Diode(Shape, frozen=True, kw_only=True):
    """A one-way link of config.toml. Of its receiving end: `job` is the last one that received, which said something
    new `at` that time; `buffer` is what the kernel holds for it and `received` what was of use, in bytes."""

    name: str
    address: str
    mtu: int
    rate: int
    repair: int
    repeat: int
    drop_folder: str
    key: bool
    job: str
    at: str
    buffer: int
    received: int
    datagrams: DiodeDatagrams
    arriving: tuple[DiodeBundle, ...]
