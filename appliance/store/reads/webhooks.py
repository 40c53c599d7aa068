"""Reads of the webhooks' outbox."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store.ports import Reader


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is to be sent: its number in the outbox, its event's id, body and seal, and attempts so far."""

    number: int
    event: str
    body: str
    seal: str
    attempts: int


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How many messages of an endpoint wait and are dead, and why the newest dead one is ("" for none)."""

    waiting: int
    dead: int
    error: str


def due(reader: Reader, endpoint: str, now: int, limit: int) -> list[Waiting]:
    """What is to be sent to an endpoint by now, the oldest first."""
    rows = reader.execute(
        "SELECT number, event, body, seal, attempts FROM webhook_outbox WHERE endpoint = ? AND state = 'waiting'"
        " AND due <= ? ORDER BY number LIMIT ?",
        (endpoint, now, limit),
    )
    return [Waiting(*row) for row in rows]


def cursor(reader: Reader, endpoint: str) -> dict[int, int] | None:
    """By lane the number of the last event that an endpoint was told of; None for one that is new."""
    rows = reader.execute("SELECT lane, seq FROM webhook_cursors WHERE endpoint = ?", (endpoint,)).fetchall()
    return {int(lane): int(seq) for lane, seq in rows} if rows else None


def outbox_state(reader: Reader, endpoint: str) -> OutboxState:
    """Where an endpoint's messages stand."""
    counts = dict(
        reader.execute("SELECT state, count(*) FROM webhook_outbox WHERE endpoint = ? GROUP BY state", (endpoint,))
    )
    newest = reader.execute(
        "SELECT error FROM webhook_outbox WHERE endpoint = ? AND state = 'dead' ORDER BY number DESC LIMIT 1",
        (endpoint,),
    ).fetchone()
    return OutboxState(counts.get("waiting", 0), counts.get("dead", 0), newest[0] if newest else "")
