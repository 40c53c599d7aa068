"""What was promoted and rolled back, by channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from appliance.store.ports import Reader

_FIELDS: Final = "number, act, repository, tag, digest, before, source, actor, reason, policy, summary, at, place, seal"


class Promoted(NamedTuple):
    """A promotion or a rollback (`act`): the tag stands at `digest` since, and stood at `before` ("" for nowhere).
    `source` is the reference that was promoted, `policy` the number of the policy that it passed, `summary` the digest
    of what the station signed about it ("" for a rollback). `place` and `seal` are those of its channel's chain
    (appliance.channel_seals), 0 and "" in a row that an earlier version wrote."""

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
    place: int = 0
    seal: str = ""


def history(reader: Reader, channel: str, tag: str, limit: int, before: int = 0) -> list[tuple[Promoted, str]]:
    """Of a repository, or of all below a prefix, the newest first; of one tag where it is given; older than the number
    `before`, 0 for any. Each with the seal of the row before it in its channel, "" for none."""
    rows = reader.execute(
        f"SELECT {_FIELDS}, COALESCE((SELECT o.seal FROM promotions o WHERE o.repository = promotions.repository"  # noqa: S608  constants
        " AND o.tag = promotions.tag AND o.number < promotions.number ORDER BY o.number DESC LIMIT 1), '')"
        " FROM promotions WHERE (repository = ?1"
        " OR (repository > ?1 || '/' AND repository < ?1 || '0'))"
        " AND (?2 = '' OR tag = ?2) AND (?4 = 0 OR number < ?4) ORDER BY number DESC LIMIT ?3",
        (channel, tag, limit, before),
    )
    return [(Promoted(*row[:-1]), str(row[-1])) for row in rows]


def of_tag(reader: Reader, repository: str, tag: str) -> Sequence[Promoted]:
    """Of one tag, the oldest first."""
    rows = reader.execute(
        f"SELECT {_FIELDS} FROM promotions WHERE repository = ? AND tag = ? ORDER BY number",  # noqa: S608  constants
        (repository, tag),
    )
    return [Promoted(*row) for row in rows]


def head_of(reader: Reader, repository: str, tag: str) -> str:
    """The seal of a channel's head, "" where it has none."""
    row = reader.execute(
        "SELECT seal FROM channel_heads WHERE repository = ? AND tag = ?", (repository, tag)
    ).fetchone()
    return "" if row is None else str(row[0])


def channels(reader: Reader, prefix: str = "", after: str = "", limit: int = -1) -> list[tuple[str, str]]:
    """Each repository, in a repository or below a prefix ("": of all), with a tag of it that was ever promoted or that
    has a head; by `repository:tag`, behind `after`, `limit` at most (-1: all)."""
    rows = reader.execute(
        "SELECT repository, tag FROM (SELECT repository, tag FROM promotions UNION SELECT repository, tag FROM"
        " channel_heads) c WHERE (?1 = '' OR repository = ?1 OR (repository > ?1 || '/' AND repository < ?1 || '0'))"
        " AND repository || ':' || tag > ?2 ORDER BY repository || ':' || tag LIMIT ?3",
        (prefix, after, limit),
    )
    return [(str(repository), str(tag)) for repository, tag in rows]


def tags_of(reader: Reader, repository: str) -> list[str]:
    """The tags of a repository that were promoted, by name."""
    rows = reader.execute("SELECT DISTINCT tag FROM promotions WHERE repository = ? ORDER BY tag", (repository,))
    return [str(tag) for (tag,) in rows]
