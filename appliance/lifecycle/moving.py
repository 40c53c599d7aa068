"""`lockgate migrate`: a station's metadata goes from its folder's file into PostgreSQL, or back (docs/adr/0086).

Copied while the station writes, round by round; then the writes stop, what is left is copied, both sides are compared
whole, the act is recorded, and the note is switched. The processes of a station that runs see the other note and are
started anew on it; until then nothing is written. Cut off anywhere, the same command goes on.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.lifecycle.forgotten import require_whole
from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.settings.metadata import check_url, shown, with_url
from appliance.settings.station import Config, load_config
from appliance.station import listens_at, station_lock
from appliance.store.database import start_mark
from appliance.store.elsewhere import mark_moved, move_source, move_target
from appliance.store.errors import EngineError
from appliance.store.held_writes import Mover
from appliance.store.moving import state
from appliance.store.moving.copying import Progress, copy_last, copy_round, seconds_a_row
from appliance.store.moving.file_side import FileTarget
from appliance.store.moving.sides import Source, Target
from appliance.store.moving.state import FILE, Move
from appliance.store.moving.tables import tables
from appliance.store.whereabouts import Whereabouts, is_made, note, noted, unnote
from bundles import limits as file_limits
from bundles.errors import FailedError, LockgateError, NoSpaceError, RefusedError, UsageError
from bundles.io.files import failures_named, read_small, write_atomic

_LOOK: Final = 0.1
"""Seconds between two looks whether a station has taken up its new database."""
Step = Callable[[str], object]
"""Called with the name of each step before it: where a test cuts the move off."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a move would copy: rows, bytes on the disk, and about how many seconds that takes; of these for how many
    nothing is written."""

    rows: int
    size: int
    seconds: int
    stopped: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that is done. `stopped`: seconds for which nothing was written; None where the station did not run."""

    place: str
    rows: int
    tables: int
    digest: str
    stopped: float | None


