"""What a period of the audit log came to, read once and streaming: memory depends on nothing that callers choose."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import ON_ACCOUNTS, Act
from appliance.limits import station as limits

_REQUEST: Final = re.compile(r"/v2/(.{1,255}?)/(?:manifests|blobs|tags|referrers)/")
_PUSHES: Final = frozenset({Act.PUSH_BLOB, Act.PUSH_MANIFEST, Act.MOUNT_BLOB})
_WRITING: Final = frozenset({"POST", "PUT", "PATCH"})
_ABOUT_REPOSITORIES: Final = _PUSHES | {Act.PULL, Act.REGISTRY_REFUSE, Act.DELETE_MANIFEST, Act.DELETE_TAG}

INCIDENTS: Final = frozenset({
    Act.AUDIT_FOREIGN, Act.READ_ONLY, Act.STORE_AWAY, Act.RESTORE, Act.REBUILD, Act.CLOCK_SET_BACK, Act.CLOCK_SET_AHEAD,
    Act.BLOCK, Act.INTAKE_WITHDRAW, Act.WITHDRAW_DAMAGED, Act.RESTORE_DAMAGED, Act.METADATA_DAMAGED, Act.KEY_REVOKE,
    Act.BREAK_GLASS_OPEN, Act.BREAK_GLASS_RELEASE, Act.STREAM_OVERRIDE, Act.STREAM_RESET, Act.ROLLBACK,
})  # fmt: skip
"""Acts that a review asks about, whatever their outcome; of other acts none is an incident by itself."""

RETENTION: Final = (
    Act.GC, Act.GC_UNLINK, Act.GC_UNTAGGED, Act.GC_EMPTY, Act.DELETE_MANIFEST, Act.DELETE_TAG, Act.DELETE_BLOB,
    Act.AUDIT_PRUNE,
)  # fmt: skip
TRANSFER: Final = (Act.BUNDLE_BUILD, Act.BUNDLE_SIGN, Act.BUNDLE_WRITE, Act.BUNDLE_VOID, Act.SFTP_PUSH, Act.SFTP_PULL,
                   Act.INTAKE_RECEIVE, Act.INTAKE_IMPORT, Act.INTAKE_APPROVE, Act.INTAKE_REJECT, Act.INTAKE_RELEASE,
                   Act.INTAKE_WITHDRAW, Act.RECEIPT_EXPORT, Act.RECEIPT_TAKE)  # fmt: skip


class Most:
    """The names that something happened to most often, of any number, in bounded memory (Metwally, Agrawal and El
    Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005): a name that is not kept takes
    the place of the one that was met least, and its count, which may be that much too high."""

    def __init__(self, kept: int = limits.REPORT_NAMES) -> None:
        self._kept = kept
        self._counts: dict[str, list[int]] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Something happened to a name. Looks through what is kept where the name is new and no place is free."""
        found = self._counts.get(name)
        if found is not None:
            found[0] += count
        elif len(self._counts) < self._kept:
            self._counts[name] = [count, 0]
        else:
            least = min(self._counts, key=lambda one: self._counts[one][0])
            before = self._counts.pop(least)[0]
            self._counts[name] = [before + count, before]

    def first(self, most: int) -> list[tuple[str, int, int]]:
        """The most frequent: name, count, and by how much that may be too high."""
        found = sorted(self._counts.items(), key=lambda one: (-one[1][0], one[0]))
        return [(name, count, over) for name, (count, over) in found[:most]]


@dataclass(slots=True)
class Tally:
    """The counts of a period, from one time on and before another ("YYYY-MM-DDTHH:MM:SSZ")."""

    since: str
    until: str
    events: int = 0
    acts: Counter[tuple[str, str]] = field(default_factory=Counter)
    denied: Most = field(default_factory=Most)
    failed_pushes: Most = field(default_factory=Most)
    pulled: Most = field(default_factory=Most)
    refused: Most = field(default_factory=Most)
    incidents: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=limits.REPORT_INCIDENTS))
    incident_count: int = 0
    came: int = 0
    collected: int = 0

    def take(self, events: Iterable[Mapping[str, Any]], stop: str) -> None:
        """Count events that come newest first. Ends at one from before `stop`, which lies well before `since`: clocks
        were set, and lanes are by their own order."""
        for event in events:
            time = str(event["time"])
            if time < stop:
                return
            if self.since <= time < self.until:
                self._take(event)

    def count(self, act: Act) -> tuple[int, int, int]:
        """How often an act was done, refused and failed."""
        return self.acts[act, "done"], self.acts[act, "refused"], self.acts[act, "failed"]

    def account_changes(self) -> list[Act]:
        """The acts on accounts that there were."""
        return [act for act in sorted(ON_ACCOUNTS) if any(self.count(act))]

    def _take(self, event: Mapping[str, Any]) -> None:
        act, outcome, detail = str(event["act"]), str(event["outcome"]), event["detail"]
        times = _number(detail.get("repeated"), 1)
        self.events += 1
        if outcome in ("done", "refused", "failed") and act in _ACTS:
            self.acts[act, outcome] += times
        if outcome != "done":
            self._went_wrong(event, act, detail, times)
        elif act == Act.PULL:
            self.pulled.add(_repository(str(event["thing"])), _number(detail.get("count"), 1))
        elif act == Act.PUSH_BLOB:
            self.came += _number(detail.get("size"), 0)
        elif act == Act.INTAKE_IMPORT:
            self.came += _number(detail.get("bytes"), 0)
        elif act == Act.GC:
            self.collected += _number(detail.get("bytes"), 0)
        if act in INCIDENTS:
            self.incident_count += 1
            if len(self.incidents) < limits.REPORT_INCIDENTS:  # the newest come first
                self.incidents.append(dict(event))

    def _went_wrong(self, event: Mapping[str, Any], act: str, detail: Mapping[str, Any], times: int) -> None:
        if event["outcome"] == "refused":
            self.refused.add(str(event["actor"])[:200], times)
        if act not in _ABOUT_REPOSITORIES:
            return
        name = _repository(str(event["thing"]))
        if not name:
            return
        self.denied.add(name, times)
        if act in _PUSHES or detail.get("method") in _WRITING:
            self.failed_pushes.add(name, times)


_ACTS: Final = frozenset(map(str, Act))


def _repository(thing: str) -> str:
    """The repository of an event about the registry: of its path, else of its reference; "" for none, as of a request
    of the control socket ("GET /v1/repositories")."""
    if " " in thing:
        return ""
    if thing.startswith("/"):
        found = _REQUEST.match(thing + "/")
        return found[1] if found else ""
    name = thing.partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    return (repository if colon and "/" not in tag else name)[:255]


def _number(said: object, default: int) -> int:
    """A number of an event's detail, which older versions may have written otherwise."""
    text = str(said)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default
