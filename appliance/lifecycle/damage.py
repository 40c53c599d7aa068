"""What becomes of a blob that was looked at: withdrawn, reported as unread, or shown again.

Whoever looks (`lockgate scrub`, the station's own rereading) hands its findings over here. Each step looks again, under
the store's gate, whether the file is still the one that was read: nobody heals or collects it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from appliance import clock, limits
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.custody.carriers import carriers
from appliance.lifecycle.blob_reader import Looked, Looker
from appliance.station import Station
from appliance.store.collection_lock import Gate
from appliance.store.reading import Attend, UnreadableError, Verdict, examine, unattended
from appliance.store.reads import garbage
from appliance.store.writes.lifecycle import CorrectBlob, ForgetUnread, HealDamage, NoteUnread, RecordDamage
from bundles.errors import NotFoundError
from bundles.limits import CHUNK
from bundles.oci.digest import Digest


def damages(station: Station) -> list[dict[str, Any]]:
    """Every blob that is damaged and not healed: why, where it was shown, and the bundles that carry it."""
    rows = station.reader.execute(
        "SELECT digest, why, found FROM damage WHERE healed IS NULL ORDER BY digest LIMIT ?", (limits.DAMAGE_NAMED,)
    ).fetchall()
    return [
        {"digest": digest, "why": why, "found": found, "shown": shown(station, digest),
         "bundles": carriers(station, Digest.parse(digest))}
        for digest, why, found in rows
    ]  # fmt: skip


def unread(station: Station) -> list[dict[str, Any]]:
    """Every blob that could not be read when it was last looked at: {digest, why, found, last, times}."""
    names = ("digest", "why", "found", "last", "times")
    rows = station.reader.execute(
        f"SELECT {', '.join(names)} FROM unread ORDER BY digest LIMIT ?",  # noqa: S608  names of this function
        (limits.DAMAGE_NAMED,),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def shown(station: Station, digest: str) -> list[str]:
    """Where a blob or manifest is shown, at most a hundred references."""
    rows = station.reader.execute(
        "SELECT r.name, t.tag FROM links l JOIN repositories r ON r.id = l.repository_id"
        " LEFT JOIN tags t ON t.repository_id = r.id AND t.digest = l.digest WHERE l.digest = ?"
        " ORDER BY r.name, t.tag LIMIT 100",
        (digest,),
    )
    return [f"{name}:{tag}" if tag else f"{name}@{digest}" for name, tag in rows]


class Findings:
    """Acts on what a look found, for `actor`; `log` gets a line about each."""

    def __init__(self, station: Station, actor: str, log: Callable[[str], object]) -> None:
        self._station, self._actor, self._log = station, actor, log
        self._gate = Gate(station.paths)

    def take(self, digest: Digest, looked: Looked, size: int | None = None) -> bool:
        """Withdraw a damaged blob, note one that could not be read, and give one back that is missing and lies whole in
        the graveyard; whether it was given back. `size`: the bytes by the metadata, which are put right where a whole
        blob has others. Raises FailedError."""
        if looked.why == "missing" and self.give_back(digest):
            return True
        if looked.unread:
            self._station.writer.submit(NoteUnread(digest=str(digest), why=looked.unread, at=clock.now()))
            self._log(f"{digest} could not be read ({looked.unread}); it is not withdrawn, and is read again")
        elif looked.why is not None:
            self._withdraw(digest, looked)
        elif size is not None:
            self._put_right(digest, size)
        return False

    def _put_right(self, digest: Digest, size: int) -> None:
        """Write a blob's size and CRC-32 anew where its whole file has another size: its row is damaged, and clients
        were told that the blob is."""
        station, counted = self._station, 0
        try:
            if station.blobs.size(digest) == size:
                return
            with station.blobs.open_blob(digest) as file:
                while piece := file.read(CHUNK):
                    counted = crc32(piece, counted)
                found = file.tell()
        except (NotFoundError, OSError):
            return
        station.writer.submit(CorrectBlob(digest=str(digest), size=found, crc32=counted))
        self._log(f"{digest} is whole, and the metadata gave it {size} bytes: it is put right")

    def read_again(self, digest: Digest, looked: Looked, size: int | None = None) -> bool:
        """As `take`, for a blob that could not be read before; whether it is whole."""
        if self.take(digest, looked, size):
            return True
        if looked.whole:
            self._station.writer.submit(ForgetUnread(digest=str(digest)))
            self._log(f"{digest} could be read again, and is whole")
        return looked.whole

    def _withdraw(self, digest: Digest, looked: Looked) -> None:
        station = self._station
        with self._gate.collecting():
            try:
                inode = station.blobs.inode(digest)
            except UnreadableError as error:
                self.take(digest, Looked(unread=error.reason))
                return
            known = station.reader.execute(
                "SELECT (SELECT count(*) FROM blobs WHERE digest = ?1),"
                " (SELECT count(*) FROM damage WHERE digest = ?1 AND healed IS NULL)",
                (str(digest),),
            ).fetchone()
            if inode != looked.inode or not known[0] or (inode == 0 and known[1]):
                return
            detail = {"why": str(looked.why), "shown": shown(station, str(digest))}
            event = AuditEvent(Act.WITHDRAW_DAMAGED, self._actor, str(digest), "done", detail)
            with recording(station.audit, event):
                station.writer.submit(RecordDamage(digest=str(digest), why=str(looked.why), at=clock.now()))
                if inode:
                    station.blobs.set_aside(digest)
        names = ", ".join(carrier["id"] for carrier in carriers(station, digest))
        remedy = f"restore it from {names}" if names else "push it again; no bundle here carries it"
        self._log(f"{digest} is {looked.why} and withdrawn; {remedy}")

    def heal(self, looker: Looker, digest: Digest, size: int, attend: Attend) -> bool:
        """Show a withdrawn blob again whose file, or whose withdrawn file, is read whole. Raises FailedError."""
        looked = looker.look(digest, size, attend)
        if looked.whole:
            return self._show(digest, looked.inode, "read whole", put_back=False)
        if looked.why != "missing":
            return False
        aside = looker.look_aside(digest, size, attend)
        if aside.whole:
            return self._show(digest, 0, "the withdrawn file was read whole", put_back=True)
        return self.give_back(digest, attend)

    def give_back_unread(self) -> int:
        """Give back what was asked for, is missing, and lies whole in the graveyard; how many. Raises FailedError."""
        rows = self._station.reader.execute("SELECT digest FROM unread ORDER BY digest").fetchall()
        found = (Digest.parse(digest) for (digest,) in rows)
        return sum(self.give_back(digest) for digest in found if not self._station.blobs.has_blob(digest))

    def give_back(self, digest: Digest, attend: Attend = unattended) -> bool:
        """Give a blob that the metadata names its file back, where that is missing and lies whole in the graveyard;
        whether it was. Raises FailedError."""
        station = self._station
        try:
            file, path = station.blobs.open_buried(digest)
            with file:
                if examine(file.fileno(), digest, attend, fresh=True) is Verdict.DAMAGED:
                    return False
        except (NotFoundError, UnreadableError):
            return False
        with self._gate.collecting():
            named = garbage.with_rows(station.reader, (str(digest),))
            if not named or station.blobs.inode(digest) or not path.is_file():
                return False
            event = AuditEvent(Act.RESTORE_DAMAGED, self._actor, str(digest), "done", {"why": "collected"})
            with recording(station.audit, event):
                station.blobs.graveyard.give_back(path, digest)
                station.writer.submit(HealDamage(digest=str(digest), at=clock.now()))
        station.writer.submit(ForgetUnread(digest=str(digest)))
        self._log(f"{digest} was collected although the metadata names it; it is back from the graveyard")
        return True

    def heal_all(self, looker: Looker, attend: Attend) -> int:
        """Show again what is withdrawn and reads well; how many."""
        rows = self._station.reader.execute(
            "SELECT d.digest, b.size FROM damage d JOIN blobs b ON b.digest = d.digest WHERE d.healed IS NULL"
        )
        return sum(self.heal(looker, Digest.parse(digest), size, attend) for digest, size in rows.fetchall())

    def read_all_again(self, looker: Looker, attend: Attend) -> int:
        """Look again at what could not be read, which the workers of the registry note, too; how many are whole."""
        rows = self._station.reader.execute(
            "SELECT u.digest, b.size FROM unread u JOIN blobs b ON b.digest = u.digest ORDER BY u.digest"
        )
        found = [(Digest.parse(text), size) for text, size in rows.fetchall()]
        return sum(self.read_again(digest, looker.look(digest, size, attend), size) for digest, size in found)

    def _show(self, digest: Digest, inode: int, why: str, *, put_back: bool) -> bool:
        station = self._station
        with self._gate.collecting():
            if station.blobs.inode(digest) != inode:
                return False
            event = AuditEvent(Act.RESTORE_DAMAGED, self._actor, str(digest), "done", {"why": why})
            with recording(station.audit, event):
                if put_back:
                    station.blobs.put_back(digest)
                station.writer.submit(HealDamage(digest=str(digest), at=clock.now()))
        self._log(f"{digest} is whole and shown again ({why})")
        return True
