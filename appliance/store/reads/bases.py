"""What a delta may stand on: questions asked by imports and releases, and again in the release's transaction.

A digest is served where a repository links it: a release or a client's push made the link. Bytes in the store that
nothing links count for nothing, whoever brought them. Every function takes a connection, a reader's or the writer's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_HOLDER: Final = "i.digest, i.id, i.stream, i.sequence, i.state"
_MENTIONED: Final = 8
"""Bundles that are looked for to name the one that brought a blob."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A bundle of the intake that carries a digest, or requires it."""

    digest: str
    id: str
    stream: str
    sequence: int
    state: str


def unserved(db: Reader, digests: Iterable[str]) -> list[str]:
    """Those of `digests` that no repository shows, in their order. One statement. What shows a digest may be a row that
    somebody made by hand: before this is asked in a transaction, the log is (appliance.release_check.served)."""
    rows = db.execute(
        "SELECT j.value FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = j.value)"
        " ORDER BY j.key",
        (json.dumps(list(digests)),),
    )
    return [str(digest) for (digest,) in rows]


def keepers(db: Reader, digest: str) -> list[Holder]:
    """The bundles that keep a digest from being swept, the oldest first: neither rejected nor released as a whole."""
    rows = db.execute(
        f"SELECT {_HOLDER} FROM pins p JOIN intake i ON i.digest = p.bundle"  # noqa: S608  constant
        " WHERE p.digest = ? ORDER BY i.received, i.sequence, i.digest",
        (digest,),
    )
    return [Holder(*row) for row in rows]


def mentions(db: Reader, digest: str) -> list[Holder]:
    """Bundles whose manifests hold a digest, in whatever state, eight at most. Reads every manifest in the intake."""
    rows = db.execute(
        f"SELECT {_HOLDER} FROM intake i JOIN intake_documents d ON d.digest = i.digest"  # noqa: S608  constant
        " WHERE instr(d.manifest, ?) > 0 ORDER BY i.id, i.digest LIMIT ?",
        (digest, _MENTIONED),
    )
    return [Holder(*row) for row in rows]
