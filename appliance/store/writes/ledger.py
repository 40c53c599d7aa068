"""The ledger's exceptional transactions: floors that people set, and the shutting after a restore."""

from __future__ import annotations

import msgspec

from appliance.store.ports import Connection
from appliance.store.writes.checks import take_went_back
from appliance.store.writes.floors import set_clock_floor
from appliance.store.writes.intake import ResetStream
from appliance.store.writes.write import Write
from bundles.errors import FailedError, RefusedError
from bundles.people import count


class SignedOverride(msgspec.Struct, frozen=True, kw_only=True):
    """A person's signed override, whose signature the caller verified, and whose it is."""

    keyid: str
    owner: str
    document: str
    signature: bytes
    created: str


class SayOverride(Write, frozen=True):
    """A person's word for an override; enough people's, of distinct owners, do it. The result is how many count.

    Raises RefusedError for a word that was spent, or that is older than a restore; FailedError where it would set the
    floor and the caller has not recorded that (`sets`): another word came in between.

    `subject` is what they agree on; `counting` are the keys of earlier words that the caller verified anew. A stream's
    floor is `stream`, `sequence` and `digest`, the clock's is `floor`: the other stays empty.
    """

    subject: str
    said: SignedOverride
    counting: tuple[str, ...]
    needed: int
    stream: str
    sequence: int
    digest: str
    floor: str
    why: str
    actor: str
    at: str
    sets: bool = True

    def apply(self, db: Connection) -> int:
        self._require_fresh(db)
        db.execute(
            "INSERT INTO overrides (subject, keyid, owner, document, signature, created, actor)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subject, keyid) WHERE spent IS NULL DO UPDATE SET"
            " document = excluded.document, signature = excluded.signature, created = excluded.created,"
            " owner = excluded.owner, actor = excluded.actor",
            (self.subject, self.said.keyid, self.said.owner, self.said.document, self.said.signature, self.at,
             self.actor),
        )  # fmt: skip
        rows = db.execute(
            "SELECT keyid, owner, actor FROM overrides WHERE subject = ? AND spent IS NULL", (self.subject,)
        ).fetchall()
        words = [(owner, actor) for keyid, owner, actor in rows if keyid in {*self.counting, self.said.keyid}]
        # Two keys of one owner are one person, and so are two owners' keys in the hands of one log-in.
        people = min(count(owner for owner, _ in words), len({actor for _, actor in words}))
        if people < max(self.needed, 1):
            return people
        if not self.sets:
            raise FailedError("another word came at the same time", thing=self.stream, remedy="say it again")
        if self.floor:
            set_clock_floor(db, self.floor, self.why, self.actor, self.at, self.stream)
        else:
            ResetStream(
                stream=self.stream, sequence=self.sequence, digest=self.digest, why=self.why, actor=self.actor,
                at=self.at,
            ).apply(db)  # fmt: skip
        db.execute("UPDATE overrides SET spent = ? WHERE subject = ? AND spent IS NULL", (self.at, self.subject))
        return people

    def _require_fresh(self, db: Connection) -> None:
        """A signed word is in other hands once it was said: it counts once, and not beyond a restore."""
        said = self.said
        spent = db.execute(
            "SELECT 1 FROM overrides WHERE keyid = ? AND document = ? AND spent IS NOT NULL LIMIT 1",
            (said.keyid, said.document),
        ).fetchone()
        restored = db.execute("SELECT max(created) FROM restores").fetchone()[0]
        if spent is not None or (restored is not None and said.created < restored):
            why = "it was spent" if spent is not None else f"a copy was restored at {restored}"
            raise RefusedError(f"the override counts no more: {why}", thing=self.stream, remedy="sign it anew")


class SetClockFloor(Write, frozen=True):
    """The clock's floor, and that of `stream`, set by one person: an open station's way."""

    floor: str
    why: str
    actor: str
    at: str
    stream: str = ""

    def apply(self, db: Connection) -> None:
        set_clock_floor(db, self.floor, self.why, self.actor, self.at, self.stream)


class ShutImports(Write, frozen=True):
    """A backup was restored: the ledger may be behind, so no stream takes a bundle until its floor is set anew.

    What one person of two had said before counts no more. `known`: people said so, of a database that went back, too.
    """

    actor: str
    at: str
    known: bool = False

    def apply(self, db: Connection) -> None:
        last = db.execute("SELECT coalesce(max(entry), 0) FROM ledger").fetchone()[0]
        db.execute("UPDATE overrides SET spent = ? WHERE spent IS NULL", (self.at,))
        db.execute("INSERT INTO restores (ledger_entry, created, actor) VALUES (?, ?, ?)", (last, self.at, self.actor))
        if self.known:
            take_went_back(db)


class EnterReceipt(Write, frozen=True):
    """After a restore: the last receipt that was given out, which the copy may have forgotten. The next one takes the
    number after it, and follows it. Harmless for one that the copy knows.

    Raises RefusedError where the copy knows of another under the number, or of a later one.
    """

    number: int
    digest: str
    document: str
    at: str

    def apply(self, db: Connection) -> None:
        known = db.execute("SELECT digest FROM receipts WHERE number = ?", (self.number,)).fetchone()
        last = db.execute("SELECT coalesce(max(number), 0) FROM receipts").fetchone()[0]
        if known is not None and known[0] != self.digest:
            raise RefusedError(f"this copy knows it as {known[0]}", thing=f"receipt {self.number}")
        if self.number < last:
            raise RefusedError(
                f"this copy knows a later receipt: {last}", thing=f"receipt {self.number}", remedy="give the last one"
            )
        if known is None:
            db.execute(
                "INSERT INTO receipts (number, digest, document, created) VALUES (?, ?, ?, ?)",
                (self.number, self.digest, self.document, self.at),
            )
