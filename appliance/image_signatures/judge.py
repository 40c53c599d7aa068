"""Whether what a repository shows may be pulled, by the policy for images. Blocking: a worker asks it in a thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.gates.evaluate import evaluate
from appliance.gates.looking import Looking
from appliance.gates.wanted import rules_of
from appliance.image_signatures.evidence import holds_documents, is_evidence, lists_evidence
from appliance.image_signatures.naming import Remembered, TooManyError, naming
from appliance.image_signatures.policy_in_force import Gates, PolicyInForce, Rules
from appliance.image_signatures.rules import asks, objection
from appliance.image_signatures.search import Search
from appliance.limits import image_signatures as limits
from appliance.paths import StationPaths
from appliance.registry.pull_policy import Objection
from appliance.store.ports import Blobs
from appliance.store.reads.registry import Metadata
from appliance.store.writes.rows import Kind
from bundles.errors import FailedError, LockgateError, NotFoundError
from bundles.image_signatures.pins import Pins
from bundles.limits import OCI_MANIFEST
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest, parse_manifest

Key = tuple[str, Digest]
Shut = tuple[str, str, tuple[str, ...]]
"""Why a gate is not passed, what would open it, and each rule of it that is not met."""


class _AlteredError(FailedError):
    """A manifest's file holds other bytes."""


@dataclass(frozen=True, slots=True)
class Known:
    """A verdict about a pull: for the repository as it stood at `change`, and until `until` (time.monotonic)."""

    change: int
    until: float
    objection: Objection | None

    def counts(self, change: int, moment: float) -> bool:
        """Whether it still does, where the repository stands at `change`."""
        return self.change == change and moment < self.until


@dataclass(frozen=True, slots=True)
class _Own:
    """What a manifest lacks by itself: by the number of each rule that it does not satisfy, why; and by the number of
    each gate that it does not pass, why and what would open it.

    `evidence`: it is evidence, or lists nothing else, and no rule is about it. `missing`: its bytes are not there.
    """

    change: int
    until: float
    lacks: Mapping[int, str]
    shut: Mapping[int, Shut] = field(default_factory=dict)
    evidence: bool = False
    missing: bool = False


@dataclass(slots=True)
class Judge:
    """Judges by one standing; its memory ends with that. One thread at a time."""

    standing: PolicyInForce
    remembered: Remembered
    _own: dict[Key, _Own] = field(default_factory=dict)
    _manifests: dict[Key, Known] = field(default_factory=dict)
    _looking: tuple[Metadata, Looking] | None = None

    def looking(self, metadata: Metadata) -> Looking:
        """What is known of packages and advisories. Kept: a load of advisories ends the standing."""
        if self._looking is None or self._looking[0] is not metadata:
            self._looking = (metadata, Looking(metadata.connection, index_key(StationPaths(metadata.path.parent))))
        return self._looking[1]

    def verdict(self, blobs: Blobs, metadata: Metadata, repository: str, digest: Digest, kind: Kind) -> Known:
        """The verdict about a manifest or blob that the repository shows."""
        return _Question(self, blobs, metadata, repository).verdict(digest, kind)

    def own(self, key: Key) -> _Own | None:
        """What is known of a manifest by itself."""
        return self._own.get(key)

    def keep_own(self, key: Key, own: _Own) -> None:
        """Keep what was found of a manifest by itself."""
        if len(self._own) >= limits.PULL_VERDICTS:
            self._own.clear()
        self._own[key] = own

    def known(self, key: Key) -> Known | None:
        """What is known of a manifest."""
        return self._manifests.get(key)

    def keep(self, key: Key, known: Known) -> None:
        """Keep the verdict about a manifest."""
        if len(self._manifests) >= limits.PULL_VERDICTS:
            self._manifests.clear()
        self._manifests[key] = known


