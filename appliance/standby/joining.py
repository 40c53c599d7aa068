"""A folder becomes a stand-by: a copy of the primary, or a former primary. And a primary that is stopped says its last
word, by which the ledger of who is promoted from it is proven current."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.audit.seals import audit_key
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.standby.documents import ENDING, FENCED, PRIMARY, PROMOTING, STANDBY, Role
from appliance.standby.exchange import Exchange
from appliance.standby.role import (
    changed,
    find_role,
    new_role,
    require_in_folder,
    require_own_account,
    require_role,
    write_role,
)
from appliance.standby.sending import Sender, later_term
from appliance.station import station_lock
from appliance.store.presence import settle
from bundles.documents.audit_log import checkpoint_lines, head_name, lines_of, segments
from bundles.errors import RefusedError, UsageError

_THINGS = 20
"""Acts that are named of those that a former primary leaves behind."""


@dataclass
class LeftBehind:
    """What a former primary recorded that the promoted one does not know: acts that were done, counted, and what the
    first were about, without pulls."""

    acts: Counter[str] = field(default_factory=Counter)
    things: list[str] = field(default_factory=list)


def join(root: Path, folder: Path) -> tuple[Role, LeftBehind]:
    """Make a folder that is not started a stand-by of who writes to the exchange in `folder`; and what it leaves
    behind. Raises RefusedError where that would not follow it, UsageError, FailedError."""
    paths = StationPaths(root)
    config = load_config(paths.config)
    if config.side != "inside":
        raise UsageError("an outside station has no stand-by", thing=config.site, remedy="see: lockgate replica list")
    require_in_folder(paths)
    require_own_account(root)
    exchange = Exchange(folder)
    with station_lock(paths):
        exchange.require()
        try:
            role = find_role(paths, config.site)
        except RefusedError:
            role = None  # a document that does not hold says nothing: what the exchange says counts
        if role is not None and role.role in (PROMOTING, ENDING):
            require_role(root, role, PRIMARY, STANDBY, FENCED)
        if role is not None and role.role == STANDBY:  # of which a copy was made, or whose exchange is another now
            return changed(paths, role, node=_new_node(config.site), exchange=str(folder), fault=""), LeftBehind()
        state = exchange.state(audit_key(paths).public, config.site)
        if state is None:
            raise RefusedError(
                "the primary has written no state yet", thing=str(folder),
                remedy="give its config.toml a [standby], and start it", code="standby-no-state",
            )  # fmt: skip
        role = role or new_role(config.site, str(folder))
        heads = _heads(paths.audit)
        word = later_term(paths, role, exchange)
        since = word.head if word is not None else heads[-1] if heads else ""
        if state.term < role.term:
            raise RefusedError(
                "the exchange has an older state than this folder", thing=f"term {state.term} for {role.term}",
                remedy="name the exchange that the primary writes to", code="standby-older",
            )  # fmt: skip
        if since not in heads:
            raise RefusedError(
                "this folder's log does not hold the head from which the other station went on", thing=since or "none",
                remedy="make the stand-by anew, of a copy of the primary's whole folder", code="standby-log",
            )  # fmt: skip
        settle(paths, named=False)  # a copy's folders are others than those that were copied, and may be empty
        left = left_behind(paths.audit, since)
        detail = {"exchange": str(folder), "head": since, "left": dict(left.acts)}
        with recorded(root, Act.STANDBY_JOIN, config.site, detail):
            role = write_role(
                paths,
                Role(
                    site=config.site, node=_new_node(config.site), role=STANDBY, term=role.term, head=since,
                    exchange=str(folder),
                ),
            )  # fmt: skip
    return role, left


def _new_node(site: str) -> str:
    return new_role(site, "").node


def demote(root: Path) -> Role:
    """End a primary that is stopped: its last state, said to be that. Cut off, the same command goes on. Raises
    RefusedError, FailedError."""
    paths = StationPaths(root)
    config = load_config(paths.config)
    require_own_account(root)
    with station_lock(paths):
        role = require_role(root, find_role(paths, config.site), PRIMARY, ENDING)
        folder = Path(config.standby.exchange or role.exchange)
        if role.role == PRIMARY:
            if Sender(root, folder).send().role == FENCED:  # what is large goes before the end is said
                return changed(paths, require_role(root, find_role(paths, config.site), FENCED))
            with recorded(root, Act.STANDBY_DEMOTE, config.site, {"term": role.term}):
                changed(paths, require_role(root, find_role(paths, config.site), PRIMARY), role=ENDING)
        role = Sender(root, folder).send(final=True)
        if role.role == FENCED:
            return role
        return changed(paths, role, role=STANDBY, number=0, primary=role.node, created="", heard="")


def left_behind(audit: Path, head: str) -> LeftBehind:
    """What a log has behind the checkpoint `head`. Raises FailedError."""
    lanes: dict[int, int] = {}
    for line in checkpoint_lines(audit):
        number, lanes_then = _said(line)
        if head_name(number, line) == head:
            lanes = lanes_then
    found = LeftBehind()
    for segment in segments(audit):
        for line in lines_of(segment.path):
            event = _event(line)
            if event is None or event["seq"] <= lanes.get(segment.lane, 0) or event["outcome"] != "done":
                continue
            found.acts[event["act"]] += 1
            if event["act"] != Act.PULL and len(found.things) < _THINGS:
                found.things.append(f"{event['act']} {event['thing']}")
    return found


def _heads(audit: Path) -> list[str]:
    return [head_name(_said(line)[0], line) for line in checkpoint_lines(audit)]


def _said(line: bytes) -> tuple[int, dict[int, int]]:
    """A checkpoint's number, and each lane's last event. Whose it is, its head says."""
    try:
        checkpoint = json.loads(line)["checkpoint"]
        return int(checkpoint["number"]), {int(one["lane"]): int(one["seq"]) for one in checkpoint["lanes"]}
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0, {}


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
        return {
            "seq": int(event["seq"]), "act": str(event["act"]), "thing": str(event["thing"]),
            "outcome": str(event["outcome"]),
        }  # fmt: skip
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