class Moving:
    """One station's move to `place`: `file`, or the URL of a database."""

    def __init__(self, paths: StationPaths, place: str, progress: Progress, step: Step = lambda _: None) -> None:
        """Raises UsageError for a place that is none, FailedError where another move goes on."""
        self._paths, self._place, self._progress, self._step = paths, place, progress, step
        if place != FILE:
            check_url(place)
        self._mover = Mover(paths.database)

    def close(self) -> None:
        """Let the next one move."""
        self._mover.close()

    def plan(self) -> Planned:
        """What the move would take, with nothing changed. Raises LockgateError for whatever would keep it from being
        done."""
        with _faults(), self._sides(self._new_move()) as (source, target):
            self._require(source, target)
            rows = sum(source.count(table) for table in tables())
            rate = seconds_a_row(source)
            return Planned(rows, source.size(), 1 + round(rows * 4 * rate), 1 + round(rows * 2 * rate))

    def move(self) -> Moved:
        """Do it. Raises LockgateError; nothing is switched then, unless it says so."""
        finished = finish(self._paths, self._mover)
        config = load_config(self._paths.config)
        before = state.begun(self._paths.database)
        if finished is not None and finished == self._place:
            return Moved(self._place, 0, 0, "", None)
        move = before or self._new_move()
        if move.place != self._place or move.came_from != noted(self._paths.database):
            raise UsageError(
                "another move was begun, and not ended",
                thing=shown(move.place),
                remedy=f"go on with it: lockgate migrate --metadata {shown(move.place)!r}; or end it: lockgate migrate"
                " --abandon",
            )
        with _faults(), _still(self._paths) as runs, self._sides(move) as (source, target):
            if isinstance(target, FileTarget):
                target.take_back()
            self._require(source, target)
            state.keep(self._paths.database, move)
            self._step("begun")
            target.prepare()
            self._step("prepared")
            self._copy(source, target)
            return self._switch(config, move, source, target, runs=runs)

    def _new_move(self) -> Move:
        """A move of the metadata from where it is now. Raises UsageError where there is none, or that is the place
        already."""
        if not is_made(self._paths.database):
            raise UsageError(
                "the station has no metadata yet that could be moved", thing=str(self._paths.root),
                remedy="start it once: lockgate serve; or make one there: lockgate init DIR --site NAME --side SIDE"
                " --metadata URL; where it had some, see docs/howto/lost-database.md",
            )  # fmt: skip
        found = noted(self._paths.database)
        if self._place in (FILE if found is None else found.url, "" if found is None else found.url):
            raise UsageError(
                "the station's metadata is there already",
                thing=shown(self._place),
                remedy="name the other place: file, or the URL of an empty PostgreSQL database",
            )
        if found is not None and self._place != FILE:
            raise UsageError(
                "metadata goes from PostgreSQL into the station's folder, or from there into PostgreSQL",
                thing=shown(self._place),
                remedy="move it with PostgreSQL's own means, and write the new url below [metadata]; or first:"
                " lockgate migrate --metadata file",
            )
        before = state.begun(self._paths.database)
        if before is not None and before.place == self._place:
            return before
        site = load_config(self._paths.config).site
        where = None if self._place == FILE else Whereabouts(
            url=self._place, station=secrets.token_hex(16), site=site
        )  # fmt: skip
        return Move(came_from=found, goes_to=where, at=clock.now())

    @contextlib.contextmanager
    def _sides(self, move: Move) -> Iterator[tuple[Source, Target]]:
        with contextlib.ExitStack() as held:
            source = move_source(self._paths.database, move)
            held.callback(source.close)
            target = move_target(self._paths.database, move)
            held.callback(target.close)
            yield source, target

    def _require(self, source: Source, target: Target) -> None:
        """Raises LockgateError where something would be lost, or where there is no room."""
        config = load_config(self._paths.config)
        if self._place != FILE and (config.standby.exchange or self._paths.standby_role.exists()):
            raise RefusedError(
                "a station whose metadata is in PostgreSQL has no stand-by of this kind",
                thing=str(self._paths.root),
                remedy="end its pair first (docs/howto/stand-by.md)",
            )
        with_url(read_small(self._paths.config, file_limits.KEY_FILE).decode(), self._url)
        require_whole(self._paths, config)
        source.require_movable()
        target.require_free()
        if self._place == FILE:
            with failures_named(self._paths.root, "the disk's room cannot be asked"):
                free = shutil.disk_usage(self._paths.root).free
            if free < 2 * source.size():
                raise NoSpaceError(
                    "the metadata may not find room in the station's folder",
                    thing=f"{free} bytes are free, and it takes {source.size()}",
                    remedy="free twice as much as it takes",
                )

    @property
    def _url(self) -> str:
        return "" if self._place == FILE else self._place

    def _copy(self, source: Source, target: Target) -> None:
        """Round after round, until the last one had little to do."""
        for number in range(1, limits.MOVE_ROUNDS + 1):
            phase = "copying" if number == 1 else f"copying what changed, round {number}"
            changed = copy_round(source, target, phase, self._progress)
            if number > 1 and changed <= limits.MOVE_FEW:
                break
            self._step("copied")
        target.settle()
        self._step("settled")

    def _switch(self, config: Config, move: Move, source: Source, target: Target, *, runs: bool) -> Moved:
        began = time.monotonic()
        database = self._paths.database
        with self._mover.stopped(), source.held():
            verified = copy_last(source, target, self._bounded(began))
            self._step("compared")
            mark = start_mark(database)
            with source.moment():
                numbers = dict(source.numbers())
            move = state.keep(database, Move(**{**_fields(move), "phase": "switching"}))
            target.finish(numbers)
            self._step("finished")
            came = FILE if move.came_from is None else shown(move.came_from.url)
            detail = {"from": came, "to": shown(move.place), **asdict(verified)}
            with recorded(self._paths.root, Act.METADATA_MOVE, config.site, detail):
                self._step("recorded")
                target.place()
                self._step("placed")
                _set_note(self._paths, target.whereabouts())
            self._step("switched")
            _set_settings(self._paths, self._url)
        self._step("released")
        if runs:
            self._await(mark)
        stopped = round(time.monotonic() - began, 3)
        self._step("taken up")
        _mark(self._paths, move)
        return Moved(move.place, verified.rows, verified.tables, verified.digest, stopped if runs else None)

    def _bounded(self, began: float) -> Progress:
        """The progress, which ends a stop of the writes that takes too long."""

        def progress(phase: str, done: int, total: int) -> None:
            if time.monotonic() - began > limits.MOVE_STOP:
                raise FailedError(
                    f"comparing takes more than {limits.MOVE_STOP:.0f} s, so writes go on and nothing was switched",
                    remedy="stop the station and run the same command again: there is no such bound then",
                )
            self._progress(phase, done, total)

        return progress

    def _await(self, mark: int) -> None:
        """Until the station that runs has taken up its new database. Raises FailedError."""
        deadline = time.monotonic() + limits.MOVE_BACK
        while time.monotonic() < deadline:
            with contextlib.suppress(LockgateError, EngineError):
                if start_mark(self._paths.database) != mark:
                    return
            if listens_at(self._paths) is None:
                return
            time.sleep(_LOOK)
        raise FailedError(
            "the metadata was moved, and the station has not taken it up yet",
            thing=str(self._paths.root),
            remedy="see its log; lockgate migrate with the same words ends the move once it runs",
        )


