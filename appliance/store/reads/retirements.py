"""What is retired: repositories, and artifacts by the digest that was named."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final, NamedTuple

from appliance.store.ports import Reader

_FIELDS: Final = "reference, repository, tag, digest, successor, after, reason, actor, at"


class Retirement(NamedTuple):
    """`reference` is REPO, REPO:TAG or REPO@DIGEST, retired from the time `after` on; `successor` takes its place.
    `digest` is what it named when it was retired, "" for a whole repository."""

    reference: str
    repository: str
    tag: str
    digest: str
    successor: str
    after: str
    reason: str
    actor: str
    at: str

    def is_over(self, now: str) -> bool:
        """Whether the time has come."""
        return self.after <= now


def retirements(reader: Reader, after: str = "", limit: int = -1) -> list[Retirement]:
    """By reference, behind `after`; -1 for all."""
    rows = reader.execute(
        f"SELECT {_FIELDS} FROM retirements WHERE reference > ? ORDER BY reference LIMIT ?",  # noqa: S608  constants
        (after, limit),
    )
    return [Retirement(*row) for row in rows]


def retired(reader: Reader, repositories: Collection[str], digests: Collection[str]) -> list[Retirement]:
    """The retirements of whole repositories, and of these digests wherever they are shown; the first in time first."""
    rows = reader.execute(
        f"SELECT {_FIELDS} FROM retirements WHERE (digest = '' AND repository IN (SELECT value FROM json_each(?)))"  # noqa: S608  constants
        " OR digest IN (SELECT value FROM json_each(?)) ORDER BY after, reference",
        (json.dumps(list(repositories)), json.dumps([one for one in digests if one])),
    )
    return [Retirement(*row) for row in rows]
