"""The promotions of a channel, as the station keeps them: a chain of rows that are sealed under `keys/index.key`.

A seal is HMAC-SHA256 over its row, the row's place and the seal of the row before; the head of the channel is sealed
over the last one. So a row that was changed, made up, moved or taken away is known, the last one too
(docs/adr/0072-sealed-promotions.md). Rows of an earlier version have no seal; the audit log proves them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from appliance.advisories.seals import is_sealed
from appliance.store.reads.promotions import Promoted
from appliance.store.writes.promotions import Promote

_encode: Final = msgspec.msgpack.encode


class Chain(NamedTuple):
    """What the seals say of the rows of a channel. `rows` are those of the newest chain, the oldest first; `unsealed`
    what an earlier version wrote before it; `damaged` is `changed` or `missing` where the chain is not what was
    written, and then neither counts. `head` is the head's seal as it stands, "" for none."""

    rows: Sequence[Promoted] = ()
    unsealed: Sequence[Promoted] = ()
    damaged: str = ""
    head: str = ""


def chain_of(key: bytes, rows: Sequence[Promoted], head: str) -> Chain:
    """What the seals say of all rows of a channel, the oldest first; `key` is the station's (`index_key`)."""
    start = next((at for at in reversed(range(len(rows))) if rows[at].place == 1), len(rows))
    before, chain = rows[:start], rows[start:]
    seal = ""
    for place, row in enumerate(chain, 1):
        if row.place != place or not is_sealed(row.seal, row_seal(key, row, seal)):
            return Chain(damaged="changed", head=head)
        seal = row.seal
    if not chain:
        if any(row.place or row.seal for row in before):
            return Chain(damaged="changed", head=head)
        return Chain(unsealed=before, damaged="missing" if head else "", head=head)
    if not is_sealed(head, _head_seal(key, chain[-1])):
        return Chain(damaged="missing", head=head)
    # Before a chain that began anew stand rows that were damaged: nobody follows those.
    return Chain(chain, () if any(row.seal for row in before) else before, "", head)


def row_seal(key: bytes, row: Promoted, previous: str) -> str:
    """The seal of a row behind the row with the seal `previous`, "" for the first of a chain; in hex."""
    fields = (
        row.place, previous, row.act, row.repository, row.tag, row.digest, row.before, row.source, row.actor,
        row.reason, row.policy, row.summary, row.at,
    )  # fmt: skip
    return hmac.digest(key, _encode(("promotions", *fields)), "sha256").hex()


def sealed(key: bytes, write: Promote, chain: Chain) -> Promote:
    """A promotion with its place in the channel's chain, its seal and that of the new head. One that is damaged begins
    anew."""
    last = chain.rows[-1] if chain.rows else None
    row = Promoted(
        0, write.act, write.repository, write.tag, write.digest, write.stood, write.reference, write.actor,
        write.reason, write.policy, write.summary, write.at, 1 if last is None else last.place + 1, "",
    )  # fmt: skip
    seal = row_seal(key, row, "" if last is None else last.seal)
    new_head = _head_seal(key, row._replace(seal=seal))
    return msgspec.structs.replace(write, place=row.place, seal=seal, head=chain.head, new_head=new_head)


def _head_seal(key: bytes, last: Promoted) -> str:
    said = ("channel_heads", last.repository, last.tag, last.place, last.seal)
    return hmac.digest(key, _encode(said), "sha256").hex()
