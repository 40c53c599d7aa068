"""What a collection took, from which repository: what who may pull there is told when it is asked for later.

A row is made when a link goes (`appliance.store.writes.rows.take_link`), and is a tombstone once a collection took the
blob. It stands for its own repository alone: that another one showed the digest, or a bundle brought it, is in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from appliance.store.ports import Reader

_WHY: Final = {
    "deleted": "it was deleted",
    "unnamed": "no manifest of the repository named it",
    "untagged": "no tag of the repository led to it",
    "withdrawn": "its release was withdrawn",
}


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A digest that a repository showed until `unlinked`, and that the collection `job` took at `taken`."""

    digest: str
    unlinked: str
    why: str
    taken: str
    job: str

    def facts(self) -> dict[str, str]:
        """What a client is told."""
        return {
            "digest": self.digest,
            "why": self.why,
            "since": self.unlinked,
            "collected": self.taken,
            "job": self.job,
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """Tombstones, and how often one was asked for since it was made (each at most once a minute on each worker)."""

    tombstones: int
    asked: int


def find(reader: Reader, repository: str, digest: str, kind: Literal["blob", "manifest"]) -> Tombstone | None:
    """The tombstone of a digest in a repository. Point read."""
    row = reader.execute(
        "SELECT digest, unlinked, why, taken, job FROM tombstones"
        " WHERE repository = ? AND digest = ? AND kind = ? AND taken IS NOT NULL",
        (repository, digest, kind),
    ).fetchone()
    return None if row is None else Tombstone(row[0], row[1], _WHY.get(row[2], row[2]), row[3], row[4])


def counts(reader: Reader) -> Counts:
    """Reads the indexes of tombstones: some milliseconds for a hundred thousand."""
    row = reader.execute(
        "SELECT (SELECT count(*) FROM tombstones WHERE taken IS NOT NULL),"
        " (SELECT coalesce(sum(asked), 0) FROM tombstones WHERE asked > 0)"
    ).fetchone()
    return Counts(int(row[0]), int(row[1]))
