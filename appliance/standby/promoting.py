"""A stand-by becomes the primary: two people say so, and the folder goes on from the state that it holds.

Imports are shut as after a restore, unless that state is its primary's last word. Cut off, the same command goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import actor, recorded
from appliance.audit.noted_head import forget_head
from appliance.audit.seals import audit_key
from appliance.distinct_people import people_behind
from appliance.lifecycle.forgotten import accept
from appliance.lifecycle.restored_copy import shut_imports
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.standby import terms
from appliance.standby.checking import check_state
from appliance.standby.documents import FOLLOWED, PRIMARY, PROMOTING, STANDBY, Role, State
from appliance.standby.exchange import Exchange
from appliance.standby.role import changed, find_role, require_own_account, require_role
from appliance.standby.taking import held_paths, held_state, known_lacks
from appliance.station import station_lock
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.reads.ledger import heads as ledger_heads
from appliance.store.reads.upkeep import blobs_after
from bundles.errors import LockgateError, RefusedError
from bundles.io.files import failures_named, make_folder, sync_folder
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.trust import TrustFolder

_BATCH = 1000
_KEPT_HERE = frozenset({"config.toml"})
"""What follows and is not put in the place of a stand-by's own: it says where this machine listens."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a promotion would go on from: `role` and the `state` that is held, how old it is (seconds), where each
    stream stands in it, and who has said so already."""

    role: Role
    state: State
    age: int
    streams: list[dict[str, Any]]
    said: list[str]


@dataclass(frozen=True, slots=True)
class Promoted:
    """Who has said it (`owners`), and the role: `primary` once two people have. `shut`: imports are."""

    role: Role
    owners: Sequence[str]
    shut: bool


def look(root: Path) -> Outlook:
    """What would be promoted. Raises RefusedError where nothing is held, FailedError."""
    paths = StationPaths(root)
    role = require_role(root, find_role(paths, load_config(paths.config).site), STANDBY, PROMOTING)
    state, stage = _held(paths, role)
    with closing(open_reader(stage.database)) as reader:
        streams = [
            {"stream": one.stream, "sequence": one.sequence, "digest": one.digest} for one in ledger_heads(reader)
        ]
    age = max(0, clock.seconds(clock.now()) - clock.seconds(state.created))
    trust, word = TrustFolder.load(stage.trust), _word(role)
    said = [
        one.owner for spoken in terms.load(paths.standby / "terms") if spoken.word == word
        for one in terms.signers(spoken, trust)
    ]  # fmt: skip
    return Outlook(role, state, age, streams, said)


def promote(root: Path, key: PrivateKey | None) -> Promoted:
    """Say that this stand-by becomes the primary; the second person's word does it. Without a `key` a promotion that
    was cut off goes on. Raises RefusedError where it may not, UsageError, FailedError."""
    paths = StationPaths(root)
    site = load_config(paths.config).site
    require_own_account(root)
    with station_lock(paths):
        role = require_role(root, find_role(paths, site), STANDBY, PROMOTING)
        state, stage = _held(paths, role)
        folder, word = paths.standby / "terms", _word(role)
        if role.role == STANDBY:
            _require_silence(paths, role)
            _require_first(paths, role)
            if key is None:
                raise RefusedError(
                    "two people promote a stand-by, each with a release key", thing=site,
                    remedy="give --key KEY", code="standby-people",
                )  # fmt: skip
            said = terms.say(folder, word, key, stage)
            if people_behind(stage, said) < terms.PEOPLE:
                return Promoted(role, [one.owner for one in said], shut=True)
        spoken = [one for one in terms.believed(folder, stage) if one.word == word]
        if not spoken:
            raise RefusedError(
                "two people have not said so", thing=site, remedy="give --key KEY", code="standby-people"
            )
        owners = [one.owner for one in terms.signers(spoken[0], TrustFolder.load(stage.trust))]
        check_state(stage, state, role.head)
        _require_blobs(paths, stage, state)
        _require_last(paths, role)
        role = changed(paths, role, role=PROMOTING)
        _install(paths, stage, role.term)
        return Promoted(_begin(paths, role, word, owners), owners, shut=not role.final)


def _word(role: Role) -> terms.Word:
    return terms.Word(
        site=role.site, term=role.term + 1, node=role.node, before=role.term, number=role.number, head=role.head
    )


def _held(paths: StationPaths, role: Role) -> tuple[State, StationPaths]:
    state = held_state(paths, role)
    stage = StationPaths(paths.standby_state(role.term, role.number))
    if state is None or not stage.database.is_file():
        raise RefusedError(
            "this stand-by holds no state", thing=str(paths.root),
            remedy=f"take one: lockgate replica follow --once -C {paths.root}", code="standby-no-state",
        )  # fmt: skip
    if (state.term, state.number, state.head, state.final) != (role.term, role.number, role.head, role.final):
        raise RefusedError(
            "the state that is held is not the one that was taken", thing=str(stage.root),
            remedy="make the stand-by anew, of a copy of the primary's whole folder", code="standby-older",
        )  # fmt: skip
    return state, stage


def _require_silence(paths: StationPaths, role: Role) -> None:
    """Raises RefusedError while the primary lives, as far as this one can tell: by what was taken, and by a later state
    that lies in the exchange and was not."""
    if role.final:
        return
    heard = clock.seconds(role.heard) if role.heard else 0
    exchange = Exchange(Path(role.exchange))
    if role.exchange and exchange.folder.is_dir():
        with suppress(LockgateError, OSError):  # what is there and is none of the primary's says nothing of it
            state = exchange.state(audit_key(paths).public, role.site)
            if state is not None and (state.term, state.number) > (role.term, role.number):
                heard = max(heard, clock.seconds(state.created), exchange.written())
    ago = clock.seconds(clock.now()) - heard
    if ago < limits.STANDBY_SILENT:
        raise RefusedError(
            "the primary was heard of just now", thing=f"{max(ago, 0)} s ago",
            remedy="stop it and hand over with: lockgate replica demote; or see that it is off, and wait"
            f" {limits.STANDBY_SILENT} s", code="standby-primary-lives",
        )  # fmt: skip


def _require_first(paths: StationPaths, role: Role) -> None:
    """Raises RefusedError where two people have promoted another one, as far as the exchange tells."""
    if not role.exchange or not Path(role.exchange).is_dir():
        return
    for spoken in terms.believed(Exchange(Path(role.exchange)).terms, held_paths(paths)):
        word = spoken.word
        if word.term > role.term:  # of this node, too: it is published by who was promoted, from another copy then
            raise RefusedError(
                "another station of this site was promoted", thing=f"term {word.term} of {word.node}",
                remedy="follow it: lockgate replica follow", code="standby-two-primaries",
            )  # fmt: skip


def _require_last(paths: StationPaths, role: Role) -> None:
    """Raises RefusedError where a last word was not the last one, as far as the exchange tells."""
    if not role.final or not Path(role.exchange).is_dir():
        return
    there = Exchange(Path(role.exchange)).state(audit_key(paths).public, role.site)
    if there is not None and (there.term, there.number) > (role.term, role.number):
        raise RefusedError(
            "the primary went on after its last word", thing=f"state {there.term}/{there.number}",
            remedy=f"take that one first: lockgate replica follow --once -C {paths.root}", code="standby-not-last",
        )  # fmt: skip


def _require_blobs(paths: StationPaths, stage: StationPaths, state: State) -> None:
    """Raises RefusedError where a blob that the state names is not here."""
    store, position = BlobStore(paths), ""
    with closing(open_reader(stage.database)) as reader:
        lacks = known_lacks(reader, state)
        while found := blobs_after(reader, position, _BATCH):
            position = found[-1][0]
            for text, _ in found:
                if text not in lacks and not store.has_blob(Digest.parse(text)):
                    raise RefusedError(
                        "a blob of the state that is held is gone", thing=text,
                        remedy="take it anew: lockgate replica follow --once", code="standby-incomplete",
                    )  # fmt: skip


def _install(paths: StationPaths, stage: StationPaths, term: int) -> None:
    """Put the files of the state in the place of the folder's own, which are kept aside. Each is done once."""
    aside = paths.standby / f"replaced-{term}"
    with failures_named(aside, "the folder cannot be changed"):
        make_folder(aside)
        for top in (name for name in FOLLOWED if name not in _KEPT_HERE):
            done = aside / f".{top}.done"
            if done.exists():
                continue
            for name in (top, f"{top}-wal", f"{top}-shm"):
                own = paths.root / name
                if own.exists() and not (aside / name).exists():
                    own.rename(aside / name)
            _copy(stage.root / top, paths.root / top)
            sync_folder(paths.root)
            done.touch(0o600)
            sync_folder(aside)


