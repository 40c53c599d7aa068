"""What was promoted and rolled back, by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.store.ports import Reader

_FIELDS = "number, act, repository, tag, digest, before, source, actor, reason, policy, summary, at"


@dataclass(frozen=True, slots=True)
class Promoted:
    """A promotion or a rollback (`act`): the tag stands at `digest` since, and stood at `before` ("" for nowhere).
    `source` is the reference that was promoted, `policy` the number of the policy that it passed, `summary` the digest
    of what the station signed about it ("" for a rollback)."""

    number: int
    act: str
    repository: str
    tag: str
    digest: str
    before: str
    source: str
    actor: str
    reason: str
    policy: int
    summary: str
    at: str


def history(reader: Reader, channel: str, tag: str, limit: int, before: int = 0) -> list[Promoted]:
    """Of a repository, or of all below a prefix, the newest first; of one tag where it is given; older than the number
    `before`, 0 for any."""
    rows = reader.execute(
        f"SELECT {_FIELDS} FROM promotions WHERE (repository = ?1"  # noqa: S608  constants
        " OR (repository > ?1 || '/' AND repository < ?1 || '0'))"
        " AND (?2 = '' OR tag = ?2) AND (?4 = 0 OR number < ?4) ORDER BY number DESC LIMIT ?3",
        (channel, tag, limit, before),
    )
    return [Promoted(*row) for row in rows]


def of_tag(reader: Reader, repository: str, tag: str) -> Sequence[Promoted]:
    """Of one tag, the oldest first."""
    rows = reader.execute(
        f"SELECT {_FIELDS} FROM promotions WHERE repository = ? AND tag = ? ORDER BY number",  # noqa: S608  constants
        (repository, tag),
    )
    return [Promoted(*row) for row in rows]


def tags_of(reader: Reader, repository: str) -> list[str]:
    """The tags of a repository that were promoted, by name."""
    rows = reader.execute("SELECT DISTINCT tag FROM promotions WHERE repository = ? ORDER BY tag", (repository,))
    return [str(tag) for (tag,) in rows]
