"""Release: everything that must hold at the moment quarantined content becomes visible, checked anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance import clock
from appliance.intake import approvals
from appliance.intake.approval_rules import demand_of
from appliance.intake.content import Checked, check_content, check_held, released, sizes_of
from appliance.intake.delta_base import require_served
from appliance.intake.missing_volumes import whole_without
from appliance.intake.release_gates import require_open, staying_tags
from appliance.intake.signature_policy import require_signed
from appliance.intake.source_rights import require_may_write
from appliance.limits import intake as limits
from appliance.settings.caches import Caches
from appliance.station import Station
from appliance.store.reads.intake import Entry, decisions_of, importer_of, read_manifest, report_text, signed_files
from appliance.store.reads.links import claimed_manifests, typed_manifests
from appliance.store.writes.custody import Named, Withdraw
from appliance.store.writes.decisions import Release
from appliance.store.writes.entries import not_approved
from bundles import limits as bundle_limits
from bundles.decide.bundle import decide, require_all_signers
from bundles.documents import signed as documents
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.format.manifest import BundleManifest
from bundles.oci.attached_tags import cosign_tags, fallback_tag
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_BY_HAND: Final = "the database was changed by hand: see the audit log, and have the bundle carried in anew"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A release that may happen: its transaction, the references it shows, and which artifacts these are, by
    repository; None for every artifact of the signed manifest."""

    write: Release
    references: list[str]
    artifacts: dict[str, list[str]] | None = None


def prepare(station: Station, entry: Entry, actor: str, only: Sequence[str] = ()) -> Prepared:
    """The transaction that releases an approved bundle, or of it the artifacts that `only` names.

    Nothing that the database says is believed: the bundle's own signatures, the report's digest and every approval's
    signature are verified again against the trust folder as it is now, and every blob must be in the store at its
    size; the transaction itself then checks the state, the report and the approvals once more.
    Raises FailedError where the bundle is rejected, or released already, the store lacks a blob, or what it requires is
    not served here yet; RefusedError where it is not approved or too few approvals count, all came through one log-in,
    the policy does not let its source write there, an artifact is not signed as the policy for images enforces it or
    does not pass its gates, or anything was changed; UsageError where `only` names what the bundle lacks.
    """
    shown = shown_of(station, entry)
    if entry.report_digest is None or (entry.state != "approved" and not (entry.state == "released" and shown)):
        raise not_approved(entry.id, entry.state)
    said = approvals.logged(station, entry)
    manifest = check_unchanged(station, entry, said)
    signed = len(manifest.artifacts)
    if absent := missing_in(entry, report_text(station.reader, entry.digest)):
        manifest = whole_without(station.blobs, manifest, absent)
    policy = station.policy()
    wanted = demand_of(station, policy, entry)
    counting = approvals.still_counting(station, entry, decisions_of(station.reader, entry.digest), said)
    sealed, needed = approvals.choose(station, entry, wanted, counting, said, actor)
    check_held(station.blobs, station.metadata, sizes_of(manifest))
    every = check_content(station.blobs, manifest)
    left = [one for one in every if (one.artifact.repository, one.artifact.digest) not in shown]
    if not left:
        raise not_approved(entry.id, entry.state)
    checked = chosen(left, every, only) if only else left
    for one in checked:
        Caches(station.config.caches).refuse(one.artifact.repository)
    require_signed(station, every, checked)
    require_open(station, entry.id, every, checked)
    may_move = require_may_write(station, policy, manifest, checked)
    requires = require_served(station, manifest, {digest for one in checked for digest in one.digests})
    write = Release(
        digest=entry.digest,
        report_digest=entry.report_digest,
        approved_by=tuple(counting.sealed if sealed else counting.plain),
        needed=needed,
        artifacts=tuple(released(artifact, station.metadata) for artifact in checked),
        actor=actor,
        at=clock.now(),
        whole=len(checked) == len(left),
        sealed=sealed,
        requires=requires,
        may_move=may_move,
        stays=staying_tags(station, checked),
    )
    return Prepared(write, references(checked), None if len(checked) == signed else _by_repository(checked))


