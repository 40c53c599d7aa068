"""Whether the station's database has forgotten what its folder still knows of: it is gone, damaged, or went back.

What knows better: the number of commits beside the database (appliance.store.commits), the audit log, the blobs and the
folders of jobs. Asked before anything opens the database for writing, so that no new one is made in the place of one
that was lost, and by garbage collection.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from appliance.audit.acts import OUTSIDE_THE_DATABASE, Act, mark, read_act
from appliance.audit.event import refusal
from appliance.audit.port import AuditPort
from appliance.audit.reading import newest
from appliance.limits import lifecycle as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.store import commits
from appliance.store.database import open_reader
from appliance.store.database_file import ANOTHER_COPY, has_tables, held_commits, looked_at
from appliance.store.errors import DamagedEngineError, EngineError, UnavailableEngineError
from appliance.store.ports import Reader
from appliance.store.reads.links import is_shown
from appliance.store.reads.outgoing import built_bundle
from appliance.store.whereabouts import is_elsewhere, place_of
from appliance.store.writes.write import LostAnswerError
from bundles.documents.audit_log import segments
from bundles.errors import FailedError, RefusedError
from bundles.io.display import some
from bundles.io.files import failures_named

_MANIFESTS: Final = (Act.PUSH_MANIFEST, Act.COPY_MANIFEST, Act.CACHE_MANIFEST)
_LINKS: Final = (
    *_MANIFESTS, Act.PUSH_BLOB, Act.CACHE_BLOB, Act.DELETE_BLOB, Act.DELETE_MANIFEST, Act.GC_UNLINK, Act.GC_UNTAGGED,
)  # fmt: skip
_BUNDLES: Final = (Act.BUNDLE_WRITE, Act.BUNDLE_BUILD)
_SETTLES: Final = 10 * 1_000_000
"""Microseconds before the log's last event within which an act may have been recorded and, by a kill, not done."""

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Forgotten:
    """`what`: what is wrong, a sentence. `usable`: the database can be read, it is only behind. `missing`: some of what
    the log knows and the database does not."""

    what: str
    usable: bool
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what} ({', '.join(self.missing)})" if self.missing else self.what


def look(paths: StationPaths) -> Forgotten | None:
    """What the database of a station has forgotten, None where nothing says that it has.

    Raises FailedError where the disk gives no answer.
    """
    database = paths.database
    if is_elsewhere(database):
        return _look_elsewhere(paths)
    with failures_named(database, "the metadata cannot be read"):
        there = database.is_file() and database.stat().st_size > 0
        promised, mark = commits.promised(database), commits.promised_mark(database)
        counted = commits.commits_file(database).exists()
    if not there:
        return Forgotten("the metadata is gone", False) if _has_past(paths) else None
    try:
        with looked_at(database) as reader:
            if not has_tables(reader):
                return Forgotten("the metadata is empty", False) if _has_past(paths) else None
            return _behind(paths, reader, promised, mark, counted=counted)
    except UnavailableEngineError as error:
        raise FailedError(
            "the metadata cannot be read", thing=f"{database} ({error})", remedy="check the disk and its owner"
        ) from None
    except DamagedEngineError as error:
        return Forgotten(f"the metadata is damaged: {error}", False)


def _look_elsewhere(paths: StationPaths) -> Forgotten | None:
    """As `look`, of a database whose server keeps its files: what the log and the last start's mark say. Raises
    FailedError where the server is away, or the database is not the station's."""
    with failures_named(paths.database, "the metadata cannot be read"):
        mark = commits.promised_mark(paths.database)
    with closing(open_reader(paths.database)) as reader:
        return _behind(paths, reader, 0, mark, counted=True)


def _behind(paths: StationPaths, reader: Reader, promised: int, mark: int, *, counted: bool) -> Forgotten | None:
    """As `look`, of a database that can be read. `promised` and `mark`: what stands beside it, where that is there
    (`counted`)."""
    held, bundles = commits.held(reader), _missing_bundles(paths, reader)
    what = ""
    if held is not None and held < promised:
        what = f"the metadata went back by {some(promised - held, 'commit')}"
    elif not commits.knows(reader, mark):
        what = ANOTHER_COPY
    if what:
        return Forgotten(what, True, tuple(islice(chain(bundles, _missing_links(paths, reader)), _NAMED)))
    if held is None or not promised:
        # Where the number was taken away, an older copy may be in place that lacks the acts of the last moments alone.
        settles = 0 if held and not counted else _SETTLES
        bundles = chain(bundles, _missing_links(paths, reader, settles))
    if missing := tuple(islice(bundles, _NAMED)):
        return Forgotten("the metadata does not know what the audit log knows", True, missing)
    return None


def require_whole(paths: StationPaths, config: Config) -> None:
    """Go on only with a database that has forgotten nothing. Raises RefusedError with the remedy, FailedError."""
    found = look(paths)
    if found is not None:
        raise refused(paths, config, found)


def refused(paths: StationPaths, config: Config, found: Forgotten) -> RefusedError:
    """The refusal to work with a database that has forgotten something."""
    if config.side == "inside" or is_elsewhere(paths.database):
        first = "" if found.usable else "put the newest copy of it back, then say so: "
        remedy = f"{first}lockgate restore --why TEXT -C {paths.root}"
    else:
        remedy = f"put its newest copy back, or restore what is known: lockgate rebuild -C {paths.root}"
    return RefusedError(str(found), thing=place_of(paths.database), remedy=remedy)