def _copy(source: Path, target: Path) -> None:
    if target.is_dir():  # half copied, before a power cut
        shutil.rmtree(target)
    partial = target.with_name(f".{target.name}.part")
    if partial.is_dir():
        shutil.rmtree(partial)
    if source.is_dir():
        shutil.copytree(source, partial)
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            sync_folder(folder)
        partial.rename(target)
    elif source.is_file():
        shutil.copyfile(source, partial)
        partial.chmod(0o600)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(target)


def _begin(paths: StationPaths, role: Role, word: terms.Word, owners: Sequence[str]) -> Role:
    """Record it, shut imports where the ledger is not proven current, and be the primary."""
    with failures_named(paths.audit_head, "the note of the log's head cannot be removed"):
        forget_head(paths)
    detail = {
        "term": word.term, "node": word.node, "state": f"{role.term}/{role.number}", "created": role.created,
        "head": word.head, "people": list(owners), "proven": role.final,
    }  # fmt: skip
    with recorded(paths.root, Act.STANDBY_PROMOTE, role.site, detail):
        if not role.final:
            at = clock.now()
            why = f"promoted to term {word.term} from the state of {role.created}"
            said: dict[str, Any] = {"why": why, "heads": [], "receipt": None, "at": at}
            with recorded(paths.root, Act.RESTORE, role.site, said):
                shut_imports(paths, actor(), at)
        accept(paths)
        role = changed(paths, role, role=PRIMARY, term=word.term, final=False, heard="", primary="", fault="")
    exchange = Exchange(Path(role.exchange))
    if role.exchange and exchange.folder.is_dir():
        try:
            terms.publish(paths.standby / "terms", exchange.terms)
        except LockgateError as error:
            return changed(paths, role, fault=error.diagnostics()[:1000])
    return role
