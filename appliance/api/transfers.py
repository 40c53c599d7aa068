"""Transfers by SFTP and over one-way links, drop folders, and stations that are followed."""

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


class StuckTag(Shape, frozen=True, kw_only=True):
    """A tag that is not followed: `why` is `moved-here`, `moved-both` or `went-back`; `here` and `there` are digests,
    empty for nowhere."""

    tag: str
    why: str
    here: str
    there: str


class ReplicaRepository(Shape, frozen=True, kw_only=True):
    """A repository that is followed. `equal`: when the last look began that found everything here as there, empty for
    never; `lag`: seconds since then, None for never: what the primary showed before is here. `tags` there, `behind` of
    them, `gone` there and still here; `conflicts` counts the tags that are not followed, `stuck` has the first of them;
    `withheld` counts the tags that are shown to nobody on either side; `fault`: what failed first."""

    name: str
    equal: str
    lag: int | None
    tags: int
    behind: int
    gone: int
    conflicts: int
    stuck: tuple[StuckTag, ...]
    withheld: int
    fault: str


class Replica(Shape, frozen=True, kw_only=True):
    """A station that this one follows, by config.toml. `job` follows it; `began` and `ended`: the last look, `ended`
    empty while it goes on; `whole`: when the last look began that compared everything and left nothing behind; `lag`:
    seconds since then, None for never; `fault`: why the last look could not be finished, or is not made."""

    name: str
    url: str
    account: str
    patterns: tuple[str, ...]
    every: int
    hours: tuple[str, ...]
    rate: int
    deletes: bool
    follow: bool
    job: str
    began: str
    ended: str
    whole: str
    lag: int | None
    fault: str
    repositories: tuple[ReplicaRepository, ...]
