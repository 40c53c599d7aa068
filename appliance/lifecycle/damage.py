"""What becomes of a blob that was looked at: withdrawn, reported as unread, or shown again.

Whoever looks (`lockgate scrub`, the station's own rereading) hands its findings over here. Each step looks again, under
the store's gate, whether the file is still the one that was read: nobody heals or collects it meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import asdict

from appliance import clock
from appliance.api.content import DamagedBlob, UnreadBlob
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.custody.carriers import carriers
from appliance.lifecycle.blob_reader import BlobExaminer, Looked
from appliance.limits import lifecycle as limits
from appliance.station import Station
from appliance.store.collection_lock import CollectionLock
from appliance.store.reading import Attend, UnreadableError, Verdict, unattended
from appliance.store.reads import garbage
from appliance.store.reads.damage import (
    damaged_blobs,
    damaged_sizes,
    every_unread,
    is_held,
    references,
    unread_blobs,
    unread_sizes,
    wrong_blob_rows,
)
from appliance.store.rows import WrongRowError
from appliance.store.writes.lifecycle import CorrectBlob, ForgetUnread, HealDamage, NoteUnread, RecordDamage
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest


def damages(station: Station) -> list[DamagedBlob]:
    """Every blob that is damaged and not healed: why, where it was shown, and the bundles that carry it."""
    return [
        DamagedBlob(
            digest=blob.digest,
            why=blob.why,
            found=blob.found,
            shown=tuple(references(station.reader, blob.digest)),
            bundles=tuple(carriers(station, Digest.parse(blob.digest))),
        )
        for blob in damaged_blobs(station.reader, limits.DAMAGE_NAMED)
    ]


def unread(station: Station) -> list[UnreadBlob]:
    """Every blob that could not be read when it was last looked at."""
    return [UnreadBlob(**asdict(blob)) for blob in unread_blobs(station.reader, limits.DAMAGE_NAMED)]


class Findings:
    """Acts on what a look found, for `actor`; `log` gets a line about each."""

    def __init__(self, station: Station, actor: str, log: Callable[[str], object]) -> None:
        self._station, self._actor, self._log = station, actor, log
        self._gate = CollectionLock(station.paths)

    def take(self, digest: Digest, looked: Looked, size: int | None = None) -> bool:
        """Withdraw a damaged blob, note one that could not be read, and give one back that is missing and lies whole in
        the graveyard; whether it was given back. `size`: the bytes by the metadata, whose row is put right where it
        is not what the whole file says. Raises FailedError."""
        if looked.why == "missing" and self.give_back(digest):
            return True
        if looked.unread:
            self._station.writer.submit(NoteUnread(digest=str(digest), why=looked.unread, at=clock.now()))
            self._log(f"{digest} could not be read ({looked.unread}); it is not withdrawn, and is read again")
        elif looked.why is not None:
            self._withdraw(digest, looked)
        elif size is not None:
            self._put_right(digest)
        return False

    def _put_right(self, digest: Digest) -> bool:
        """Write a whole blob's size and CRC-32 anew where its row is damaged, or its file has another size; whether it
        was so."""
        station = self._station
        try:
            if self._is_described(digest):
                return False
            found = station.blobs.facts(digest)
        except (NotFoundError, UnreadableError):
            return False
        if found is None:
            return False
        station.writer.submit(CorrectBlob(digest=str(digest), size=found[0], crc32=found[1]))
        self._log(f"{digest} is whole, and its row in the metadata was not: it is put right")
        return True

    def _is_described(self, digest: Digest) -> bool:
        """Whether a blob's row is right and has its file's size. Raises NotFoundError, UnreadableError."""
        try:
            row = self._station.metadata.blob(digest)
        except WrongRowError:
            return False
        return row is None or row.size == self._station.blobs.size(digest)

    def _is_no_key(self, digest: Digest) -> bool:
        """Whether a row that is damaged gives a digest that nothing else knows: the key of another blob, in which a bit
        flipped. The check of the metadata names it."""
        try:
            self._station.metadata.blob(digest)
        except WrongRowError:
            reader = self._station.reader
            return not references(reader, str(digest)) and not garbage.is_pinned(reader, str(digest))
        return False

    def put_rows_right(self, looker: BlobExaminer, digests: Iterable[str], attend: Attend) -> int:
        """Look at blobs whose rows are damaged, and make the rows of whole ones anew; how many. Raises FailedError."""
        count = 0
        for text in digests:
            with contextlib.suppress(MalformedError):  # the key itself is damaged
                digest = Digest.parse(text)
                looked = looker.look(digest, 0, attend)
                if not looked.whole:
                    self.take(digest, looked)
                elif self._put_right(digest):
                    count += 1
        return count

    def put_noted_rows_right(self, looker: BlobExaminer, attend: Attend) -> int:
        """As `put_rows_right`, of the rows that readers met."""
        return self.put_rows_right(looker, wrong_blob_rows(self._station.reader), attend)

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
                version = station.blobs.version(digest)
            except UnreadableError as error:
                self.take(digest, Looked(unread=error.reason))
                return
            held, withdrawn = is_held(station.reader, str(digest))
            if version == 0 and self._is_no_key(digest):
                return
            if version != looked.version or not held or (version == 0 and withdrawn):
                return
            detail = {"why": str(looked.why), "shown": references(station.reader, str(digest))}
            event = AuditEvent(Act.WITHDRAW_DAMAGED, self._actor, str(digest), "done", detail)
            with recording(station.audit, event):
                station.writer.submit(RecordDamage(digest=str(digest), why=str(looked.why), at=clock.now()))
                if version:
                    station.blobs.set_aside(digest)
        names = ", ".join(carrier["id"] for carrier in carriers(station, digest))
        remedy = f"restore it from {names}" if names else "push it again; no bundle here carries it"
        self._log(f"{digest} is {looked.why} and withdrawn; {remedy}")

    def heal(self, looker: BlobExaminer, digest: Digest, size: int, attend: Attend) -> bool:
        """Show a withdrawn blob again whose file, or whose withdrawn file, is read whole. Raises FailedError."""
        looked = looker.look(digest, size, attend)
        if looked.whole:
            return self._show(digest, looked.version, "read whole", put_back=False)
        if looked.why != "missing":
            return False
        aside = looker.look_aside(digest, size, attend)
        if aside.whole:
            return self._show(digest, 0, "the withdrawn file was read whole", put_back=True)
        return self.give_back(digest, attend)

    def give_back_unread(self) -> int:
        """Give back what was asked for, is missing, and lies whole in the graveyard; how many. Raises FailedError."""
        found = map(Digest.parse, every_unread(self._station.reader))
        return sum(self.give_back(digest) for digest in found if not self._station.blobs.has_blob(digest))

    def give_back(self, digest: Digest, attend: Attend = unattended) -> bool:
        """Give a blob that the metadata names its file back, where that is missing and lies whole in the graveyard;
        whether it was. Raises FailedError."""
        station = self._station
        try:
            file, grave = station.blobs.open_buried(digest)
            with file:
                if station.blobs.examine(file, digest, attend, fresh=True) is Verdict.DAMAGED:
                    return False
        except (NotFoundError, UnreadableError):
            return False
        with self._gate.collecting():
            named = garbage.with_rows(station.reader, (str(digest),))
            if not named or station.blobs.version(digest) or not station.blobs.graveyard.holds(grave, digest):
                return False
            event = AuditEvent(Act.RESTORE_DAMAGED, self._actor, str(digest), "done", {"why": "collected"})
            with recording(station.audit, event):
                station.blobs.graveyard.give_back(grave, digest)
                station.writer.submit(HealDamage(digest=str(digest), at=clock.now()))
        station.writer.submit(ForgetUnread(digest=str(digest)))
        self._log(f"{digest} was collected although the metadata names it; it is back from the graveyard")
        return True

    def heal_all(self, looker: BlobExaminer, attend: Attend) -> int:
        """Show again what is withdrawn and reads well; how many."""
        found = damaged_sizes(self._station.reader)
        return sum(self.heal(looker, Digest.parse(digest), size, attend) for digest, size in found)

    def read_all_again(self, looker: BlobExaminer, attend: Attend) -> int:
        """Look again at what could not be read, which the workers of the registry note, too; how many are whole."""
        found = [(Digest.parse(text), size) for text, size in unread_sizes(self._station.reader)]
        return sum(self.read_again(digest, looker.look(digest, size, attend), size) for digest, size in found)

    def _show(self, digest: Digest, version: int, why: str, *, put_back: bool) -> bool:
        station = self._station
        with self._gate.collecting():
            if station.blobs.version(digest) != version:
                return False
            event = AuditEvent(Act.RESTORE_DAMAGED, self._actor, str(digest), "done", {"why": why})
            with recording(station.audit, event):
                if put_back:
                    station.blobs.put_back(digest)
                station.writer.submit(HealDamage(digest=str(digest), at=clock.now()))
        self._log(f"{digest} is whole and shown again ({why})")
        return True
