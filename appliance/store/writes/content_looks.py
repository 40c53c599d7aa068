"""The transaction of what content rules said of blobs and manifests."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from appliance.store.ports import Connection
from appliance.store.writes.access import bump
from appliance.store.writes.write import Write


class ContentLookRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules said of a blob or a manifest (appliance.content_records): `found` is JSON, `seal` authenticates
    the row."""

    digest: str
    at: str
    found: str
    seal: str


class KeepContentLooks(Write, frozen=True):
    """What the rules said of some blobs and manifests, in the place of what was said before. Verdicts rest on it."""

    unrecorded: ClassVar[str] = "an index of what the store holds, which can be made anew from it"
    rows: tuple[ContentLookRow, ...]

    def apply(self, db: Connection) -> None:
        db.executemany(
            "INSERT INTO content_looks (digest, at, found, seal) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET at = excluded.at, found = excluded.found, seal = excluded.seal",
            [(one.digest, one.at, one.found, one.seal) for one in self.rows],
        )
        bump(db)
