"""The transactions of people: approval, rejection, release. Content becomes visible in `Release` and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.api.states import DECIDABLE
from appliance.store.ports import Connection
from appliance.store.reads.bases import unserved
from appliance.store.reads.tag_claims import claims_on_tags, foreign_claim
from appliance.store.writes.caches import refuse_cached
from appliance.store.writes.claims import claim_links, claim_tags
from appliance.store.writes.content import ManifestRow, ensure_repositories, record_manifests
from appliance.store.writes.entries import IntakeEntry, entry_of, last_step, move, not_approved, not_decidable
from appliance.store.writes.registry import tag_stays
from appliance.store.writes.rows import Kind, link_all, set_tags, tag_targets
from appliance.store.writes.write import Write
from bundles.errors import FailedError, RefusedError
from bundles.people import count


def _decidable(db: Connection, digest: str, report_digest: str) -> IntakeEntry:
    """The entry, where people may still decide about it by this report."""
    entry = entry_of(db, digest)
    if entry.state not in DECIDABLE:
        raise not_decidable(entry.id, entry.state)
    if entry.report_digest != report_digest:
        raise RefusedError("the inspection report changed", thing=entry.id, remedy="read it again, then decide")
    return entry


class SignedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A person's signed document, whose signature the caller verified, and whose it is.

    `sealed`: by a key that is kept sealed for emergencies, and counts among its like alone.
    """

    keyid: str
    owner: str
    document: str
    signature: bytes
    sealed: bool = False


def _keep(db: Connection, digest: str, decision: SignedDecision, actor: str, at: str) -> None:
    db.execute(
        "INSERT INTO approvals (digest, keyid, owner, document, signature, created, sealed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest, keyid) DO UPDATE SET owner = excluded.owner,"
        " document = excluded.document, signature = excluded.signature, created = excluded.created,"
        " sealed = excluded.sealed",
        (digest, decision.keyid, decision.owner, decision.document, decision.signature, at, decision.sealed),
    )
    db.execute(
        "INSERT INTO decisions (digest, keyid, owner, document, signature, actor, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest, decision.keyid, decision.owner, decision.document, decision.signature, actor, at),
    )


class Approve(Write, frozen=True):
    """A person's approval; enough of them, of distinct owners, make the bundle `approved`. The result is its state."""

    digest: str
    report_digest: str
    decision: SignedDecision
    needed: int
    actor: str
    at: str

    def apply(self, db: Connection) -> str:
        entry = _decidable(db, self.digest, self.report_digest)
        _keep(db, self.digest, self.decision, self.actor, self.at)
        owners = db.execute(
            "SELECT owner FROM approvals WHERE digest = ? AND sealed = ?", (self.digest, self.decision.sealed)
        )
        given = count(owner for (owner,) in owners)
        if entry.state != "approved" and given >= max(self.needed, 1):
            move(db, self.digest, entry, "approved", self.actor, self.at)
            return "approved"
        return entry.state


