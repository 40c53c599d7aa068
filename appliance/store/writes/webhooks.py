"""The transactions of the webhooks' outbox. Each is about events that the audit log has already."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from appliance.limits import forwarding as limits
from appliance.store.ports import Connection
from appliance.store.writes.write import Write


class Message(NamedTuple):
    """What an endpoint is to be told: the event's id, the body as it is signed and sent, and the seal by which it is
    known again (appliance.webhooks.messages.seal_of)."""

    event: str
    body: str
    seal: str = ""


class QueueWebhooks(Write, frozen=True):
    """Let an endpoint be told of some events, and have heard the log as far as `heads` says, by lane. What it was told
    of before is not queued twice. The result is whether there was room; else nothing was done, and the log is read on
    from the same place later."""

    unrecorded: ClassVar[str] = "messages about events that are in the log"
    endpoint: str
    heads: dict[int, int]
    messages: tuple[Message, ...]
    now: int
    at: str

    def apply(self, db: Connection) -> bool:
        held = db.execute("SELECT count(*) FROM webhook_outbox WHERE endpoint = ?", (self.endpoint,)).fetchone()[0]
        missing = held + len(self.messages) - limits.WEBHOOK_OUTBOX
        if missing > 0:  # dead letters make room, the oldest first
            db.execute(
                "DELETE FROM webhook_outbox WHERE number IN (SELECT number FROM webhook_outbox WHERE endpoint = ?"
                " AND state = 'dead' ORDER BY number LIMIT ?)",
                (self.endpoint, missing),
            )
            held = db.execute("SELECT count(*) FROM webhook_outbox WHERE endpoint = ?", (self.endpoint,)).fetchone()[0]
            if held >= limits.WEBHOOK_OUTBOX:
                return False
        db.executemany(
            "INSERT INTO webhook_outbox (endpoint, event, body, seal, due, state, created)"
            " VALUES (?, ?, ?, ?, ?, 'waiting', ?) ON CONFLICT DO NOTHING",
            [(self.endpoint, one.event, one.body, one.seal, self.now, self.at) for one in self.messages],
        )
        db.executemany(
            "INSERT INTO webhook_cursors (endpoint, lane, seq) VALUES (?, ?, ?)"
            " ON CONFLICT (endpoint, lane) DO UPDATE SET seq = excluded.seq",
            [(self.endpoint, lane, seq) for lane, seq in self.heads.items()],
        )
        return True


class DropWebhook(Write, frozen=True):
    """An endpoint took a message."""

    unrecorded: ClassVar[str] = "messages about events that are in the log"
    number: int

    def apply(self, db: Connection) -> None:
        db.execute("DELETE FROM webhook_outbox WHERE number = ?", (self.number,))


class RetryWebhook(Write, frozen=True):
    """An endpoint did not take a message: it is tried again at `due`, or never (`dead`)."""

    unrecorded: ClassVar[str] = "messages about events that are in the log"
    number: int
    due: int
    dead: bool
    error: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "UPDATE webhook_outbox SET attempts = attempts + 1, due = ?, state = ?, error = ? WHERE number = ?",
            (self.due, "dead" if self.dead else "waiting", self.error, self.number),
        )


class ReplayWebhooks(Write, frozen=True):
    """Try an endpoint's dead messages again from the first attempt on. The result is how many these are."""

    endpoint: str
    now: int

    def apply(self, db: Connection) -> int:
        changed = db.execute(
            "UPDATE webhook_outbox SET state = 'waiting', attempts = 0, due = ? WHERE endpoint = ? AND state = 'dead'",
            (self.now, self.endpoint),
        )
        return int(changed.rowcount)