def _by_repository(checked: Sequence[Checked]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in checked:
        found.setdefault(one.artifact.repository, []).append(one.artifact.digest)
    return found


def missing_in(entry: Entry, report: str | None) -> set[int]:
    """The volumes that the approved report says did not come: what needs them is not released, whatever the store has
    come to hold since. Raises RefusedError for a report that says so in no way that this program writes."""
    found = documents.decode((report or "").encode(), documents.Report).sections
    said = next((section.details for section in found if section.inspector == "integrity"), {}).get("missing_volumes")
    if said is None:
        return set()
    if not isinstance(said, list) or not all(isinstance(index, int) for index in said):
        raise RefusedError("the inspection report is not one of this station's", thing=entry.id, remedy=_BY_HAND)
    return set(said)


def shown_of(station: Station, entry: Entry) -> set[tuple[str, str]]:
    """The artifacts that earlier releases of the bundle showed, as (repository, digest)."""
    return claimed_manifests(station.reader, entry.digest)


def check_unchanged(station: Station, entry: Entry, said: approvals.Logged) -> BundleManifest:
    """The manifest that the bundle's signers signed. What the database holds must be that, the report the one whose
    digest was approved and recorded, and who brought it in the one whom the audit log names: `said`, "" for nobody.

    Raises RefusedError for anything that was changed by hand, or a signer since revoked.
    """
    files = signed_files(station.reader, entry.digest)
    if files is None or str(Digest.of(files.sums)) != entry.digest:
        raise RefusedError("the bundle's signed files are not in the store", thing=entry.id, remedy=_BY_HAND)
    opened = decide(files, station.trust(), entry.received)
    require_all_signers(opened)
    if said.importer not in ("", importer_of(station.reader, entry)):
        raise RefusedError(
            "the audit log says that another imported it", thing=f"{entry.id}: {said.importer}", remedy=_BY_HAND
        )
    if (opened.manifest.id, opened.manifest.stream) != (entry.id, entry.stream):
        raise RefusedError("the entry is not the bundle that was signed", thing=entry.id, remedy=_BY_HAND)
    approvals.require_recorded_report(station, entry, said)
    return opened.manifest


def chosen(left: Sequence[Checked], every: Sequence[Checked], only: Sequence[str]) -> list[Checked]:
    """The artifacts that `only` names (`repository`, `repository:tag`, `repository@digest`), with what lies beneath an
    index, what refers to any of them, and what stands at the tags of what is attached to them: cosign's, and the
    fallback for referrers. Raises UsageError naming a reference that the bundle does not hold."""
    taken: set[tuple[str, str]] = set()
    for name in only:
        named = {_key(one) for one in every if _exact(name) in _names(one)}
        if not named:
            raise UsageError(
                "the bundle does not hold this artifact", thing=name, remedy="see: lockgate intake show ID"
            )
        taken |= named
    beneath = {_key(one): [str(child.digest) for child in one.manifest.manifests] for one in every}
    referring: dict[tuple[str, str], list[str]] = {}
    for one in every:
        if one.manifest.subject is not None:
            about = one.artifact.repository, str(one.manifest.subject.digest)
            referring.setdefault(about, []).append(one.artifact.digest)
    attached = {(one.artifact.repository, tag): one.artifact.digest for one in every for tag in one.artifact.tags}
    waiting = list(taken)
    while waiting:  # each artifact is looked at once
        key = waiting.pop()
        digest = Digest.parse(key[1])
        tags = ((key[0], tag) for tag in (*cosign_tags(digest), fallback_tag(digest)))
        beside = (attached[tag] for tag in tags if tag in attached)
        further = {(key[0], one) for one in (*beneath.get(key, ()), *referring.get(key, ()), *beside)} - taken
        taken |= further
        waiting += further
    found = [one for one in left if _key(one) in taken]
    if not found:
        raise FailedError(
            "these artifacts were released before", thing=", ".join(only)[:120], remedy="see: lockgate intake show ID"
        )
    return found


def _exact(name: str) -> str:
    """`repository:tag@digest` is what its digest names."""
    before, at, digest = name.partition("@")
    repository, colon, tag = before.rpartition(":")
    return f"{repository}@{digest}" if at and colon and "/" not in tag else name


def _key(one: Checked) -> tuple[str, str]:
    return one.artifact.repository, one.artifact.digest


def _names(one: Checked) -> set[str]:
    artifact = one.artifact
    return {artifact.repository, one.name, *(f"{artifact.repository}:{tag}" for tag in artifact.tags)}


def prepare_withdraw(station: Station, entry: Entry, why: str, actor: str) -> Withdraw:
    """The transaction that takes a release back. Raises UsageError without a reason, FailedError where nothing of it
    is released."""
    if not why.strip() or len(why) > limits.REASON:
        raise UsageError("a withdrawal needs a reason", thing=entry.id, remedy=f"say it with --why, to {limits.REASON}")
    if entry.state != "released":
        raise FailedError(
            f"the bundle is {entry.state}, not released", thing=entry.id, remedy=f"see: lockgate intake show {entry.id}"
        )
    keep: list[tuple[str, str]] = []
    names = []
    going = shown_of(station, entry)
    for repository in sorted({name for name, _ in going}):
        for digest, media_type in typed_manifests(station.reader, repository):
            with station.blobs.open_blob(Digest.parse(digest)) as file:
                found = parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1), media_type)
            named = tuple(str(one.digest) for one in (*found.blobs, *found.foreign, *found.manifests))
            if (repository, digest) in going:
                names.append(Named(repository, digest, named))
            else:
                keep += [(repository, one) for one in named]
    pins = tuple(sizes_of(read_manifest(station.reader, entry.digest)))
    return Withdraw(
        digest=entry.digest, keep=tuple(keep), names=tuple(names), pins=pins, why=why, actor=actor, at=clock.now()
    )


def references(checked: Sequence[Checked]) -> list[str]:
    """What a release shows, by the names people use: each tag, and the digest of what has no tag and stands alone."""
    children = {
        (entry.artifact.repository, str(child.digest)) for entry in checked for child in entry.manifest.manifests
    }
    found = []
    for entry in checked:
        artifact = entry.artifact
        found += [f"{artifact.repository}:{tag}" for tag in artifact.tags]
        beneath = entry.manifest.subject is not None or (artifact.repository, artifact.digest) in children
        if not artifact.tags and not beneath:
            found.append(entry.name)
    return found