class _Question:
    """One question about one repository. What changes there while it is answered is another question."""

    def __init__(self, judge: Judge, blobs: Blobs, metadata: Metadata, repository: str) -> None:
        self._judge, self._blobs, self._metadata, self._repository = judge, blobs, metadata, repository
        self._change = metadata.change_of(repository)
        self._rules: Rules = judge.standing.rules(repository)
        self._gates: Gates = judge.standing.gates(repository)
        self._moment = time.monotonic()
        self._until = self._moment + limits.PULL_VERDICT_KEPT
        self._left = limits.PULL_JUDGED

    def verdict(self, digest: Digest, kind: Kind) -> Known:
        """As Judge.verdict."""
        if kind == "manifest":
            return self._manifest(digest)
        found = self._blob(digest)
        if found is not None:
            self._until = min(self._until, self._moment + limits.PULL_OBJECTION_KEPT)
        return Known(self._change, self._until, found)

    def _manifest(self, digest: Digest) -> Known:
        key = (self._repository, digest)
        known = self._judge.known(key)
        if known is None or not known.counts(self._change, self._moment):
            outer, self._until = self._until, self._moment + limits.PULL_VERDICT_KEPT
            found = self._objection(digest)
            if found is not None:
                self._until = min(self._until, self._moment + limits.PULL_OBJECTION_KEPT)
            known = Known(self._change, self._until, found)
            self._judge.keep(key, known)
            self._until = outer
        self._until = min(self._until, known.until)
        return known

    def _objection(self, digest: Digest) -> Objection | None:
        own = self._of(digest)
        lacks = dict(own.lacks)
        answerable = {number for number, rule in self._rules if number in lacks and rule.children == "index"}
        if answerable and not own.missing:
            try:
                for number in self._answered(digest, answerable):
                    del lacks[number]
            except TooManyError as error:
                lacks |= {number: f"{lacks[number]} ({error.what})" for number in answerable}
        return self._first(digest, lacks, own.shut, missing=own.missing)

    def _first(
        self, digest: Digest, lacks: Mapping[int, str], shut: Mapping[int, Shut], *, missing: bool
    ) -> Objection | None:
        """The objection by the first rule or gate that is enforced, else by the first that warns."""
        applied = self._judge.standing.applied
        policy = 0 if applied is None else applied.policy.number
        lacking = [
            Objection(
                enforced=rule.mode == "enforce", digest=str(digest), policy=policy, rule=number, why=lacks[number],
                asks=asks(rule), missing=missing,
            )
            for number, rule in self._rules
            if number in lacks
        ]  # fmt: skip
        pending = tuple(
            f"gate {number}: {line}" for number, _ in self._gates if number in shut for line in shut[number][2]
        )
        lacking += [
            Objection(
                enforced=gate.mode == "enforce", digest=str(digest), policy=policy, rule=number, why=shut[number][0],
                asks=shut[number][1], missing=missing, by="gate", pending=pending,
            )
            for number, gate in self._gates
            if number in shut
        ]  # fmt: skip
        return next((one for one in lacking if one.enforced), lacking[0] if lacking else None)

    def _answered(self, digest: Digest, wanted: set[int]) -> set[int]:
        """Those of the rules that an index above a manifest satisfies. Each index is asked once. Raises
        TooManyError."""
        answered: set[int] = set()
        seen, todo = {digest}, deque([digest])
        while todo and answered != wanted:
            for above in naming(
                self._blobs, self._metadata, self._repository, todo.popleft(), "manifest", self._judge.remembered
            ):
                if above in seen:
                    continue
                seen.add(above)
                todo.append(above)
                self._spend()
                answered |= wanted - self._of(above).lacks.keys()
                if answered == wanted:
                    break
        return answered

    def _blob(self, digest: Digest) -> Objection | None:
        """None where one manifest that names the blob may be pulled, else what the first of them lacks."""
        first: Objection | None = None
        try:
            for above in naming(self._blobs, self._metadata, self._repository, digest, "blob", self._judge.remembered):
                self._spend()
                found = self._manifest(above).objection
                if found is None or not found.enforced:
                    if not self._of(above).evidence or self._is_document(above, digest):
                        return None
                    continue
                first = first or found
            why = "no manifest that names the blob satisfies it" if first else "no manifest names the blob"
        except TooManyError as error:
            why = error.what
        rules = {number: why for number, rule in self._rules if rule.mode == "enforce"}
        gates = {number: (why, "", ()) for number, gate in self._gates if gate.mode == "enforce"}
        return self._first(digest, rules, gates, missing=False)

    def _is_document(self, evidence: Digest, digest: Digest) -> bool:
        """Whether a blob that evidence names is a document. Its layers are; its configuration may be anything."""
        manifest = self._parsed(evidence)[1]
        if any(layer.digest == digest for layer in manifest.layers):
            return True
        try:
            return manifest.config is not None and holds_documents(self._blobs, (manifest.config,))
        except LockgateError:
            return False

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooManyError("too many manifests name it to be judged together")

    def _of(self, digest: Digest) -> _Own:
        key = (self._repository, digest)
        own = self._judge.own(key)
        if own is None or own.change != self._change or own.until <= self._moment:
            own = self._look(digest)
            self._judge.keep_own(key, own)
        self._until = min(self._until, own.until)
        return own

    def _look(self, digest: Digest) -> _Own:
        pins = self._pins()
        ends = min(_seconds_to_change(pins), self._judge.standing.seconds_to_end())
        until = self._moment + min(limits.PULL_VERDICT_KEPT, ends)
        try:
            raw, manifest = self._parsed(digest)
        except (NotFoundError, _AlteredError) as error:
            return self._unread(error.what, missing=True)
        except LockgateError as error:
            return self._unread(error.what)
        self._judge.remembered.note(digest, manifest)
        if self._needs_none(digest, manifest):
            return _Own(self._change, until, {}, evidence=True)
        facts = self._metadata.linked_manifest(self._repository, digest)
        if facts is None:
            return self._unread("the repository does not show it any more")
        try:
            found = Search(self._blobs, self._metadata, self._repository, pins).alone(facts, raw, manifest)
        except LockgateError as error:
            return self._unread(error.what)
        said = ((number, objection(rule, found, pins.at)) for number, rule in self._rules)
        lacks = {number: why for number, why in said if why is not None}
        shut = self._shut(digest, manifest)
        if shut:  # a scan may open it, and nothing else says so
            until = min(until, self._moment + limits.PULL_OBJECTION_KEPT)
        return _Own(self._change, until, lacks, shut)

    def _shut(self, digest: Digest, manifest: Manifest) -> dict[int, Shut]:
        """The gates that a manifest does not pass, each with why, and what would open it. An index names content, and
        is none: each manifest that it names is held against the gates when it is pulled."""
        if manifest.is_index or not self._gates:
            return {}
        shut = self._unmet(digest, manifest, frozenset())
        if shut and (above := self._above(digest)):  # what is said of an index is said of what it names
            shut = self._unmet(digest, manifest, above)
        return shut

    def _unmet(self, digest: Digest, manifest: Manifest, above: frozenset[str]) -> dict[int, Shut]:
        applied, looking = self._judge.standing.applied, self._judge.looking(self._metadata)
        exceptions = () if applied is None else applied.policy.exception
        wanted = rules_of(None if applied is None else applied.policy.content_rule).wanted
        content, now = looking.content(digest, manifest, also=above), clock.now()
        shut = dict[int, Shut]()
        for number, gate in self._gates:
            lines = evaluate(number, gate, self._repository, content, looking.knowledge, exceptions, now, wanted)
            unmet = [line for line in lines if not line.met]
            if unmet:
                more = f", and {len(unmet) - 1} more of its rules" if len(unmet) > 1 else ""
                pending = tuple(f"{line.rule}: {line.why}" for line in unmet)
                shut[number] = f"{unmet[0].rule}: {unmet[0].why}{more}", unmet[0].asks, pending
        return shut

    def _above(self, digest: Digest) -> frozenset[str]:
        """The indexes that name a manifest, as many as may be looked at."""
        remembered, found = self._judge.remembered, set[str]()
        try:
            for above in naming(self._blobs, self._metadata, self._repository, digest, "manifest", remembered):
                self._spend()
                found.add(str(above))
        except TooManyError:
            pass
        return frozenset(found)

    def _unread(self, why: str, *, missing: bool = False) -> _Own:
        until = self._moment + limits.PULL_OBJECTION_KEPT
        lacks, shut = {number: why for number, _ in self._rules}, {number: (why, "", ()) for number, _ in self._gates}
        return _Own(self._change, until, lacks, shut, missing=missing)

    def _needs_none(self, digest: Digest, manifest: Manifest) -> bool:
        def tags() -> list[str]:
            return self._metadata.tags_of(self._repository, digest)

        return is_evidence(self._blobs, manifest, tags) or (
            manifest.is_index and lists_evidence(manifest, tags(), self._is_evidence)
        )

    def _is_evidence(self, digest: Digest) -> bool:
        """Whether a digest is evidence that the repository shows, or nothing that it shows."""
        if self._metadata.linked_manifest(self._repository, digest) is None:
            return True
        try:
            manifest = self._parsed(digest)[1]
        except LockgateError:
            return False
        return is_evidence(self._blobs, manifest, lambda: self._metadata.tags_of(self._repository, digest))

    def _parsed(self, digest: Digest) -> tuple[bytes, Manifest]:
        """Raises NotFoundError, _AlteredError, MalformedError."""
        with self._blobs.open_blob(digest) as file:
            raw = file.read(OCI_MANIFEST + 1)
        if Digest.of(raw, digest.algorithm) != digest:
            raise _AlteredError("its bytes are not its digest's")
        return raw, parse_manifest(raw)

    def _pins(self) -> Pins:
        trust = self._judge.standing.trust
        return Pins((), (), clock.now()) if trust is None else Pins.of(trust, clock.now())


def _seconds_to_change(pins: Pins) -> float:
    """Seconds until a pinned key or root begins or ends to count."""
    now = clock.micros() / 1_000_000
    records = (*pins.keys, *pins.roots)
    begins = (clock.seconds(one.not_before) for one in records if one.not_before is not None)
    ends = (clock.seconds(one.not_after) + 1 for one in records if one.not_after is not None)
    return min((moment - now for moment in (*begins, *ends) if moment > now), default=float("inf"))