def accept(paths: StationPaths) -> None:
    """Say that the database is to be gone on with as it is. Raises FailedError."""
    try:
        commits.promise(paths.database, *held_commits(paths.database))
    except (EngineError, OSError) as error:
        raise FailedError(
            "the metadata cannot be read", thing=f"{paths.database} ({error})", remedy="put a copy of it back"
        ) from None


def _has_past(paths: StationPaths) -> bool:
    """Whether the station did anything that its database would know of."""
    unused = paths.first_code.exists()  # while it is, nobody has claimed the station
    taken_back: set[tuple[str, str]] = set()
    for event in newest(paths.audit):
        act, thing = str(event["act"]), str(event["thing"])
        if event["outcome"] != "done":
            if event["detail"].get("takes_back"):
                taken_back.add((act, thing))
        elif (act, thing) in taken_back:
            taken_back.discard((act, thing))
        elif read_act(act) not in OUTSIDE_THE_DATABASE and not (unused and act == Act.ACCOUNT_CLAIM):
            return True
    with suppress(FileNotFoundError):
        if next(paths.jobs.iterdir(), None) is not None:
            return True
    with suppress(FileNotFoundError):
        folders = (folder for folder in paths.blobs.iterdir() if folder.is_dir())
        return any(next(folder.iterdir(), None) is not None for folder in folders)
    return False


def _missing_bundles(paths: StationPaths, reader: Reader) -> Iterator[str]:
    """The last bundles that the log says were written, those that the database does not know."""
    for event in _last_bundles(paths.audit):
        known = built_bundle(reader, str(event["thing"]))
        if known is None or not known.digest:
            yield str(event["thing"])


def _missing_links(paths: StationPaths, reader: Reader, settles: int | None = None) -> Iterator[str]:
    """Pushed content that the newest events tell of and the database does not show, the newest first.

    `settles`: only what neither a kill between the event and the act explains, which is so many microseconds before the
    last event, nor a failure of which nobody knows what it left, nor a collection of an earlier version, which left no
    event. To be used where nothing else says that the
    database is behind.
    """
    over: set[str] = set()
    taken_back: set[tuple[str, str]] = set()
    doubted: set[tuple[str, str]] = set()
    last = 0
    for event in islice(newest(paths.audit, without=mark(Act.PULL)), limits.FORGOTTEN_LOOKED_AT):
        act, thing = str(event["act"]), str(event["thing"])
        last = last or int(event["micros"])
        if event["outcome"] != "done":
            if event["detail"].get("takes_back"):
                taken_back.add((act, thing))
            elif settles is not None:
                doubted.add((act, thing))
        elif (act, thing) in taken_back:
            taken_back.discard((act, thing))
        elif (act, thing) in doubted:
            doubted.discard((act, thing))
        elif read_act(act) in _LINKS:
            pushed = read_act(act) in _MANIFESTS or (act in (Act.PUSH_BLOB, Act.CACHE_BLOB) and settles is None)
            settled = not settles or last - int(event["micros"]) > settles
            if pushed and settled and thing not in over and not is_shown(reader, thing):
                yield thing
            digests = event["detail"].get("digests")
            over.update([f"{thing}@{one}" for one in digests] if isinstance(digests, list) else [thing])


def doubt_last(paths: StationPaths, reader: Reader, audit: AuditPort) -> None:
    """Record of the pushes that a kill may have cut off behind their event that nobody knows what became of them: the
    next start does not take them for forgotten. Of a database that counts no commits alone. Raises FailedError."""
    if not is_elsewhere(paths.database):
        return
    settled = set(_missing_links(paths, reader, _SETTLES))
    for thing in islice(_missing_links(paths, reader, 0), limits.FORGOTTEN_LOOKED_AT):
        if thing not in settled:
            error = LostAnswerError("the station ended before it was known to be done", thing=thing)
            audit.record(refusal(Act.PUSH_MANIFEST, "station", thing, error, recorded=False))


def _last_bundles(folder: Path) -> Iterator[dict[str, Any]]:
    """The newest event of a bundle that was written, of each lane."""
    seen: set[int] = set()
    for segment in reversed(segments(folder)):
        found = None if segment.lane in seen else last_event(segment.path, *map(mark, _BUNDLES))
        if found is not None:
            seen.add(segment.lane)
            yield found


def last_event(path: Path, *marks: bytes) -> dict[str, Any] | None:
    """The last event of a segment that is done and whose line holds one of some bytes. A line that was cut off or
    damaged is none: the log's own check names it. Searched for its bytes, not read line by line: a log of gigabytes of
    pulls is looked through whenever the station starts. Raises FailedError."""
    found = [event for each in marks if (event := _last_with(path, each)) is not None]
    return max(found, key=lambda event: int(event["micros"]), default=None)


def _last_with(path: Path, marked: bytes) -> dict[str, Any] | None:
    with failures_named(path, "the audit log cannot be read"), path.open("rb") as file:
        if not path.stat().st_size:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            at = text.rfind(b"\n")
            while (at := text.rfind(marked, 0, max(at, 0))) >= 0:
                start = text.rfind(b"\n", 0, at) + 1
                with suppress(ValueError, KeyError, TypeError):
                    event: dict[str, Any] = json.loads(text[start : text.find(b"\n", at)])
                    if event["outcome"] == "done":  # a refusal names what need not be known
                        return event
                at = start
    return None
