"""The primary's side: a state of the station as of one moment, written into the exchange.

While no act is under way the database's moment is held and the log's end is signed; everything is copied later. Blobs
and pieces are there before the state that names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.checkpoints import checkpoint
from appliance.audit.seals import audit_key
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.sftp.pace import Pace
from appliance.standby import terms
from appliance.standby.documents import ENDING, FENCED, FOLLOWED, PRIMARY, Role, State, StateFile, check_path
from appliance.standby.exchange import Exchange, blob_bytes, pieces_of
from appliance.standby.role import changed, find_role, new_role, require_in_folder, require_role
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.database_file import snapshot_of
from appliance.store.errors import EngineError
from appliance.store.reads.damage import damaged_sizes
from appliance.store.reads.upkeep import blobs_after
from appliance.store.turns import Turns
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.io.files import failures_named, make_folder
from bundles.oci.digest import Digest

_BATCH: Final = 1000
"""Blobs whose rows are read at once."""


class Sender:
    """Writes states of the station in `root` into its exchange."""

    def __init__(self, root: Path, exchange: Path, rate: int = 0) -> None:
        self._paths = StationPaths(root)
        self._site = load_config(self._paths.config).site
        self._exchange, self._pace = Exchange(exchange), Pace(rate)
        self._known: dict[str, tuple[tuple[int, int], list[str]]] = {}
        """Of each file of the log: inode and size, and the pieces of what was read of it."""
        self._held: set[str] = set()
        self._before: State | None = None

    def send(self, *, final: bool = False) -> Role:
        """Write the next state. Returns the role, which is `fenced` where two people promoted another. Raises
        RefusedError where this folder is not to go on as the primary, FailedError."""
        require_in_folder(self._paths)
        self._exchange.require()
        role = find_role(self._paths, self._site) or changed(
            self._paths, new_role(self._site, str(self._exchange.folder))
        )
        require_role(self._paths.root, role, ENDING if final else PRIMARY)
        terms.publish(self._paths.standby / "terms", self._exchange.terms)
        if (fence := later_term(self._paths, role, self._exchange)) is not None:
            return changed(self._paths, role, role=FENCED, head=fence.head)
        key = audit_key(self._paths)
        self._require_newest(role, self._exchange.state(key.public, self._site))
        role = changed(self._paths, role, number=role.number + 1, exchange=str(self._exchange.folder))
        state = self._made(role, final=final)
        self._exchange.write(state, key)
        with suppress(LockgateError):  # what lies there besides costs space alone
            self._exchange.sweep([one for one in (self._before, state) if one is not None])
        self._before = state
        return self._heard(changed(self._paths, role, created=state.created, head=state.head, fault=""))

    def _require_newest(self, role: Role, there: State | None) -> None:
        """Raises RefusedError where the exchange knows of more than this folder."""
        if there is None or ((there.term, there.number) <= (role.term, role.number) and (
            there.term < role.term or there.node == role.node
        )):  # fmt: skip
            return
        if there.term > role.term or there.node != role.node:
            what, code = "another station of this site writes there as the primary", "standby-two-primaries"
            remedy = "see which one is to go on; the other one stops, and joins: lockgate replica join --from DIR"
        else:
            what, code = "the exchange has a later state of this station: this folder is an older copy", "standby-older"
            remedy = "promote the stand-by, and let this one join; or, where this is to go on, begin with a new folder"
        raise RefusedError(
            what, thing=f"state {there.term}/{there.number}, here {role.term}/{role.number}", remedy=remedy, code=code
        )

    def _heard(self, role: Role) -> Role:
        """The role, with when the stand-by took a newer state."""
        taken = None
        with suppress(LockgateError):
            taken = self._exchange.taken(audit_key(self._paths).public, self._site)
        if taken is None or taken.term != role.term or taken.created <= role.heard:
            return role
        return changed(self._paths, role, heard=taken.created, primary=taken.node)

    def _made(self, role: Role, *, final: bool) -> State:
        paths = self._paths
        with failures_named(paths.standby, "a state cannot be made"):
            make_folder(paths.standby)
            copy = paths.standby / "snapshot.sqlite"
            copy.unlink(missing_ok=True)
        created = clock.now()
        try:
            with snapshot_of(paths.database) as snapshot:
                with Turns(paths.store).alone_blocking():
                    snapshot.hold()
                    head = checkpoint(paths)
                    ends = _ends(paths.audit)
                snapshot.copy_to(copy)
            copy.chmod(0o600)
            lacks = self._put_blobs(copy)
            files = [self._file(path, name, ends) for path, name in self._files(copy, ends)]
        except (EngineError, OSError) as error:
            raise FailedError(
                "a state cannot be made", thing=f"{paths.database} ({error})", remedy="check the disk"
            ) from None
        finally:
            with suppress(OSError):
                copy.unlink(missing_ok=True)
        return State(
            site=self._site, node=role.node, term=role.term, number=role.number, created=created, head=head,
            final=final, files=files, lacks=lacks,
        )  # fmt: skip

    def _put_blobs(self, copy: Path) -> list[str]:
        """Bring every blob that the copy names into the exchange; those that are on record as damaged, and that this
        station has not. Raises FailedError where another one is missing: then nobody knows why."""
        store, lacks, position = BlobStore(self._paths), list[str](), ""
        with closing(open_reader(copy)) as reader:
            withdrawn = {digest for digest, _ in damaged_sizes(reader)}
            while found := blobs_after(reader, position, _BATCH):
                position = found[-1][0]
                for text, size in found:
                    if text not in self._held and not self._put_blob(store, text, size):
                        lacks.append(text)
        if unknown := [text for text in lacks if text not in withdrawn]:
            raise FailedError(
                "a blob that the database names is not in the store", thing=unknown[0], remedy="see: lockgate scrub",
                code="standby-lacks",
            )  # fmt: skip
        if len(lacks) > limits.STANDBY_LACKS:
            raise FailedError(
                "too many blobs are damaged", thing=str(len(lacks)), remedy="see: lockgate scrub", code="standby-lacks"
            )
        return lacks

    def _put_blob(self, store: BlobStore, text: str, size: int) -> bool:
        try:
            digest = Digest.parse(text)
        except MalformedError:  # a damaged row: `intake check` names it
            return False
        if not self._exchange.has_blob(digest, size):
            if not store.has_blob(digest):
                return False
            with store.open_blob(digest) as file:
                self._exchange.put_blob(digest, self._paced(blob_bytes(file)))
        self._held.add(text)
        return True

    def _paced(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for data in pieces:
            self._pace.take(len(data))
            yield data

    def _files(self, copy: Path, ends: dict[str, int]) -> Iterator[tuple[Path, str]]:
        """Each file of the state: where it lies, and its path in a station's folder."""
        root = self._paths.root
        for top in FOLLOWED:
            path = root / top
            if top == self._paths.database.name:
                yield copy, top
            elif path.is_file() and not path.is_symlink():
                yield path, top
            elif path.is_dir() and not path.is_symlink():
                for each in sorted(path.rglob("*")):
                    name = str(each.relative_to(root))
                    if each.is_symlink() or not each.is_file() or each.name.startswith("."):
                        continue
                    if top != self._paths.audit.name or name in ends:
                        yield each, name

    def _file(self, path: Path, name: str, ends: dict[str, int]) -> StateFile:
        check_path(name)
        size, known, whole = ends.get(name, -1), list[str](), 0
        status = path.stat()
        if size < 0:
            size = status.st_size
        elif name in self._known and self._known[name][0][0] == status.st_ino and self._known[name][0][1] <= size:
            known = self._known[name][1][: self._known[name][0][1] // limits.STANDBY_PIECE]
            whole = len(known) * limits.STANDBY_PIECE  # the log is only ever added to: its whole pieces stay
        pieces, count = list(known), whole
        for data in pieces_of(path, size, whole):
            self._pace.take(len(data))
            pieces.append(self._exchange.put_piece(data))
            count += len(data)
        if count != size:
            raise FailedError("a file changed while it was read", thing=name, remedy="it is tried again")
        if name in ends:
            self._known[name] = ((status.st_ino, size), pieces)
        return StateFile(path=name, size=size, pieces=pieces)


def _ends(audit: Path) -> dict[str, int]:
    """How long each file of the log is now, up to its last whole line: path in the station's folder to bytes."""
    found = {}
    for path in [*audit.glob("lanes/*.jsonl"), *audit.glob("*.jsonl")]:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - limits.STANDBY_PIECE))
            end = file.read(size - file.tell()).rfind(b"\n")
        found[str(path.relative_to(audit.parent))] = max(0, size - limits.STANDBY_PIECE) + end + 1
    return found


def later_term(paths: StationPaths, role: Role, exchange: Exchange) -> terms.Word | None:
    """The first word of a later term, or of this one for another node, that this station believes. Raises
    FailedError."""
    for spoken in terms.believed(exchange.terms, paths):
        word = spoken.word
        if word.site == role.site and (word.term > role.term or (word.term == role.term and word.node != role.node)):
            return word
    return None
