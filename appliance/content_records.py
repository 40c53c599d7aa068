"""What the content rules said of each blob and manifest, as the station keeps it, and what that comes to.

Rows are sealed under a key that is not in the database (docs/adr/0059): one that anything else wrote counts as none.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from appliance.advisories.seals import is_sealed
from appliance.archives.findings import RuleFindings
from appliance.content_rules.registry import RuleSet
from appliance.content_rules.rule import Outline
from appliance.content_rules.watching import BlobLook, RuleLook
from appliance.store.ports import Reader
from appliance.store.reads.content_looks import KeptLook, kept_looks
from appliance.store.writes.content_looks import ContentLookRow

_UNREAD: Final = "not-inspectable"
_LISTED: Final = 50
"""Findings of a rule that are kept of a blob; all are counted."""


class KeptRule(NamedTuple):
    """What one rule said of a blob or manifest: by which identity, how often it found something, the first of it, and
    why it did not look, "" where it did."""

    identity: str
    found: int
    listed: Sequence[Mapping[str, Any]]
    unlooked: str


_NONE: Final = KeptRule("", 0, (), "nobody looked")


def row_of(key: bytes, digest: str, at: str, rules: RuleSet, look: BlobLook) -> ContentLookRow:
    """The row of a blob or manifest that was looked at; `key` is the station's (`index_key`)."""
    found = json.dumps(
        {
            "rules": {
                name: [
                    one.identity, look.rules[name].found.count, look.rules[name].found.listed[:_LISTED],
                    look.rules[name].unlooked,
                ]
                for name, one in rules.rules.items()
            },
            "outline": msgspec.to_builtins(look.outline),
        }
    )  # fmt: skip
    return ContentLookRow(digest=digest, at=at, found=found, seal=_seal(key, digest, at, found))


def news(reader: Reader, key: bytes, rows: Sequence[ContentLookRow]) -> tuple[ContentLookRow, ...]:
    """Those of some rows that say something else than what is kept: verdicts rest on them, and are found anew where one
    is written."""
    kept = {one.digest: one for one in kept_looks(reader, [row.digest for row in rows]) if _is_ours(key, one)}
    return tuple(row for row in rows if row.digest not in kept or kept[row.digest].found != row.found)


def standing_of(reader: Reader, key: bytes, digests: Sequence[str]) -> list[Mapping[str, KeptRule]]:
    """What is known of some blobs and manifests, by rule: an empty mapping for one that nobody looked at."""
    known = {one.digest: one for one in kept_looks(reader, digests) if _is_ours(key, one)}
    return [_rules(known[digest]) if digest in known else {} for digest in digests]


def recalled(reader: Reader, key: bytes, rules: RuleSet, digests: Iterable[str]) -> dict[str, BlobLook]:
    """What the same rules said of blobs before, where each of them looked."""
    found = dict[str, BlobLook]()
    for row in kept_looks(reader, list(digests)):
        if not _is_ours(key, row):
            continue
        kept = _rules(row)
        if any(kept.get(name, _NONE).identity != one.identity for name, one in rules.rules.items()):
            continue
        if any(kept[name].unlooked for name in rules.rules) or kept.get(_UNREAD, _NONE).found:
            continue  # a new look may do better
        outline = msgspec.convert(json.loads(row.found)["outline"], Outline)
        looks = {
            name: RuleLook(RuleFindings(kept[name].found, 0, [dict(one) for one in kept[name].listed]))
            for name in rules.rules
        }
        found[row.digest] = BlobLook(looks, outline)
    return found


def _rules(row: KeptLook) -> dict[str, KeptRule]:
    return {name: KeptRule(*said) for name, said in json.loads(row.found)["rules"].items()}


def _is_ours(key: bytes, row: KeptLook) -> bool:
    return is_sealed(row.seal, _seal(key, row.digest, row.at, row.found))


def _seal(key: bytes, *fields: str) -> str:
    return hmac.digest(key, msgspec.msgpack.encode(("content_looks", *fields)), "sha256").hex()
