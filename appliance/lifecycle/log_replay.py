"""What an outside's audit log says happened, for a rebuild: its acts replayed in the order that the log proves.

Only what the station itself wrote counts, and an act that was recorded and taken back did not happen. What a prune took
from the log is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from appliance.audit.acts import ON_ACCOUNTS, STARTED_KIND, TAKES_A_TAG, Act, mark, read_act
from appliance.audit.checkpoints import own_checkpoints
from appliance.audit.event_order import EventOrder
from appliance.audit.reading import is_pruned, own_events, own_oldest
from appliance.lifecycle.undecided_order import Doubts, Key
from appliance.paths import StationPaths
from appliance.release_check.log_facts import attached_by
from appliance.store.writes.rebuild import BundleRow, JobRow
from appliance.store.writes.rows import Kind
from appliance.store.writes.sites import SiteRow
from bundles.errors import FailedError, to_wire
from bundles.io.display import some
from bundles.oci.manifest import MANIFEST_TYPES, Manifest

_BUNDLE: Final = re.compile(r"(?P<stream>[a-z0-9-]+\.[a-z0-9-]+)-(?P<sequence>[0-9]{6,})\Z")
_MADE: Final = (Act.BUNDLE_BUILD, Act.BUNDLE_WRITE, Act.BUNDLE_SIGN, Act.BUNDLE_RECUT)
_BUNDLES: Final = (*_MADE, Act.BUNDLE_VOID, Act.WANTS_TAKE)
_MANIFESTS: Final = (Act.PUSH_MANIFEST, Act.COPY_MANIFEST, Act.CACHE_MANIFEST)
_PUSHES: Final = (Act.PUSH_BLOB, Act.MOUNT_BLOB, Act.CACHE_BLOB, *_MANIFESTS)
_CACHED: Final = (Act.CACHE_BLOB, Act.CACHE_MANIFEST)
_CLOSURES: Final = (*sorted(TAKES_A_TAG), Act.SBOM_ATTACH, Act.SIGNATURE_ATTACH)
_ENDS: Final = (Act.DELETE_BLOB, Act.DELETE_MANIFEST, Act.DELETE_TAG, Act.GC_UNLINK, Act.GC_UNTAGGED)
_MANIFESTS_END: Final = (Act.DELETE_MANIFEST, Act.GC_UNTAGGED)
_LOST: Final = FailedError(
    "how the job ended was lost with the database", remedy="see its log in the station's folder, start it again"
)
LOST_JOB: Final = json.dumps({**to_wire(_LOST), "exit_status": _LOST.exit_status})
"""The error of a job whose end nothing tells."""


@dataclass(slots=True)
class RepositoryByLog:
    """What a repository shows by the log: links by (digest, kind) and tags, each with its time, and what was taken away
    last; what it is `upstream` where a cache fills it."""

    links: dict[tuple[str, Kind], str] = field(default_factory=dict)
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    deleted: set[tuple[str, Kind]] = field(default_factory=set)
    untagged: set[str] = field(default_factory=set)
    upstream: str = ""

    def show(self, digest: str, kind: Kind, at: str) -> None:
        """Content is shown."""
        self.links.setdefault((digest, kind), at)
        self.deleted.discard((digest, kind))

    def hide(self, digest: str, kind: Kind) -> None:
        """Content is taken away, and every tag on a manifest with it."""
        self.links.pop((digest, kind), None)
        self.deleted.add((digest, kind))
        if kind == "manifest":
            for tag in [tag for tag, (target, _) in self.tags.items() if target == digest]:
                self.untag(tag)

    def tag(self, name: str, digest: str, at: str) -> None:
        """A tag is set."""
        self.tags[name] = (digest, at)
        self.untagged.discard(name)

    def untag(self, name: str) -> None:
        """A tag is taken away."""
        self.tags.pop(name, None)
        self.untagged.add(name)


@dataclass(slots=True)
class Logged:
    """The log's word. `streams`: bundles by sequence, by stream. `blocks`: why, who and when by digest, None where the
    block was taken back. `accounts`: each change of an account, as (time, act, account). `taken`: receipts and
    want-lists. `sites`: the list of destinations, those too that were taken off. `gaps`: content of collects that
    nothing names any more. `whole`: nothing was pruned."""

    repositories: dict[str, RepositoryByLog] = field(default_factory=dict)
    streams: dict[str, dict[int, BundleRow]] = field(default_factory=dict)
    blocks: dict[str, tuple[str, str, str] | None] = field(default_factory=dict)
    jobs: dict[str, JobRow] = field(default_factory=dict)
    accounts: list[tuple[str, Act, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    sites: dict[str, SiteRow] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    whole: bool = True


Read = Callable[[str], Manifest | None]
"""A manifest by its digest; None where its bytes are not held whole."""


def replay(paths: StationPaths, read: Read) -> Logged:
    """Replay the whole log. Raises FailedError where it cannot be read."""
    return _Replay(paths, read).run()


class _Replay:
    def __init__(self, paths: StationPaths, read: Read) -> None:
        self._paths, self._read = paths, read
        self._found = Logged()
        self._order = EventOrder(own_checkpoints(paths))
        self._doubts = Doubts(self._order)

    def run(self) -> Logged:
        foreign: set[str] = set()
        void, failed = self._void(foreign)
        found = self._found
        found.whole = not is_pruned(self._paths.audit)
        for event in own_oldest(self._paths, [b'"outcome":"done"'], {}, foreign, self._order.key):
            act = read_act(event["act"])
            if act is None or event["outcome"] != "done" or (event["lane"], event["seq"]) in void:
                continue
            if act != Act.PULL:
                self._place = self._order.place(event)
                self._apply(act, str(event["thing"]), str(event["time"]), event)
        for job, error in failed.items():
            if job in found.jobs and found.jobs[job].state != "cancelled":
                found.jobs[job] = _with(found.jobs[job], "failed", error)
        for key, values in self._doubts.found():
            self._doubt(key, values)
        return found

    def _doubt(self, key: Key, values: list[str]) -> None:
        """Take neither word for a tag, show what may be shown; and say so. Blocks are acts of people: a checkpoint is
        signed after each."""
        found, said = (
            self._found,
            "several lanes of the audit log tell of it, in a time in which the clock was set back",
        )
        match key:
            case "tag", repository, tag:
                shown = found.repositories[repository]
                shown.tags.pop(tag, None)
                shown.untagged.discard(tag)
                words = " or ".join(value or "was deleted" for value in values)
                found.gaps.append(f"{repository}:{tag}: {words}; {said}: set it again")
            case "link", repository, digest, kind:
                at = next(iter(found.repositories[repository].links.values()), "")
                found.repositories[repository].show(digest, "manifest" if kind == "manifest" else "blob", at)
                found.gaps.append(
                    f"{repository}@{digest}: shown, or deleted; {said}: it is shown, delete it if it is not wanted"
                )

    def _void(self, foreign: set[str]) -> tuple[set[tuple[int, int]], dict[str, str]]:
        """The events that were taken back, and the failures that stand under a job's id."""
        void: set[tuple[int, int]] = set()
        back: set[tuple[int, str, str]] = set()
        failed: dict[str, str] = {}
        for event in own_events(self._paths, without=mark(Act.PULL), foreign=foreign):
            self._order.note(event)
            key = (int(event["lane"]), str(event["act"]), str(event["thing"]))
            if event["outcome"] != "done":
                if event["detail"].get("takes_back"):
                    back.add(key)
                failed.setdefault(key[2], str(event["detail"].get("reason", "")))
            elif key in back:
                back.discard(key)
                void.add((event["lane"], event["seq"]))
        return void, failed

    def _apply(self, act: Act, thing: str, at: str, event: dict[str, Any]) -> None:
        detail = event["detail"]
        if act in _PUSHES:
            self._push(act, thing, at, detail)
        elif act in _CLOSURES:
            self._closure(act, thing, at, detail)
        elif act in _ENDS:
            self._end(act, thing, detail)
        elif act in _BUNDLES:
            self._bundle(act, thing, at, detail)
        elif act == Act.BLOCK:
            self._found.blocks[thing] = (str(detail.get("why", "")), str(event["actor"]), str(detail.get("at", at)))
        elif act == Act.UNBLOCK:
            self._found.blocks[thing] = None
        elif act in STARTED_KIND:
            params = detail.get("params")
            if STARTED_KIND[act] == "build" and isinstance(params, dict) and params.get("new_site") is True:
                self._site(str(params.get("to")), event, listed=True)
            self._found.jobs[thing] = JobRow(
                id=thing, kind=STARTED_KIND[act], params=json.dumps(detail.get("params", {})),
                actor=str(event["actor"]), created=at, state="failed", error=LOST_JOB,
            )  # fmt: skip
        elif act == Act.JOB_CANCEL and thing in self._found.jobs:
            self._found.jobs[thing] = _with(self._found.jobs[thing], "cancelled", "it was cancelled")
        elif act == Act.RECEIPT_TAKE:
            self._found.taken.append(f"receipt {detail.get('number', '?')} of {thing}, taken {at}")
            self._receipt(detail)
        elif act in (Act.SITE_ADD, Act.SITE_REMOVE):
            self._site(thing, event, listed=act == Act.SITE_ADD)
        elif act in ON_ACCOUNTS:
            self._found.accounts.append((at, act, thing))

    def _shown(self, repository: str) -> RepositoryByLog:
        return self._found.repositories.setdefault(repository, RepositoryByLog())

    def _show(self, repository: str, digest: str, kind: Kind, at: str) -> None:
        self._shown(repository).show(digest, kind, at)
        self._doubts.note(("link", repository, digest, kind), "shown", self._place)

    def _hide(self, repository: str, digest: str, kind: Kind) -> None:
        shown = self._shown(repository)
        if kind == "manifest":
            self._doubts.replace(self._place, ("tag", repository), digest, "")
        shown.hide(digest, kind)
        self._doubts.note(("link", repository, digest, kind), "hidden", self._place)

    def _tag(self, repository: str, tag: str, digest: str, at: str) -> None:
        self._shown(repository).tag(tag, digest, at)
        self._doubts.note(("tag", repository, tag), digest, self._place)

    def _push(self, act: Act, thing: str, at: str, detail: dict[str, Any]) -> None:
        repository, _, digest = thing.partition("@")
        if act in _CACHED:
            self._shown(repository).upstream = str(detail.get("upstream", ""))
        self._show(repository, digest, "manifest" if act in _MANIFESTS else "blob", at)
        for tag in str(detail.get("tags", "")).split() if act in _MANIFESTS else ():
            self._tag(repository, tag, digest, at)

    def _closure(self, act: Act, thing: str, at: str, detail: dict[str, Any]) -> None:
        """What a collect, a replica, an SBOM or a signature made visible: what the event names, and all that these
        manifests name."""
        name, _, pinned = thing.partition("@")
        repository, _, tag = (name, "", "") if pinned else name.rpartition(":")
        root = str(detail.get("digest", ""))
        more = detail.get("referrers")
        roots, seen = [root, *(map(str, more) if isinstance(more, list) else ())], set[str]()
        left = detail.get("left_out")
        left_out = frozenset(map(str, left)) if isinstance(left, list) else frozenset[str]()
        while roots:
            digest = roots.pop()
            if digest in seen:
                continue
            seen.add(digest)
            self._show(repository, digest, "manifest", at)
            manifest = self._read(digest)
            for child in manifest.manifests if manifest is not None else ():
                if child.media_type in MANIFEST_TYPES:
                    roots += [] if str(child.digest) in left_out else [str(child.digest)]
                else:
                    self._show(repository, str(child.digest), "blob", at)
            for blob in manifest.blobs if manifest is not None else ():
                self._show(repository, str(blob.digest), "blob", at)
        for each, where in attached_by(detail).items():
            self._tag(repository, each, where, at)
        if act in TAKES_A_TAG:
            if tag:
                self._tag(repository, tag, root, at)
            count = detail.get("manifests")
            if isinstance(count, int) and count > len(seen):
                gap = f"{some(count - len(seen), 'manifest')} that were collected with {thing}: collect it again"
                self._found.gaps.append(gap)

    def _end(self, act: Act, thing: str, detail: dict[str, Any]) -> None:
        if act == Act.DELETE_TAG:
            repository, _, tag = thing.rpartition(":")
            self._shown(repository).untag(tag)
            self._doubts.note(("tag", repository, tag), "", self._place)
            return
        repository, _, digest = thing.partition("@")
        many = detail.get("digests")
        for each in map(str, many) if isinstance(many, list) else [digest]:
            self._hide(repository, each, "manifest" if act in _MANIFESTS_END else "blob")

    def _bundle(self, act: Act, thing: str, at: str, detail: dict[str, Any]) -> None:
        match = _BUNDLE.match(thing)
        if match is None:
            return
        bundles, sequence = self._found.streams.setdefault(match["stream"], {}), int(match["sequence"])
        if act == Act.BUNDLE_VOID and "job" in detail:  # one number, which nobody had signed
            bundles[sequence] = BundleRow(sequence=sequence, digest=None, state="voided", job=str(detail["job"]), at=at)
        elif act in _MADE:
            state = "written" if act in (Act.BUNDLE_BUILD, Act.BUNDLE_RECUT) else "signed"
            digest = str(detail["digest"]) if "digest" in detail else None
            note_bundle(bundles, BundleRow(sequence=sequence, digest=digest, state=state, job="rebuild", at=at))
        else:  # that bundle cannot come in, nor any later one of the stream
            for one in [one for number, one in bundles.items() if number >= sequence]:
                bundles[one.sequence] = msgspec.structs.replace(one, state="voided")

    def _site(self, site: str, event: dict[str, Any], *, listed: bool) -> None:
        self._found.sites[site] = SiteRow(site=site, listed=listed, actor=str(event["actor"]), at=str(event["time"]))

    def _receipt(self, detail: dict[str, Any]) -> None:
        """A receipt told that void bundles are inside, so that they count again, and voided what they shut out."""
        for name, state in (("back", "written"), ("voided", "voided")):
            for bundle in map(str, detail.get(name) or ()):
                match = _BUNDLE.match(bundle)
                known = None if match is None else self._found.streams.get(match["stream"], {})
                if match is not None and known and (row := known.get(int(match["sequence"]))) is not None:
                    known[row.sequence] = msgspec.structs.replace(row, state=state)


def note_bundle(bundles: dict[int, BundleRow], new: BundleRow) -> None:
    """Add what is said of a bundle to what is known of it: a state never goes back, a digest is never forgotten."""
    known = bundles.get(new.sequence)
    if known is not None:
        state = max(known.state, new.state, key=("", "signed", "written", "voided").index)
        job = known.job if new.job == "rebuild" else new.job
        new = msgspec.structs.replace(new, state=state, digest=new.digest or known.digest, job=job, at=known.at)
    bundles[new.sequence] = new


def _with(job: JobRow, state: str, reason: str) -> JobRow:
    error = FailedError(reason, thing=job.id)
    text = json.dumps({**to_wire(error), "exit_status": error.exit_status})
    return msgspec.structs.replace(job, state=state, error=text)