class Reject(Write, frozen=True):
    """A person's rejection, final for this bundle: one is enough, whatever was approved before. What it kept may be
    swept. The result is its state."""

    digest: str
    report_digest: str
    decision: SignedDecision
    why: str
    actor: str
    at: str

    def apply(self, db: Connection) -> str:
        entry = _decidable(db, self.digest, self.report_digest)
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        _keep(db, self.digest, self.decision, self.actor, self.at)
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))
        move(db, self.digest, entry, "rejected", self.actor, self.at, self.why)
        return "rejected"


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that a release shows: its manifest, the blobs it names, and its tags."""

    repository: str
    manifest: ManifestRow
    blobs: tuple[str, ...]
    tags: tuple[str, ...]


class Release(Write, frozen=True):
    """Quarantined content becomes visible: links, then tags, in this one transaction.

    `approved_by` are the keys whose approvals the caller verified anew; they must be of `needed` distinct owners.
    `whole` says whether nothing of the bundle is left to release afterwards; `sealed` that these are keys from sealed
    envelopes, each of which opens once. `requires` are the digests that the bundle does not carry: each must be served
    here already. `may_move` are the repositories in which the policy lets the bundle's source move other sources' tags,
    `stays` the tags (repository, tag) of immutable stages, which move nowhere.
    """

    digest: str
    report_digest: str
    approved_by: tuple[str, ...]
    needed: int
    artifacts: tuple[Released, ...]
    actor: str
    at: str
    whole: bool = True
    sealed: bool = False
    requires: tuple[str, ...] = ()
    may_move: tuple[str, ...] = ()
    stays: tuple[tuple[str, str], ...] = ()

    def apply(self, db: Connection) -> None:
        entry = self._approved(db)
        if absent := unserved(db, self.requires):
            raise FailedError(
                "the bundle stands on content that is not released here any more",
                thing=f"{entry.id}: {absent[0]}",
                remedy="release it again: that names what must be released first",
            )
        refuse_cached(db, (artifact.repository for artifact in self.artifacts))
        repositories = ensure_repositories(db, (artifact.repository for artifact in self.artifacts), self.at)
        record_manifests(db, [artifact.manifest for artifact in self.artifacts], self.at)
        self._show(db, repositories)
        self._tag(db, entry, repositories)
        if self.whole:
            db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))  # the links keep it from now on
        if self.sealed:
            self._unseal(db, entry)
        note = "" if self.whole else "in part: " + ", ".join(
            sorted({artifact.repository for artifact in self.artifacts})[:20]
        )  # fmt: skip
        move(db, self.digest, entry, "released", self.actor, self.at, note)

    def _show(self, db: Connection, repositories: Mapping[str, int]) -> None:
        """Claim and make every link. In the order of their keys, so that the indexes grow at one place."""
        items: set[tuple[str, Kind, str]] = set()
        for artifact in self.artifacts:
            items.add((artifact.repository, "manifest", artifact.manifest.blob.digest))
            items.update((artifact.repository, "blob", blob) for blob in artifact.blobs)
        links = [(repositories[repository], repository, kind, item) for repository, kind, item in sorted(items)]
        claim_links(db, self.digest, links, self.at)
        link_all(db, ((number, item, kind) for number, _, kind, item in links), self.at)

    def _tag(self, db: Connection, entry: IntakeEntry, repositories: Mapping[str, int]) -> None:
        targets = {
            (artifact.repository, tag): artifact.manifest.blob.digest
            for artifact in self.artifacts
            for tag in artifact.tags
        }
        before = tag_targets(db, targets)
        damaged = [name for name, target in before.items() if target is None]
        for name, claims in claims_on_tags(db, damaged):  # it stood where its newest release had put it
            before[name] = claims[-1].digest if claims else None
        for name in self.stays:
            if before.get(name) not in (None, targets.get(name)):
                raise tag_stays(":".join(name))
        asked = [
            name for name, target in targets.items() if before.get(name) != target and name[0] not in self.may_move
        ]
        for (repository, tag), claims in claims_on_tags(db, asked):
            owner = foreign_claim(claims, entry.stream.partition(".")[0])
            if owner is not None:
                raise RefusedError(
                    "the tag was released from another source meanwhile",
                    thing=f"{entry.id}: {repository}:{tag}, which {owner.bundle} put at {owner.digest}",
                    remedy="release it again: that says what is to be done",
                )
        tags = [(*name, target, before.get(name)) for name, target in sorted(targets.items())]
        set_tags(db, ((repositories[repository], tag, target) for repository, tag, target, _ in tags), self.at)
        claim_tags(db, self.digest, tags, self.at)

    def _unseal(self, db: Connection, entry: IntakeEntry) -> None:
        for keyid in self.approved_by:
            used = db.execute(
                "INSERT INTO sealed_keys_used (keyid, digest, id, at, actor) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (keyid, self.digest, entry.id, self.at, self.actor),
            ).rowcount
            if not used:
                raise RefusedError("a sealed key opens once", thing=keyid, remedy="seal a new key, and name it")

    def _approved(self, db: Connection) -> IntakeEntry:
        entry = entry_of(db, self.digest)
        rest = entry.state == "released" and bool(
            db.execute("SELECT 1 FROM pins WHERE bundle = ?", (self.digest,)).fetchone()
        )
        if entry.state != "approved" and not rest:
            raise not_approved(entry.id, entry.state)
        if entry.report_digest != self.report_digest:
            raise RefusedError("the inspection report changed", thing=entry.id, remedy="approve it anew")
        if last_step(db, self.digest) != entry.state:
            raise RefusedError(
                f"the record of steps says {last_step(db, self.digest)}, not {entry.state}",
                thing=entry.id,
                remedy="the database was changed by hand: see the audit log",
            )
        stored = dict(
            db.execute("SELECT keyid, owner FROM approvals WHERE digest = ? AND sealed = ?", (self.digest, self.sealed))
        )
        owners = count(stored[keyid] for keyid in self.approved_by if keyid in stored)
        if owners < max(self.needed, 1):
            raise RefusedError(
                f"{owners} of {self.needed} approvals count", thing=entry.id, remedy="have it approved again"
            )
        return entry