def finish(paths: StationPaths, mover: Mover | None = None) -> str | None:
    """End a move that was cut off behind its switch: the settings, and the mark in the old database. The place where
    the metadata is then; None where there was nothing to end. `mover`: the caller's own. Raises LockgateError."""
    move = state.begun(paths.database)
    if move is None or not state.is_switched(paths.database, move):
        return None
    held = mover or Mover(paths.database)
    try:
        _set_settings(paths, "" if move.goes_to is None else move.goes_to.url)
        _mark(paths, move)
    finally:
        if mover is None:
            held.close()
    return move.place


def abandon(paths: StationPaths) -> str:
    """Take back a move that was not switched: what it made in its new place goes. The place. Raises LockgateError."""
    mover = Mover(paths.database)
    try:
        if finish(paths, mover) is None and (move := state.begun(paths.database)) is not None:
            target = move_target(paths.database, move)
            try:
                with _faults():
                    if isinstance(target, FileTarget):
                        target.take_back()
                    target.abandon()
            finally:
                target.close()
            with failures_named(paths.root, "the move cannot be ended"):
                state.forget(paths.database)
            return move.place
    finally:
        mover.close()
    raise UsageError("no move of the metadata was begun", thing=str(paths.root), remedy="there is nothing to end")


def _fields(move: Move) -> dict[str, Any]:
    return {"came_from": move.came_from, "goes_to": move.goes_to, "at": move.at}


def _mark(paths: StationPaths, move: Move) -> None:
    """The old database says where its metadata went, and the move has ended."""
    with _faults():
        mark_moved(paths.database, move, FILE if move.goes_to is None else shown(move.goes_to.url))
    with failures_named(paths.root, "the move cannot be ended"):
        state.forget(paths.database)


def _set_note(paths: StationPaths, where: Whereabouts | None) -> None:
    """The switch: one rename, or one name taken away."""
    with failures_named(paths.database, "the metadata cannot be switched"):
        if where is None:
            unnote(paths.database)
        else:
            note(paths.database, where)


def _set_settings(paths: StationPaths, url: str) -> None:
    text = read_small(paths.config, file_limits.KEY_FILE).decode()
    changed = with_url(text, url)
    if changed != text:
        write_atomic(paths.config, changed.encode(), paths.config.stat().st_mode & 0o777, owned=True)


@contextlib.contextmanager
def _still(paths: StationPaths) -> Iterator[bool]:
    """Whether the station runs; where it does not, no other command works on its folder meanwhile. Raises
    FailedError."""
    if listens_at(paths) is not None:
        yield True
        return
    lock: AbstractContextManager[None] = station_lock(paths)
    with lock:
        yield False


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """What an engine says while the metadata is copied, as one line."""
    try:
        yield
    except EngineError as error:
        raise FailedError(
            "the metadata cannot be moved, and nothing was switched",
            thing=" ".join(str(error).split())[:300],
            remedy="see to that, then run the same command again: it goes on where it was",
        ) from None
