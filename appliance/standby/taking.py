"""The stand-by's side: the newest state of the exchange is built as a folder of its own, checked as a whole, and only
then held. What was held before stays until it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.seals import audit_key
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.standby import terms
from appliance.standby.checking import check_state
from appliance.standby.documents import STANDBY, Role, State, StateFile, Taken, read, signed
from appliance.standby.exchange import Exchange, assemble, blob_bytes
from appliance.standby.role import changed, find_role, require_own_account, require_role
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.errors import EngineError
from appliance.store.ports import Reader
from appliance.store.reads.damage import damaged_sizes
from appliance.store.reads.upkeep import blobs_after
from bundles.errors import LockgateError, RefusedError
from bundles.io.files import failures_named, make_folder, read_small, sync_folder, write_atomic
from bundles.oci.digest import Digest

_BATCH: Final = 1000
_SHARED: Final = ("keys", "store", "store-id")
"""What a state's folder has in common with the stand-by's own."""


class Taker:
    """Takes states for the stand-by in `root`."""

    def __init__(self, root: Path, exchange: Path, pace: Callable[[int], object] = lambda _: None) -> None:
        require_own_account(root)
        self._paths = StationPaths(root)
        self._site = load_config(self._paths.config).site
        self._exchange, self._pace = Exchange(exchange), pace

    def take(self) -> tuple[Role, bool]:
        """Hold the newest state; the role, and whether it is a newer one than before. What fails is kept in the role,
        and told the primary. Raises RefusedError, FailedError."""
        role = require_role(self._paths.root, find_role(self._paths, self._site), STANDBY)
        try:
            self._exchange.require()
            state = self._exchange.state(audit_key(self._paths).public, self._site)
            newer = state is not None and self._is_newer(role, state)
            if state is not None and newer:
                role = self._hold(role, state)
            elif state is None:
                raise RefusedError(
                    "the primary has written no state yet", thing=str(self._exchange.folder),
                    remedy="give its config.toml a [standby], and start it", code="standby-no-state",
                )  # fmt: skip
        except LockgateError as error:
            role = changed(self._paths, role, fault=error.diagnostics()[:1000])
            self._tell(role)
            raise
        if role.fault:
            role = changed(self._paths, role, fault="")
        self._tell(role)
        return role, newer

    def _is_newer(self, role: Role, state: State) -> bool:
        """Raises RefusedError for a state that this stand-by may not follow."""
        if (state.term, state.number) < (role.term, role.number):
            raise RefusedError(
                "the exchange has an older state than this stand-by holds",
                thing=f"{state.term}/{state.number} for {role.term}/{role.number}",
                remedy="see whether an old copy of the primary was started", code="standby-older",
            )  # fmt: skip
        if state.term > role.term:
            self._require_word(state)
        elif state.node != role.primary and role.primary:
            raise RefusedError(
                "another station than before writes as the primary of this term",
                thing=f"term {state.term}: {state.node} for {role.primary}",
                remedy="see which one is to go on, and stop the other one", code="standby-two-primaries",
            )  # fmt: skip
        if (state.term, state.number) == (role.term, role.number):
            if state.head != role.head:
                raise RefusedError(
                    "a state was written anew under its number", thing=f"{state.term}/{state.number}",
                    remedy="see whether an old copy of the primary was started", code="standby-older",
                )  # fmt: skip
            return False
        return True

    def _require_word(self, state: State) -> None:
        """A later term counts by two people's word alone, which the state that is held believes."""
        for spoken in terms.believed(self._exchange.terms, held_paths(self._paths)):
            if (spoken.word.term, spoken.word.node) == (state.term, state.node):
                return
        raise RefusedError(
            "a state of a term that no two people began", thing=f"term {state.term} of {state.node}",
            remedy="see who writes the exchange", code="standby-term",
        )  # fmt: skip

    def _hold(self, role: Role, state: State) -> Role:
        paths, stage = self._paths, self._paths.standby_state(state.term, state.number)
        with failures_named(paths.standby, "a state cannot be written"):
            make_folder(paths.standby)
            _remove(stage)
            self._build(stage, state, held_state(paths, role))
        try:
            self._take_blobs(stage, state)
            check_state(StationPaths(stage), state, role.head)
        except LockgateError:
            with suppress(OSError):
                _remove(stage)
            raise
        except EngineError as error:
            raise RefusedError(
                "a state of the primary has a database that cannot be read", thing=str(error)[:200],
                remedy="see at the primary: lockgate intake check", code="standby-rows",
            ) from None  # fmt: skip
        write_atomic(_document(stage), signed(state, audit_key(paths)), 0o600)
        held = changed(
            paths, role, term=state.term, number=state.number, head=state.head, final=state.final, fault="",
            created=state.created, primary=state.node, heard=clock.now(), exchange=str(self._exchange.folder),
        )  # fmt: skip
        for path in paths.standby.glob("state-*"):
            if path not in (stage, _document(stage)):
                with suppress(OSError):
                    _remove(path)
        return held

    def _build(self, stage: Path, state: State, before: State | None) -> None:
        old: dict[str, StateFile] = {}
        local: dict[str, tuple[Path, int]] = {}
        if before is not None:
            folder = self._paths.standby_state(before.term, before.number)
            old = {one.path: one for one in before.files}
            local = {
                piece: (folder / one.path, number * limits.STANDBY_PIECE)
                for one in before.files if (folder / one.path).is_file()
                for number, piece in enumerate(one.pieces)
            }  # fmt: skip
        stage.mkdir(mode=0o700)
        for name in _SHARED:
            if (self._paths.root / name).exists():
                (stage / name).symlink_to(Path("..") / ".." / name)
        for one in state.files:
            target = stage / one.path
            if one == old.get(one.path) and one.path.startswith(f"{self._paths.imported.name}/"):
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.link(folder / one.path, target)
            else:
                assemble(self._exchange, one, target, local)
        sync_folder(stage)

    def _take_blobs(self, stage: Path, state: State) -> None:
        """Bring every blob that the state's database names into this station's store, hashed as it comes."""
        store, position = BlobStore(self._paths), ""
        with closing(open_reader(stage / self._paths.database.name)) as reader:
            lacks = known_lacks(reader, state)
            while found := blobs_after(reader, position, _BATCH):
                position = found[-1][0]
                for text, size in found:
                    digest = Digest.parse(text)
                    if not store.has_blob(digest) and text not in lacks:
                        self._take_blob(store, digest, size)

    def _take_blob(self, store: BlobStore, digest: Digest, size: int) -> None:
        with self._exchange.open_blob(digest) as file:
            writer = store.begin_blob(digest, size)
            try:
                for data in blob_bytes(file):
                    self._pace(len(data))
                    writer.write(data)
                writer.commit()
            finally:
                writer.cancel()

    def _tell(self, role: Role) -> None:
        """Say in the exchange what is held; where that fails, the primary hears later."""
        said = Taken(
            site=role.site, node=role.node, term=role.term, number=role.number, created=role.created, fault=role.fault
        )
        with suppress(LockgateError):
            self._exchange.write(said, audit_key(self._paths))


def known_lacks(reader: Reader, state: State) -> set[str]:
    """What a primary says that it lacks, and its database has on record as damaged."""
    return set(state.lacks) & {digest for digest, _ in damaged_sizes(reader)}


def held_state(paths: StationPaths, role: Role) -> State | None:
    """The document of the state that a stand-by holds; None for none. Raises RefusedError, FailedError."""
    if not role.number:
        return None
    path = _document(paths.standby_state(role.term, role.number))
    if not path.is_file():
        return None
    return read(read_small(path, limits.STANDBY_STATE), State, audit_key(paths).public, role.site)


def held_paths(paths: StationPaths) -> StationPaths:
    """The folder whose trust and accounts count for a stand-by: the state that it holds, its own before the first."""
    role = find_role(paths, load_config(paths.config).site)
    if role is not None and role.number and paths.standby_state(role.term, role.number).is_dir():
        return StationPaths(paths.standby_state(role.term, role.number))
    return paths


def _document(stage: Path) -> Path:
    return stage.with_name(f"{stage.name}.json")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
