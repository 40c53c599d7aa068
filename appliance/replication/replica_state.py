"""How this station stands to a primary, in a file of the station's folder: the job writes it, everybody reads it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.limits import replication as limits
from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that is not followed: `why` is a verdict of appliance.replication.compare, `here` and `there` where it
    stands, "" for nowhere."""

    tag: str
    why: str
    here: str
    there: str


class RepositoryState(msgspec.Struct, frozen=True, kw_only=True):
    """One repository. `equal`: when the last look began after which everything here was as there, "" for never. Of the
    last look: `tags` there, `behind` of them (not here as there, whatever the reason), `gone` tags that are here and
    not there any more, `conflicts` counts `stuck`, whose first are told, `withheld` the tags that
    are shown to nobody on either side, and `fault` is the first thing that failed."""

    equal: str = ""
    tags: int = 0
    behind: int = 0
    gone: int = 0
    conflicts: int = 0
    stuck: tuple[Stuck, ...] = ()
    withheld: int = 0
    fault: str = ""


class ReplicaState(msgspec.Struct, frozen=True, kw_only=True):
    """A replica. `job` follows; `began` and `ended`: the last look, `ended` "" while it goes on; `whole`: when the last
    look began that compared everything and left nothing behind; `fault`: why the last look could not be finished."""

    job: str = ""
    began: str = ""
    ended: str = ""
    whole: str = ""
    fault: str = ""
    repositories: dict[str, RepositoryState] = {}


def read(path: Path) -> ReplicaState:
    """What was written last; an empty one where nothing was, or it cannot be read."""
    try:
        return msgspec.json.decode(read_small(path, limits.REPLICA_STATE), type=ReplicaState)
    except (LockgateError, msgspec.DecodeError):
        return ReplicaState()


def write(path: Path, standing: ReplicaState) -> None:
    """Keep it. Raises FailedError."""
    write_atomic(path, msgspec.json.encode(standing), 0o600)
